"""The audit log: every grant, every use of one and every refusal, in a chain that shows when it was edited.

Each entry carries the SHA-256 of its own fields and of the entry before, so a changed, missing or inserted entry breaks the
chain at its number. Triggers in the database abort every UPDATE and DELETE. Entries cut off at the end leave no trace in the
chain itself: print the newest number and hash somewhere else (the log line of a scan, a report) to notice that too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from reconshield.model import Json
from reconshield.store.columns import dump_json
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import AUDIT

BEGINNING = "0" * 64
"""Stands before the first entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `previous` and `hash` are the links of the chain, 64 hex digits."""

    number: int
    at: float
    actor: str
    event: str
    detail: Json
    previous: str
    hash: str


def append_entry(store: Store, event: str, detail: Json, at: float, actor: str) -> int:
    """Add one entry and return its number; numbers count from 1 without gaps."""
    with store.begin() as connection:
        take_turns(connection, f"audit {store.workspace}")
        newest = select(AUDIT.c.number, AUDIT.c.hash).where(AUDIT.c.workspace == store.workspace)
        last = connection.execute(newest.order_by(AUDIT.c.number.desc()).limit(1)).first()
        number, previous = (last.number + 1, last.hash) if last else (1, BEGINNING)
        row = {
            "number": number,
            "at": float(at),
            "actor": actor,
            "event": event,
            "detail": dict(detail),
            "previous": previous,
            "hash": hash_entry(previous, number, store.workspace, float(at), actor, event, detail),
        }
        connection.execute(insert(AUDIT).values(workspace=store.workspace, **row))
    return number


def hash_entry(previous: str, number: int, workspace: str, at: float, actor: str, event: str, detail: Json) -> str:
    """SHA-256 over the canonical JSON list of the fields in this order."""
    return hashlib.sha256(
        dump_json([previous, number, workspace, at, actor, event, detail], canonical=True).encode()
    ).hexdigest()


def entries(store: Store, limit: int | None = None, before: int | None = None) -> list[Entry]:
    """The newest `limit` entries (all without one), oldest first; with `before` only those of lower numbers."""
    query = select(AUDIT).where(AUDIT.c.workspace == store.workspace).order_by(AUDIT.c.number.desc()).limit(limit)
    if before is not None:
        query = query.where(AUDIT.c.number < before)
    with store.read() as connection:
        return [entry_of(row) for row in connection.execute(query).mappings()][::-1]


def entry_of(row: Mapping[Any, Any]) -> Entry:
    return Entry(**{name: value for name, value in row.items() if name != "workspace"})


def verify_chain(store: Store) -> int | None:
    """The number of the first entry that is missing, moved or edited; None when the chain is whole."""
    query = select(AUDIT).where(AUDIT.c.workspace == store.workspace).order_by(AUDIT.c.number).execution_options(yield_per=1000)
    previous, expected = BEGINNING, 1
    with store.read() as connection, connection.execute(query) as rows:
        for row in rows.mappings():
            entry = entry_of(row)
            fields = (entry.number, store.workspace, entry.at, entry.actor, entry.event, entry.detail)
            if entry.number != expected or entry.previous != previous or entry.hash != hash_entry(previous, *fields):
                return expected
            previous, expected = entry.hash, expected + 1
    return None
