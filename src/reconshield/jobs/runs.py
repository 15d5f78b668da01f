"""The runs of a database: list them, remove old ones, copy everything to a file."""

from __future__ import annotations

from pathlib import Path

from reconshield.jobs.results import load_head
from reconshield.report.listing import RunEntry
from reconshield.store.db import Store
from reconshield.store.observations import count_open
from reconshield.store.runs import list_runs
from reconshield.store.services import count_findings
from reconshield.store.upkeep import backup, compact, prune_runs


def list_entries(store: Store, limit: int | None = None) -> list[RunEntry]:
    """Every run with what it found, the newest first."""
    opened, findings = count_open(store), count_findings(store)
    return [
        RunEntry(load_head(run), run.state, run.finished, opened.get(run.id, 0), findings.get(run.id, 0))
        for run in list_runs(store, limit)
    ]


def remove_old_runs(store: Store, older_than: float) -> dict[str, int]:
    """Remove every run that started before this moment (Unix seconds), and give the space back. Returns rows per table."""
    counts = prune_runs(store, older_than)
    if counts["runs"]:
        compact(store)
    return counts


def back_up(store: Store, path: Path) -> int:
    """Copy the database to a new file; returns its size in bytes."""
    backup(store, path)
    return path.stat().st_size
