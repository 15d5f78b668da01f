"""Keeping the database small and safe: old runs out, space given back, a copy made while it is in use."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, select

from reconshield.errors import UserError
from reconshield.store.db import Store, explained_files
from reconshield.store.failures import explained
from reconshield.store.migrate import copy_database
from reconshield.store.tables import BLOCKS, CHANGES, FINDINGS, OBSERVATIONS, RUNS, SERVICES


def prune_runs(store: Store, older_than: float) -> dict[str, int]:
    """Delete every run that started before `older_than` with all it measured, in one transaction; returns rows per table.

    Grants, the audit log, and from when to when endpoints were open stay. The file keeps its size until `compact`.
    """
    return delete_runs(store, (RUNS.c.workspace == store.workspace, RUNS.c.started < older_than))


def delete_run(store: Store, run_id: str) -> dict[str, int]:
    """Delete one run with all it measured; returns rows per table."""
    return delete_runs(store, (RUNS.c.workspace == store.workspace, RUNS.c.id == run_id))


def delete_runs(store: Store, old: tuple[ColumnElement[bool], ...]) -> dict[str, int]:
    """Delete the runs that fit, children first, in one transaction."""
    keys = select(RUNS.c.key).where(*old)
    conditions: dict[Table, tuple[ColumnElement[bool], ...]] = {OBSERVATIONS: (OBSERVATIONS.c.run_key.in_(keys),)}
    for table in (CHANGES, FINDINGS, SERVICES, BLOCKS):  # children first
        conditions[table] = (table.c.workspace == store.workspace, table.c.run.in_(select(RUNS.c.id).where(*old)))
    conditions[RUNS] = old
    with store.begin() as connection:
        return {table.name: connection.execute(delete(table).where(*where)).rowcount for table, where in conditions.items()}


def compact(store: Store) -> None:
    """Give the space of deleted rows back to the disk. PostgreSQL does that on its own (autovacuum)."""
    if store.path is None:
        return
    with explained(store.where), closing(store.engine.raw_connection()) as pooled:
        driver: Any = pooled.driver_connection
        driver.execute("VACUUM")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def backup(store: Store, path: Path) -> None:
    """Copy the whole database (all workspaces) to a new file with mode 0600, while others may read and write."""
    if store.path is None:
        hint = "pg_dump --format=custom --file=FILE DATABASE"
        raise UserError("a PostgreSQL database is backed up with its own tool", where=store.where, hint=hint)
    if path.exists():
        raise UserError("the backup would overwrite a file", where=str(path), hint="give a name that is not taken")
    with explained_files(str(path)), explained(str(path)):
        copy_database(store.path, path)
