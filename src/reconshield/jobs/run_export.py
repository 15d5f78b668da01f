"""A stored run in any format, ready to be sent to somebody: what must be read is read before the first piece is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconshield.jobs.results import load_result
from reconshield.report.formats import Format, render_result
from reconshield.store.db import Store

if TYPE_CHECKING:
    from reconshield.policy import Policy

EXPLAINED = ("html", "markdown")
"""Formats that are read away from the program, and so explain what they name."""


def export_run(
    store: Store, run_id: str, format_: Format, *, policy: Policy | None = None, with_evidence: bool = False
) -> Iterable[str]:
    """The text of a run in pieces. Raises UserError before the first one where the run cannot be read."""
    result = load_result(store, run_id, policy=policy)
    if format_.name in EXPLAINED:
        from reconshield.jobs.background import add_background

        result = add_background(store, result)
    return render_result(result, format_.name, with_evidence=with_evidence)
