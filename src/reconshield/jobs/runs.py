"""The runs of a database: list them, remove old ones, copy everything to a file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from reconshield.jobs.results import load_head
from reconshield.report.listing import RunEntry
from reconshield.store.audit import append_entry
from reconshield.store.db import Store
from reconshield.store.observations import count_open, count_open_of
from reconshield.store.runs import Run, list_runs, page_of_runs
from reconshield.store.services import count_findings, count_findings_of
from reconshield.store.upkeep import backup, compact, delete_run, prune_runs


def list_entries(store: Store, limit: int | None = None) -> list[RunEntry]:
    """Every run with what it found, the newest first."""
    opened, findings = count_open(store), count_findings(store)
    return [
        RunEntry(load_head(run), run.state, run.finished, opened.get(run.id, 0), findings.get(run.id, 0))
        for run in list_runs(store, limit)
    ]


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in a page of the list: what it found, who began it, and what ended it early ("paused", "stopped", …)."""

    entry: RunEntry
    by: str | None
    ending: str | None


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of the list, the newest first; `last` is the run after which the next page begins, None at the end."""

    rows: tuple[RunRow, ...]
    last: str | None


def list_page(store: Store, limit: int, *, after: Run | None = None, states: Collection[str] = ()) -> RunPage:
    """A page of runs; only the runs of the page are counted, so it costs the same in a long history."""
    found = page_of_runs(store, limit + 1, before=after, states=states)
    return RunPage(tuple(row_of_run(store, run) for run in found[:limit]), found[limit - 1].id if len(found) > limit else None)


def row_of_run(store: Store, run: Run) -> RunRow:
    opened = (run.summary or {}).get("open")
    entry = RunEntry(
        load_head(run),
        run.state,
        run.finished,
        int(opened) if opened is not None else count_open_of(store, run.id),
        count_findings_of(store, run.id),
    )
    return RunRow(entry, run.options.get("by"), (run.options.get("ending") or {}).get("how"))


def remove_run(store: Store, run_id: str, now: float, actor: str) -> None:
    """Remove one run with all it measured, and write down who did it."""
    with store.together() as one:
        removed = delete_run(one, run_id)
        append_entry(one, "run-removed", {"run": run_id, "removed": removed}, now, actor)


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
