"""A stored run in any format, ready to be sent to somebody: what must be read is read before the first piece is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconshield.jobs.coverage import load_coverage
from reconshield.jobs.results import load_result
from reconshield.report.formats import Format, render_result
from reconshield.report.lines import dump_lines
from reconshield.store.db import Store
from reconshield.store.runs import find_run

if TYPE_CHECKING:
    from reconshield.policy import Policy

STREAMED = ("csv", "jsonl")
"""Formats that are written row by row, in memory that hardly grows with the run."""
EXPLAINED = ("html", "markdown")
"""Formats that are read away from the program, and so explain what they name."""


def export_run(
    store: Store, run_id: str, format_: Format, *, policy: Policy | None = None, with_evidence: bool = False
) -> Iterable[str]:
    """The text of a run in pieces. Raises UserError before the first one where the run cannot be read.

    CSV and JSON Lines are made as they are read: from the first piece to the last the database is looked at.
    """
    if format_.name in STREAMED:
        from reconshield.jobs.run_stream import stream_csv, stream_lines

        run = find_run(store, run_id)
        load_coverage(store, run)  # refuses an import that was not finished
        return stream_csv(store, run, policy) if format_.name == "csv" else dump_lines(stream_lines(store, run, policy))
    result = load_result(store, run_id, policy=policy)
    if format_.name in EXPLAINED:
        from reconshield.jobs.background import add_background

        result = add_background(store, result)
    return render_result(result, format_.name, with_evidence=with_evidence)
