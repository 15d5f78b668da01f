"""Which addresses a run has measured on one port. A run that has ended never changes, so what is found once is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reconshield.addresses import AddressSet, PortSet, parse_address
from reconshield.jobs.coverage import IMPORTED
from reconshield.jobs.memory import Memory
from reconshield.model import Json, State, Transport
from reconshield.scan.batch import Batch, empty
from reconshield.scan.plan import Plan
from reconshield.scan.space import AddressSpace
from reconshield.store.by_port import Brief, block_answers, plans_of
from reconshield.store.db import Store
from reconshield.store.observations import blocks_done

LISTED = 65_536
"""Of an unfinished run with more addresses than this, none counts as measured: to say so would take too long."""
NOWHERE, NO_PORTS = AddressSet(), PortSet()


@dataclass(frozen=True, slots=True)
class Cover:
    """A run and what it was to measure; `whole` if it measured all of it. An import of single endpoints covers nothing.

    `stored` is its plan as it is kept: making the order of one takes longer than all else, and few questions need it.
    """

    run: Brief
    targets: AddressSet
    ports: PortSet
    whole: bool
    stored: Json | None = None

    @property
    def plan(self) -> Plan | None:
        return Plan.from_json(self.stored) if self.stored else None


COVERS: Memory[Cover] = Memory(5000)
AREAS: Memory[AddressSet] = Memory(2000)
CLOSED: Memory[Batch] = Memory(500)


def mark_of(store: Store, run: Brief) -> tuple[str, str, str, float]:
    """What tells a run from every other one, and from itself before it was resumed."""
    return store.where, store.workspace, run.id, run.finished


def covers_of(store: Store, runs: Sequence[Brief]) -> list[Cover]:
    """What these runs were to measure, in their order."""
    found = {run.id: COVERS.find(mark_of(store, run)) for run in runs}
    missing = [run for run in runs if found[run.id] is None]
    plans = plans_of(store, [run.id for run in missing]) if missing else {}
    found |= {r.id: COVERS.keep(mark_of(store, r), cover_of(r, *plans[r.id])) for r in missing if r.id in plans}
    return [cover for cover in found.values() if cover is not None]


def cover_of(run: Brief, stored: Json, options: Json) -> Cover:
    imported = stored.get("v") == IMPORTED
    whole_plan = stored.get("whole") if imported else stored
    if not whole_plan:
        return Cover(run, NOWHERE, NO_PORTS, True)
    targets = AddressSet(tuple((parse_address(first), parse_address(last)) for first, last in whole_plan["targets"]))
    ports = PortSet(*(tuple((int(first), int(last)) for first, last in whole_plan[name]) for name in ("tcp", "udp")))
    whole = imported or (run.state == "complete" and tuple(options.get("shard", (0, 1))) == (0, 1))
    return Cover(run, targets, ports, whole, whole_plan)


def measured_area(store: Store, cover: Cover, port: int, transport: str) -> AddressSet:
    """The addresses on which a run has measured a port."""
    if (transport, port) not in cover.ports:
        return NOWHERE
    if cover.whole:
        return cover.targets
    if cover.targets.count > LISTED:
        return NOWHERE
    return AREAS.get((mark_of(store, cover.run), port, transport), lambda: finished_area(store, cover, port, transport))


def finished_area(store: Store, cover: Cover, port: int, transport: str) -> AddressSet:
    """The addresses whose pair with the port lies in a finished block."""
    plan = cover.plan
    if plan is None:
        return NOWHERE
    rows = pairs_of(plan, port, transport)
    rows = rows[plan.covers(rows, np.array(sorted(blocks_done(store, cover.run.id)), np.int64))]
    numbers = [hi << 64 | lo for hi, lo in zip(rows["hi"].tolist(), rows["lo"].tolist(), strict=True)]
    return AddressSet(tuple((number, number) for number in numbers))


def pairs_of(plan: Plan, port: int, transport: str) -> Batch:
    """Each address of a plan on one port."""
    rows = empty(plan.targets.count)
    rows["hi"], rows["lo"] = AddressSpace(plan.targets).at(np.arange(len(rows), dtype=np.uint64))
    rows["port"], rows["transport"] = port, Transport[transport.upper()].value
    return rows


def count_closed(store: Store, cover: Cover, port: int, transport: str, area: AddressSet) -> int:
    """On how many addresses of an area a run was told that the port is closed."""
    rows = CLOSED.get((mark_of(store, cover.run), port, transport), lambda: closed_rows(store, cover, port, transport))
    return int((AddressSpace(area).find(rows["hi"], rows["lo"]) >= 0).sum()) if len(rows) else 0


def closed_rows(store: Store, cover: Cover, port: int, transport: str) -> Batch:
    """The addresses that refused. Where the plan has few of them, only the blocks that hold them are unpacked."""
    blocks, plan = None, cover.plan if cover.targets.count <= LISTED // 16 else None
    if plan is not None:
        rows = pairs_of(plan, port, transport)
        blocks = np.unique(plan.block_of(rows["hi"], rows["lo"], rows["port"], rows["transport"])).tolist()
    found = block_answers(store, cover.run.id, blocks, port, transport)
    closed: Batch = found[found["state"] == State.CLOSED]
    return closed
