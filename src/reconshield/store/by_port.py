"""Questions about one port: what is or was open on it, which runs there were, what answered there. Nothing of other ports is
read: the keys of `observations` and an index of `exposures` begin with it, services are found by their whole key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, Select, Table, and_, bindparam, or_, select

from reconshield.model import Endpoint, Finding, Json, Service, Transport
from reconshield.rows import join
from reconshield.store.columns import unpack_address
from reconshield.store.db import Store
from reconshield.store.exposures import Exposure
from reconshield.store.observations import STORED, unpack_block
from reconshield.store.runs import IN_TIME, RunState
from reconshield.store.services import finding_of, service_of
from reconshield.store.tables import BLOCKS, EXPOSURES, FINDINGS, OBSERVATIONS, RUNS, SERVICES

CHUNK = 400
"""Values in one question."""
Place = tuple[bytes, int]
"""Packed address and transport on the port that is asked for."""


@dataclass(frozen=True, slots=True)
class Brief:
    """A run that has ended, without what it is long to read."""

    id: str
    key: int
    state: RunState
    vantage: str
    started: float
    finished: float


class Interval(NamedTuple):
    """A row of `exposures` as it stands there: a record is made only of what is shown."""

    ip: bytes
    transport: int
    vantage: str
    opened: float
    opened_run: str
    shut_before: float | None
    open_until: float | None
    closed: float | None
    closed_run: str | None

    @property
    def place(self) -> Place:
        return bytes(self.ip), self.transport

    def on(self, port: int) -> Exposure:
        endpoint = Endpoint(unpack_address(self.ip), port, Transport(self.transport).label)
        opening, ending = (self.opened, self.opened_run, self.shut_before), (self.open_until, self.closed, self.closed_run)
        return Exposure(endpoint, self.vantage, *opening, *ending)


class Answer(NamedTuple):
    """An endpoint that was open in a run; `service` is None where nobody spoke to it."""

    at: float
    service: str | None
    confidence: str | None
    note: str | None


def codes(transports: Iterable[str]) -> list[int]:
    return [Transport[name.upper()].value for name in transports]


def many(name: str) -> BindParameter[Any]:
    """A list of values that is given when the question is asked."""
    return bindparam(name, expanding=True)


E, R, SEEN, S = EXPOSURES.c, RUNS.c, OBSERVATIONS.c, SERVICES.c
HERE: BindParameter[str] = bindparam("workspace")
PORT: BindParameter[int] = bindparam("port")
RUN: BindParameter[str] = bindparam("run")

# Built once: putting a question together takes longer than answering it.
EXPOSURES_ON = (
    select(E.ip, E.transport, E.vantage, E.opened, E.opened_run, E.shut_before, E.open_until, E.closed, E.closed_run)
    .where(E.workspace == HERE, E.port == PORT, E.transport.in_(many("transports")))
    .where(or_(E.closed.is_(None), E.closed >= bindparam("since")))
    .order_by(E.ip, E.transport, E.vantage, E.opened)
)
ENDED = (
    select(R.id, R.key, R.state, R.vantage, R.started, R.finished)
    .where(R.workspace == HERE, R.state.in_(("complete", "partial")), R.finished.is_not(None))
    .order_by(*(column.desc() for column in IN_TIME))
    .limit(bindparam("most"))
)
PLANS = select(R.id, R.plan, R.options).where(R.workspace == HERE, R.id.in_(many("runs")))
ANSWERS = (
    select(SEEN.ip, SEEN.transport, SEEN.at, S.service, S.confidence, S.note)
    .select_from(
        OBSERVATIONS.outerjoin(
            SERVICES,
            and_(S.workspace == HERE, S.run == RUN, S.ip == SEEN.ip, S.port == SEEN.port, S.transport == SEEN.transport),
        )
    )
    .where(SEEN.run_key == bindparam("key"), SEEN.port == PORT, SEEN.transport.in_(many("transports")))
)


def few_of(table: Table) -> Select[Any]:
    """All columns of a few endpoints of one port in a run."""
    column = table.c
    return select(table).where(
        column.workspace == HERE,
        column.run == RUN,
        column.ip.in_(many("ips")),
        column.port == PORT,
        column.transport.in_(many("transports")),
    )


FEW_SERVICES, FEW_FINDINGS = few_of(SERVICES), few_of(FINDINGS).order_by(FINDINGS.c.check_name)


def exposures_on(store: Store, port: int, transports: Sequence[str], since: float) -> list[Interval]:
    """What is open on a port, and what was at some time since then."""
    given = {"workspace": store.workspace, "port": port, "transports": codes(transports), "since": since}
    with store.read() as connection:
        return [Interval(*row) for row in connection.execute(EXPOSURES_ON, given)]


def ended_runs(store: Store, limit: int) -> list[Brief]:
    """The newest runs that have ended and measured something, the newest first."""
    with store.read() as connection:
        return [Brief(*row) for row in connection.execute(ENDED, {"workspace": store.workspace, "most": limit})]


def plans_of(store: Store, run_ids: Sequence[str]) -> dict[str, tuple[Json, Json]]:
    """Plan and options of some runs."""
    found: dict[str, tuple[Json, Json]] = {}
    with store.read() as connection:
        for begin in range(0, len(run_ids), CHUNK):
            given = {"workspace": store.workspace, "runs": list(run_ids[begin : begin + CHUNK])}
            found |= {run: (plan, options) for run, plan, options in connection.execute(PLANS, given)}
    return found


def answers_on(store: Store, run: Brief, port: int, transports: Sequence[str]) -> dict[Place, Answer]:
    """What was open on a port in a run, with what spoke there."""
    given = {"workspace": store.workspace, "run": run.id, "key": run.key, "port": port, "transports": codes(transports)}
    with store.read() as connection:
        return {(bytes(ip), transport): Answer(*answer) for ip, transport, *answer in connection.execute(ANSWERS, given)}


def services_on(store: Store, run_id: str, port: int, places: Sequence[Place]) -> dict[Place, Service]:
    """The whole services of a few endpoints of a port in a run."""
    return {place_of(row): service_of(row) for row in rows_on(store, FEW_SERVICES, run_id, port, places)}


def findings_on(store: Store, run_id: str, port: int, places: Sequence[Place]) -> dict[Place, list[Finding]]:
    """The findings of a few endpoints of a port in a run."""
    found: dict[Place, list[Finding]] = {}
    for row in rows_on(store, FEW_FINDINGS, run_id, port, places):
        found.setdefault(place_of(row), []).append(finding_of(row))
    return found


def rows_on(
    store: Store, question: Select[Any], run_id: str, port: int, places: Sequence[Place]
) -> Iterator[Mapping[Any, Any]]:
    with store.read() as connection:
        for begin in range(0, len(places), CHUNK):
            part = places[begin : begin + CHUNK]
            given = {
                "workspace": store.workspace,
                "run": run_id,
                "port": port,
                "ips": [ip for ip, _ in part],
                "transports": sorted({transport for _, transport in part}),
            }
            yield from connection.execute(question, given).mappings().all()


def place_of(row: Mapping[Any, Any]) -> Place:
    return bytes(row["ip"]), row["transport"]


def block_answers(store: Store, run_id: str, blocks: Sequence[int] | None, port: int, transport: str) -> NDArray[Any]:
    """Every answer of one port in a run, closed ones too; of these blocks, or of all. Unpacked block by block."""
    code = Transport[transport.upper()].value
    query = select(BLOCKS.c.number, BLOCKS.c.answered, BLOCKS.c.data).where(
        BLOCKS.c.workspace == store.workspace, BLOCKS.c.run == run_id, BLOCKS.c.answered > 0
    )
    parts = [np.zeros(0, STORED)]
    with store.read() as connection:
        for begin in range(0, len(blocks) if blocks is not None else 1, CHUNK):
            part = query if blocks is None else query.where(BLOCKS.c.number.in_(list(blocks[begin : begin + CHUNK])))
            for number, answered, data in connection.execute(part):
                rows = np.empty(answered, STORED)
                unpack_block(data, rows, f"{store.where}, {run_id}, block {number}")
                parts.append(rows.compress((rows["port"] == port) & (rows["transport"] == code)))
    return join(parts)
