"""Scheduled scans at rest, and the processes that run them.

An occurrence is one slot of a schedule that came due. It is written before anything is started, so that a scan which was called
for and did not happen can be seen. Its states: waiting (to start, or to go on in its window), running, complete, partial,
refused, failed, missed (a newer slot took its place).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import delete, func, insert, select, update

from reconshield.model import Json
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import EXECUTORS, OCCURRENCES

OccurrenceState = Literal["waiting", "running", "complete", "partial", "refused", "failed", "missed"]
UNFINISHED: tuple[OccurrenceState, ...] = ("waiting", "running")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One slot of a schedule. Times are Unix seconds; `attempts` counts how often it was started."""

    schedule: str
    slot: float
    state: OccurrenceState
    request: Json
    created_at: float
    attempts: int = 0
    run: str | None = None
    finished_at: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Executor:
    """A monitor or a worker. `seen` is its last sign of life, `started` tells a process id from its successor."""

    name: str
    host: str
    pid: int
    started: float
    seen: float
    role: str
    vantage: str


def add_occurrence(store: Store, schedule: str, slot: float, request: Json, now: float) -> bool:
    """Write down that a slot is due. False when somebody did before."""
    with store.begin() as connection:
        take_turns(connection, f"occurrences {store.workspace}")
        if connection.execute(select(OCCURRENCES.c.slot).where(*place(store, schedule, slot))).first() is not None:
            return False
        row = {"schedule": schedule, "slot": slot, "state": "waiting", "request": request, "created_at": now, "attempts": 0}
        connection.execute(insert(OCCURRENCES).values(workspace=store.workspace, **row))
    return True


def change_occurrence(store: Store, schedule: str, slot: float, **values: Any) -> None:
    with store.begin() as connection:
        connection.execute(update(OCCURRENCES).where(*place(store, schedule, slot)).values(values))


def start_occurrence(store: Store, schedule: str, slot: float) -> int | None:
    """Take a waiting occurrence: the number of this attempt, None when it does not wait (any more)."""
    with store.begin() as connection:
        waiting = (*place(store, schedule, slot), OCCURRENCES.c.state == "waiting")
        values = {"state": "running", "attempts": OCCURRENCES.c.attempts + 1}
        if connection.execute(update(OCCURRENCES).where(*waiting).values(values)).rowcount != 1:
            return None
        return int(connection.execute(select(OCCURRENCES.c.attempts).where(*place(store, schedule, slot))).scalar_one())


def find_occurrence(store: Store, schedule: str, slot: float) -> Occurrence | None:
    with store.read() as connection:
        row = connection.execute(select(OCCURRENCES).where(*place(store, schedule, slot))).mappings().first()
    return occurrence_of(row) if row else None


def unfinished(store: Store) -> list[Occurrence]:
    """Those that wait or run, the oldest first."""
    query = select(OCCURRENCES).where(OCCURRENCES.c.workspace == store.workspace, OCCURRENCES.c.state.in_(UNFINISHED))
    with store.read() as connection:
        return [occurrence_of(row) for row in connection.execute(query.order_by(OCCURRENCES.c.slot)).mappings()]


def newest(store: Store, schedule: str, states: Iterable[str] | None = None) -> Occurrence | None:
    """The newest occurrence of a schedule, of some states or of any."""
    query = select(OCCURRENCES).where(OCCURRENCES.c.workspace == store.workspace, OCCURRENCES.c.schedule == schedule)
    query = query if states is None else query.where(OCCURRENCES.c.state.in_(list(states)))
    with store.read() as connection:
        row = connection.execute(query.order_by(OCCURRENCES.c.slot.desc()).limit(1)).mappings().first()
    return occurrence_of(row) if row else None


def last_complete(store: Store) -> dict[str, float]:
    """Schedule -> when its last whole measurement ended."""
    mine = (OCCURRENCES.c.workspace == store.workspace, OCCURRENCES.c.state == "complete")
    query = select(OCCURRENCES.c.schedule, func.max(OCCURRENCES.c.finished_at).label("at")).where(*mine)
    with store.read() as connection:
        return {row.schedule: row.at for row in connection.execute(query.group_by(OCCURRENCES.c.schedule))}


def first_known(store: Store) -> dict[str, float]:
    """Schedule -> when it was first called for."""
    query = select(OCCURRENCES.c.schedule, func.min(OCCURRENCES.c.created_at).label("at"))
    with store.read() as connection:
        rows = connection.execute(query.where(OCCURRENCES.c.workspace == store.workspace).group_by(OCCURRENCES.c.schedule))
        return {row.schedule: row.at for row in rows}


def count_occurrences(store: Store) -> dict[tuple[str, str], int]:
    """(schedule, state) -> how many."""
    query = select(OCCURRENCES.c.schedule, OCCURRENCES.c.state, func.count().label("number"))
    mine = query.where(OCCURRENCES.c.workspace == store.workspace).group_by(OCCURRENCES.c.schedule, OCCURRENCES.c.state)
    with store.read() as connection:
        return {(row.schedule, row.state): row.number for row in connection.execute(mine)}


def sign_of_life(store: Store, executor: Executor) -> None:
    """Say that a process is there."""
    row = {name: getattr(executor, name) for name in Executor.__slots__}
    mine = (EXECUTORS.c.workspace == store.workspace, EXECUTORS.c.name == executor.name)
    with store.begin() as connection:
        if connection.execute(update(EXECUTORS).where(*mine).values(row)).rowcount == 0:
            connection.execute(insert(EXECUTORS).values(workspace=store.workspace, **row))


def executors(store: Store) -> list[Executor]:
    """Every process that has not been removed, whether it lives or not."""
    query = select(EXECUTORS).where(EXECUTORS.c.workspace == store.workspace).order_by(EXECUTORS.c.name)
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [Executor(**{name: row[name] for name in Executor.__slots__}) for row in rows]


def remove_executor(store: Store, name: str) -> None:
    with store.begin() as connection:
        connection.execute(delete(EXECUTORS).where(EXECUTORS.c.workspace == store.workspace, EXECUTORS.c.name == name))


def place(store: Store, schedule: str, slot: float) -> tuple[Any, ...]:
    return OCCURRENCES.c.workspace == store.workspace, OCCURRENCES.c.schedule == schedule, OCCURRENCES.c.slot == slot


def occurrence_of(row: Mapping[Any, Any]) -> Occurrence:
    return Occurrence(**{name: row[name] for name in Occurrence.__slots__})
