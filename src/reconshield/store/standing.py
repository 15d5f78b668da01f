"""Everything that is open, as columns of plain values: a hundred thousand rows are read without a record for each.

Texts come as they are stored (`escape`, JSON as text); who reads them makes something of each different one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, bindparam, func, select, text

from reconshield.store.db import Store
from reconshield.store.tables import EXPOSURES, FINDINGS, RUNS

CHUNK = 300
"""Endpoints, or runs, that one question names."""

SPOKE = "s.service, s.confidence, s.product, s.version, s.tls, s.facts, s.note, s.name"
JOINED = (
    " FROM observations o LEFT JOIN services s ON s.workspace = :workspace AND s.run = :run"
    " AND s.ip = o.ip AND s.port = o.port AND s.transport = o.transport WHERE o.run_key = :key"
)
OF_RUN = text(f"SELECT o.ip, o.port, o.transport, o.at, {SPOKE}{JOINED}")
OF_ENDPOINT = text(  # S608 - constants; by the whole key of both tables
    f"SELECT o.ip, o.port, o.transport, o.at, {SPOKE}{JOINED} AND o.port = :port AND o.transport = :transport AND o.ip = :ip"
)
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


def spoken_in(store: Store, run_id: str, key: int) -> Sequence[Any]:
    """Every open endpoint of a run: address, port, transport, when, and what spoke."""
    with store.read() as connection:
        return connection.execute(OF_RUN, {"workspace": store.workspace, "run": run_id, "key": key}).all()


def spoken_at(store: Store, run_id: str, key: int, places: Sequence[Place]) -> list[Row[Any]]:
    """The same of a few endpoints, those that the run has."""
    given = {"workspace": store.workspace, "run": run_id, "key": key}
    found: list[Row[Any]] = []
    with store.read() as connection:
        for ip, port, transport in places:
            found += connection.execute(OF_ENDPOINT, given | {"ip": ip, "port": port, "transport": transport}).all()
    return found


def count_findings_in(store: Store, run_id: str) -> dict[Place, int]:
    """How many findings each endpoint of a run has; those without any are left out."""
    place = (FINDINGS.c.ip, FINDINGS.c.port, FINDINGS.c.transport)
    query = (
        select(*place, func.count()).where(FINDINGS.c.workspace == store.workspace, FINDINGS.c.run == run_id).group_by(*place)
    )
    with store.read() as connection:
        return {(bytes(ip), port, transport): number for ip, port, transport, number in connection.execute(query)}


def closed_since(store: Store, since: float) -> list[tuple[float, float]]:
    """When everything opened and closed that has closed since then."""
    table = EXPOSURES.c
    query = select(table.opened, table.closed).where(table.workspace == store.workspace, table.closed >= since)
    with store.read() as connection:
        return [(opened, closed) for opened, closed in connection.execute(query)]
