"""Everything that is open, as columns of plain values: a hundred thousand rows are read without a record for each.

Texts come as they are stored (`escape`, JSON as text); who reads them makes something of each different one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, text

from reconshield.store.db import Store
from reconshield.store.tables import EXPOSURES, FINDINGS, RUNS

CHUNK = 300
"""Endpoints, or runs, that one question names."""

SEEN_IN = text("SELECT ip, port, transport, at FROM observations WHERE run_key = :key")
SPOKE = "ip, port, transport, service, confidence, product, version, tls, facts, note, name"
SPOKE_IN = text(f"SELECT {SPOKE} FROM services WHERE workspace = :workspace AND run = :run")  # noqa: S608 - constants
ONE = " AND ip = :ip AND port = :port AND transport = :transport"
SEEN_AT, SPOKE_AT = text(f"{SEEN_IN.text}{ONE}"), text(f"{SPOKE_IN.text}{ONE}")
OPEN_NOW = select(
    EXPOSURES.c.ip,
    EXPOSURES.c.port,
    EXPOSURES.c.transport,
    EXPOSURES.c.vantage,
    EXPOSURES.c.opened,
    EXPOSURES.c.shut_before,
).where(EXPOSURES.c.workspace == bindparam("workspace"), EXPOSURES.c.closed.is_(None))

Place = tuple[bytes, int, int]
"""Packed address, port, transport: an endpoint as the tables have it."""


class Heard(NamedTuple):
    """What a run says of open endpoints. `seen`: address, port, transport, when. `spoke`, where somebody asked: address, port,
    transport, service, confidence, product, version, TLS, facts, note, name.
    """

    seen: list[Any]
    spoke: list[Any]


class Revision(NamedTuple):
    """What is different as soon as a run of the workspace begins, ends, goes on, ends again or is removed."""

    runs: int
    newest: int
    states: tuple[tuple[str, int], ...]
    finished: float


def revision_of(store: Store) -> Revision:
    """By this, whoever keeps something knows whether it still holds. Nothing long is read."""
    table = RUNS.c
    query = select(table.state, func.count(), func.max(table.key), func.max(table.finished)).where(
        table.workspace == store.workspace
    )
    with store.read() as connection:
        found = connection.execute(query.group_by(table.state)).all()
    states = tuple(sorted((state, number) for state, number, _, _ in found))
    return Revision(
        runs=sum(number for _, number in states),
        newest=max((key for _, _, key, _ in found), default=0),
        states=states,
        finished=max((finished for *_, finished in found if finished is not None), default=0.0),
    )


def open_now(store: Store) -> Sequence[Any]:
    """Everything that is known to be open, in no order: address, port, transport, vantage, opened, shut before."""
    with store.read() as connection:
        rows: Sequence[Any] = connection.execute(OPEN_NOW, {"workspace": store.workspace}).all()
        return rows


def opened_by(store: Store, vantage: str, moment: float) -> dict[Place, tuple[float, float | None]]:
    """What was open from a vantage at a moment: when it was first seen open, and before that last seen shut."""
    table = EXPOSURES.c
    query = select(table.ip, table.port, table.transport, table.opened, table.shut_before).where(
        table.workspace == store.workspace,
        table.vantage == vantage,
        table.opened <= moment,
        table.closed.is_(None) | (table.closed > moment),
    )
    with store.read() as connection:
        return {(ip, port, transport): (at, shut) for ip, port, transport, at, shut in connection.execute(query)}


def heard_in(store: Store, run_id: str, key: int) -> Heard:
    """Everything that a run found open. Two looks in the order of the tables: joined row by row they take twice as long."""
    given = {"workspace": store.workspace, "run": run_id, "key": key}
    with store.read() as connection:
        return Heard(list(connection.execute(SEEN_IN, given)), list(connection.execute(SPOKE_IN, given)))


def heard_at(store: Store, run_id: str, key: int, places: Sequence[Place]) -> Heard:
    """The same of a few endpoints, those that the run has."""
    found = Heard([], [])
    with store.read() as connection:
        for ip, port, transport in places:
            given = {"workspace": store.workspace, "run": run_id, "key": key, "ip": ip, "port": port, "transport": transport}
            found.seen.extend(connection.execute(SEEN_AT, given))
            found.spoke.extend(connection.execute(SPOKE_AT, given))
    return found


def count_findings_in(store: Store, run_id: str) -> list[Any]:
    """How many findings each endpoint of a run has: address, port, transport, number; those without any are left out."""
    place = (FINDINGS.c.ip, FINDINGS.c.port, FINDINGS.c.transport)
    query = (
        select(*place, func.count()).where(FINDINGS.c.workspace == store.workspace, FINDINGS.c.run == run_id).group_by(*place)
    )
    with store.read() as connection:
        return list(connection.execute(query))


def closed_since(store: Store, since: float) -> list[tuple[float, float]]:
    """When everything opened and closed that has closed since then."""
    table = EXPOSURES.c
    query = select(table.opened, table.closed).where(table.workspace == store.workspace, table.closed >= since)
    with store.read() as connection:
        return [(opened, closed) for opened, closed in connection.execute(query)]
