"""Alerts and silences at rest. An alert that stands is found by its fingerprint, one that is over keeps its number for good.

The rows hold what `alert.message` has as records; that folder and this one do not know each other, so both sides are plain
objects here (`Row`) and the job makes records of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from reconshield.errors import UserError
from reconshield.model import Json
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import ALERTS, SILENCES

Row = Mapping[str, Any]
CHUNK = 500
"""Fingerprints in one question: SQLite takes a limited number of values."""


def lock_alerts(store: Store) -> int:
    """Until the transaction of this (joined) store ends, nobody else changes alerts. The number for the next new one."""
    with store.begin() as connection:
        take_turns(connection, f"alerts {store.workspace}")
        query = select(func.coalesce(func.max(ALERTS.c.number), 0)).where(ALERTS.c.workspace == store.workspace)
        return int(connection.execute(query).scalar_one()) + 1


def standing(store: Store, fingerprints: Iterable[str] | None = None) -> list[Row]:
    """The alerts that stand: all, or those of these fingerprints."""
    query = (
        select(ALERTS).where(ALERTS.c.workspace == store.workspace, ALERTS.c.resolved_at.is_(None)).order_by(ALERTS.c.number)
    )
    with store.read() as connection:
        if fingerprints is None:
            return [dict(row) for row in connection.execute(query).mappings()]
        found: list[Row] = []
        wanted = sorted(set(fingerprints))
        for begin in range(0, len(wanted), CHUNK):
            part = query.where(ALERTS.c.fingerprint.in_(wanted[begin : begin + CHUNK]))
            found += [dict(row) for row in connection.execute(part).mappings()]
        return found


def list_alerts(store: Store, *, limit: int | None = None, everything: bool = False) -> list[Row]:
    """The alerts that stand, or all, the newest first."""
    query = select(ALERTS).where(ALERTS.c.workspace == store.workspace).order_by(ALERTS.c.number.desc()).limit(limit)
    with store.read() as connection:
        rows = connection.execute(query if everything else query.where(ALERTS.c.resolved_at.is_(None)))
        return [dict(row) for row in rows.mappings()]


def count_alerts(store: Store) -> dict[str, int]:
    """Standing alerts by severity."""
    query = select(ALERTS.c.severity, func.count().label("number")).where(
        ALERTS.c.workspace == store.workspace, ALERTS.c.resolved_at.is_(None)
    )
    with store.read() as connection:
        return {row.severity: row.number for row in connection.execute(query.group_by(ALERTS.c.severity))}


def save_alerts(store: Store, new: Sequence[Row], changed: Sequence[Row]) -> None:
    """Add new alerts and write changed ones over what stood under their numbers."""
    with store.begin() as connection:
        if new:
            connection.execute(insert(ALERTS), [{"workspace": store.workspace, **row} for row in new])
        if changed:
            where = (ALERTS.c.workspace == store.workspace, ALERTS.c.number == bindparam("which"))
            columns: dict[str, Any] = {name: bindparam(name) for name in changed[0] if name != "number"}
            rows = [{"which": row["number"], **{name: row[name] for name in columns}} for row in changed]
            connection.execute(update(ALERTS).where(*where).values(columns), rows)


def find_alert(store: Store, number: int | None, shown: str) -> Row:
    """One alert by its number."""
    query = select(ALERTS).where(ALERTS.c.workspace == store.workspace, ALERTS.c.number == number)
    with store.read() as connection:
        row = connection.execute(query).mappings().first() if number is not None else None
    if row is None:
        raise UserError("there is no alert of that id", where=shown, hint="reconshield alert list")
    return dict(row)


def add_silence(store: Store, *, until: float, said_by: str, reason: str, fits: Json, now: float) -> int:
    """Keep a silence; its number."""
    with store.begin() as connection:
        take_turns(connection, f"silences {store.workspace}")
        query = select(func.coalesce(func.max(SILENCES.c.number), 0)).where(SILENCES.c.workspace == store.workspace)
        number = int(connection.execute(query).scalar_one()) + 1
        row = {"number": number, "until": until, "said_by": said_by, "reason": reason, "fits": fits, "created_at": now}
        connection.execute(insert(SILENCES).values(workspace=store.workspace, **row))
    return number


def end_silence(store: Store, number: int, now: float) -> bool:
    """End a silence now. False when there is none of that number that still holds."""
    where = (SILENCES.c.workspace == store.workspace, SILENCES.c.number == number, SILENCES.c.until > now)
    with store.begin() as connection:
        return connection.execute(update(SILENCES).where(*where).values(until=now)).rowcount == 1


def silences(store: Store, now: float) -> list[Row]:
    """The silences that hold now."""
    query = select(SILENCES).where(SILENCES.c.workspace == store.workspace, SILENCES.c.until > now).order_by(SILENCES.c.number)
    with store.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
