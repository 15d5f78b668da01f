"""The outbox: notices that wait to be sent. What is in it was decided together with the alerts, in one transaction.

    add_notices     in the transaction that changes the alerts
    take_due        a process takes what is due, for as long as a lease lasts; a killed one's lease runs out
    mark_sent | mark_failed     how the attempt ended

A notice is taken by one process at a time and sent at least once; a repeat happens only when a process dies between sending and
marking, and carries the same key. What cannot be delivered for three days is dead: it stays, and is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update

from reconshield.model import Json
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import DELIVERIES

WAITING, SENT, DEAD, REPLACED = "waiting", "sent", "dead", "replaced"
BATCH = 20
LONGEST_HOLD = 2 * 86400.0
"""No notice is held back longer, by quiet hours or after a failure: one due later was dated by a clock that went back."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice on its way to one channel. `attempts` counts those before this one."""

    key: str
    channel: str
    state: str
    created_at: float
    due: float
    attempts: int
    notice: Json
    leased_until: float | None = None
    ended_at: float | None = None
    detail: str | None = None


def add_notices(store: Store, notices: Iterable[tuple[str, str, float, Json]], now: float) -> None:
    """Put (key, channel, due, notice) into the box. One whose key was there before changes nothing."""
    wanted = {key: (channel, due, notice) for key, channel, due, notice in notices}
    if not wanted:
        return
    with store.begin() as connection:
        mine = (DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.key.in_(sorted(wanted)))
        known = set(connection.execute(select(DELIVERIES.c.key).where(*mine)).scalars())
        rows = [
            {"workspace": store.workspace, "key": key, "channel": channel, "state": WAITING}
            | {"created_at": now, "due": due, "attempts": 0, "notice": notice}
            for key, (channel, due, notice) in wanted.items()
            if key not in known
        ]
        if rows:
            connection.execute(insert(DELIVERIES), rows)


def waiting_untried(store: Store, channels: Iterable[str]) -> list[Delivery]:
    """What waits for these channels and was never tried: it may still be replaced by newer words."""
    query = select(DELIVERIES).where(
        DELIVERIES.c.workspace == store.workspace,
        DELIVERIES.c.state == WAITING,
        DELIVERIES.c.attempts == 0,
        DELIVERIES.c.leased_until.is_(None),
        DELIVERIES.c.channel.in_(sorted(set(channels))),
    )
    with store.read() as connection:
        return [delivery_of(row) for row in connection.execute(query).mappings()]


def replace_notice(store: Store, key: str, notice: Json | None, now: float) -> None:
    """Write what is left of a notice that was never tried; None: newer words have taken its place."""
    values: dict[str, Any] = {"notice": notice} if notice else {"state": REPLACED, "ended_at": now, "detail": "newer words"}
    change(store, key, values)


def take_due(store: Store, now: float, lease: float, *, skip: Iterable[str] = (), limit: int = BATCH) -> list[Delivery]:
    """Take what is due for `lease` seconds, the least tried and oldest first; nobody else gets it meanwhile.

    Nothing is taken for the channels in `skip`.
    """
    due = (DELIVERIES.c.due <= now) | (DELIVERIES.c.due > now + LONGEST_HOLD)
    here = (DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.state == WAITING)
    mine = (*here, due, DELIVERIES.c.channel.not_in(sorted(skip)))
    held = DELIVERIES.c.leased_until
    free = held.is_(None) | (held <= now) | (held > now + lease)  # a lease longer than we give: the clock went back
    with store.read() as connection:
        if connection.execute(select(DELIVERIES.c.key).where(*mine, free).limit(1)).first() is None:
            return []  # looked at before the write lock is asked for: an idle monitor writes nothing
    order = (DELIVERIES.c.attempts, DELIVERIES.c.created_at, DELIVERIES.c.key)
    with store.begin() as connection:
        take_turns(connection, f"outbox {store.workspace}")
        rows = connection.execute(select(DELIVERIES).where(*mine, free).order_by(*order).limit(limit)).mappings().all()
        keys = [row["key"] for row in rows]
        where = (DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.key.in_(keys))
        connection.execute(update(DELIVERIES).where(*where).values(leased_until=now + lease))
        return [delivery_of(row) for row in rows]


