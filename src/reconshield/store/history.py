"""What was seen of an address over all runs.

It is looked for in the blocks, which know closed and filtered answers as well as open ones. Silence is not here: whoever needs
it asks the plan of the run. Where a port was open last is the question of `glance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from reconshield.model import Endpoint, Observation, Reason, Service, State, Transport
from reconshield.store.columns import pack_address
from reconshield.store.db import Store
from reconshield.store.observations import load_blocks
from reconshield.store.services import service_of
from reconshield.store.tables import RUNS, SERVICES


@dataclass(frozen=True, slots=True)
class Sighting:
    """One dated answer of an endpoint, in which run and from where, and what spoke there then."""

    run: str
    vantage: str
    observation: Observation
    service: Service | None = None


def endpoint_history(store: Store, ip: str, port: int | None = None) -> list[Sighting]:
    """All answers of an address (or of one port of it), newest run first, then by port and transport.

    Every run of the workspace is unpacked for this: about a tenth of a second for a million answers.
    """
    packed = pack_address(ip)
    sightings = []
    with store.read() as connection:
        for run_id, vantage in runs_of(connection, store):
            answers = answers_of(load_blocks(connection, store, run_id), packed, port)
            if len(answers) == 0:
                continue
            known = services_at(connection, store, run_id, packed)
            for answer in answers:
                seen = record_of(answer, ip)
                service = known.get((seen.endpoint.port, seen.endpoint.transport))
                sightings.append(Sighting(run_id, vantage, seen, service))
    return sightings


def runs_of(connection: Connection, store: Store) -> list[tuple[str, str]]:
    """Id and vantage, newest first."""
    query = (
        select(RUNS.c.id, RUNS.c.vantage)
        .where(RUNS.c.workspace == store.workspace)
        .order_by(RUNS.c.started.desc(), RUNS.c.key.desc())
    )
    return [(row.id, row.vantage) for row in connection.execute(query)]


def answers_of(whole: NDArray[Any], packed: bytes, port: int | None) -> NDArray[Any]:
    hi, lo = int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big")
    mask = (whole["lo"] == lo) & (whole["hi"] == hi)
    if port is not None:
        mask &= whole["port"] == port
    found = whole[mask]
    ordered: NDArray[Any] = found[np.lexsort([found["transport"], found["port"]])]
    return ordered


def record_of(answer: Any, ip: str) -> Observation:
    """A record from one row of an observation array."""
    endpoint = Endpoint(ip, int(answer["port"]), Transport(int(answer["transport"])).label)
    state, reason = State(int(answer["state"])), Reason(int(answer["reason"]))
    rtt_ms = int(answer["rtt_us"]) / 1000 if answer["rtt_us"] else None
    return Observation(endpoint, state, reason, float(answer["at"]), int(answer["ttl"]) or None, rtt_ms)


def services_at(connection: Connection, store: Store, run_id: str, packed: bytes) -> dict[tuple[int, str], Service]:
    mine = (SERVICES.c.workspace == store.workspace, SERVICES.c.run == run_id, SERVICES.c.ip == packed)
    found = [service_of(row) for row in connection.execute(select(SERVICES).where(*mine)).mappings()]
    return {(service.endpoint.port, service.endpoint.transport): service for service in found}