def mark_sent(store: Store, key: str, now: float, detail: str) -> None:
    change(store, key, {"state": SENT, "ended_at": now, "detail": detail, "leased_until": None}, tried=True)


def mark_failed(store: Store, key: str, now: float, detail: str, again: float | None) -> None:
    """The attempt failed: due `again` at that moment, or never (None), then it is dead."""
    ending = {"due": again} if again is not None else {"state": DEAD, "ended_at": now}
    change(store, key, {"detail": detail, "leased_until": None, **ending}, tried=True)


def release(store: Store, keys: Iterable[str]) -> None:
    """Give back what was taken and not tried."""
    where = (DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.key.in_(sorted(keys)))
    with store.begin() as connection:
        connection.execute(update(DELIVERIES).where(*where).values(leased_until=None))


def revive(store: Store, channel: str | None, now: float) -> int:
    """Give dead notices another three days: after the channel was mended."""
    where = [DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.state == DEAD]
    where += [DELIVERIES.c.channel == channel] if channel else []
    values = {"state": WAITING, "due": now, "attempts": 0, "created_at": now, "ended_at": None}
    with store.begin() as connection:
        return connection.execute(update(DELIVERIES).where(*where).values(values)).rowcount


def change(store: Store, key: str, values: dict[str, Any], *, tried: bool = False) -> None:
    where = (DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.key == key)
    if tried:
        values = values | {"attempts": DELIVERIES.c.attempts + 1}
    with store.begin() as connection:
        connection.execute(update(DELIVERIES).where(*where).values(values))


def count_deliveries(store: Store) -> dict[str, dict[str, int]]:
    """Channel -> state -> how many."""
    query = select(DELIVERIES.c.channel, DELIVERIES.c.state, func.count().label("number"))
    found: dict[str, dict[str, int]] = {}
    with store.read() as connection:
        mine = query.where(DELIVERIES.c.workspace == store.workspace).group_by(DELIVERIES.c.channel, DELIVERIES.c.state)
        for row in connection.execute(mine):
            found.setdefault(row.channel, {})[row.state] = row.number
    return found


def list_deliveries(store: Store, states: Sequence[str] = (WAITING, DEAD), limit: int = 100) -> list[Delivery]:
    """What is in the box, the oldest first."""
    query = select(DELIVERIES).where(DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.state.in_(list(states)))
    with store.read() as connection:
        rows = connection.execute(query.order_by(DELIVERIES.c.created_at, DELIVERIES.c.key).limit(limit)).mappings()
        return [delivery_of(row) for row in rows]


def find_deliveries(store: Store, keys: Iterable[str]) -> list[Delivery]:
    """Those of these keys that are in the box, whatever became of them."""
    query = select(DELIVERIES).where(DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.key.in_(sorted(keys)))
    with store.read() as connection:
        return [delivery_of(row) for row in connection.execute(query).mappings()]


def oldest_waiting(store: Store) -> dict[str, float]:
    """Channel -> when the oldest notice that still waits for it was written."""
    query = select(DELIVERIES.c.channel, func.min(DELIVERIES.c.created_at).label("at"))
    mine = (DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.state == WAITING)
    with store.read() as connection:
        return {row.channel: row.at for row in connection.execute(query.where(*mine).group_by(DELIVERIES.c.channel))}


def next_due(store: Store) -> float | None:
    """When the next notice may be tried."""
    query = select(func.min(DELIVERIES.c.due)).where(DELIVERIES.c.workspace == store.workspace, DELIVERIES.c.state == WAITING)
    with store.read() as connection:
        return connection.execute(query).scalar()


def delivery_of(row: Mapping[Any, Any]) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__slots__})
