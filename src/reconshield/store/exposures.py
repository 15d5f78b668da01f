"""From when to when endpoints were open, as seen from each vantage.

A run adds a row for what it found open that was not known to be, and ends the row of what it found closed. What stayed as it
was costs nothing, so a nightly scan of a million open endpoints writes nothing when nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import bindparam, or_, select, text, update

from reconshield.model import Endpoint, Reason, State, Transport
from reconshield.store.columns import pack_address
from reconshield.store.db import Store
from reconshield.store.observations import STORED
from reconshield.store.runs import Run, run_key
from reconshield.store.services import endpoint_of
from reconshield.store.tables import EXPOSURES

OPENED = text(
    "INSERT INTO exposures (workspace, vantage, ip, port, transport, opened, opened_run)"
    " SELECT :workspace, :vantage, o.ip, o.port, o.transport, o.at, :run FROM observations o"
    " WHERE o.run_key = :key AND NOT EXISTS (SELECT 1 FROM exposures e WHERE e.workspace = :workspace"
    " AND e.vantage = :vantage AND e.ip = o.ip AND e.port = o.port AND e.transport = o.transport AND e.closed IS NULL)"
    " AND NOT EXISTS (SELECT 1 FROM services s WHERE s.workspace = :workspace AND s.run = :run AND s.ip = o.ip"
    " AND s.port = o.port AND s.transport = o.transport AND s.note LIKE :doubt)"
    " ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """An endpoint while it was open, from a vantage. It opened between `shut_before` (None: nobody looked) and `opened`.

    It closed between `open_until` and `closed`, both None while it is open. Times are Unix seconds.
    """

    endpoint: Endpoint
    vantage: str
    opened: float
    opened_run: str
    shut_before: float | None = None
    open_until: float | None = None
    closed: float | None = None
    closed_run: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """An endpoint that opened or closed: when it was last seen as it was before, and first as it is now."""

    endpoint: Endpoint
    last_seen: float | None
    first_seen: float | None


def open_before(store: Store, vantage: str) -> NDArray[Any]:
    """The endpoints that are known to be open from a vantage, in the observation dtype; `at` is when they opened."""
    table = EXPOSURES.c
    query = select(table.ip, table.port, table.transport, table.opened).where(
        table.workspace == store.workspace, table.vantage == vantage, table.closed.is_(None)
    )
    with store.read() as connection:
        found = connection.execute(query).all()
    rows = np.zeros(len(found), STORED)
    if found:
        packed = np.frombuffer(b"".join(row.ip for row in found), [("hi", ">u8"), ("lo", ">u8")])
        rows["hi"], rows["lo"] = packed["hi"], packed["lo"]
        rows["port"], rows["transport"] = [row.port for row in found], [row.transport for row in found]
        rows["state"], rows["at"] = State.OPEN, [row.opened for row in found]
        rows["reason"] = np.where(rows["transport"] == Transport.UDP, Reason.UDP_RESPONSE, Reason.SYN_ACK)
    return rows


def save_turns(store: Store, run: Run, opened: Iterable[Turn], closed: Iterable[Turn], doubt: str) -> None:
    """Keep what a run found open and closed. Every open endpoint of the run counts, but for those whose note begins with
    `doubt`; `opened` says when some were shut.
    """
    place = {"workspace": store.workspace, "vantage": run.vantage}
    with store.begin() as connection:
        key = connection.execute(run_key(store, run.id)).scalar_one()
        connection.execute(OPENED, place | {"run": run.id, "key": key, "doubt": f"{doubt}%"})
        shut = [key_of(turn.endpoint) | {"was_shut": turn.last_seen} for turn in opened if turn.last_seen is not None]
        if shut:
            connection.execute(one_row(place).values(shut_before=bindparam("was_shut")), shut)
        ended = [
            key_of(turn.endpoint) | {"was_open": turn.last_seen, "is_closed": turn.first_seen, "in_run": run.id}
            for turn in closed
        ]
        if ended:
            told = {"open_until": "was_open", "closed": "is_closed", "closed_run": "in_run"}
            connection.execute(one_row(place).values({name: bindparam(value) for name, value in told.items()}), ended)


def one_row(place: Mapping[str, str]) -> Any:
    """The statement that changes the open row of one endpoint."""
    table = EXPOSURES.c
    return update(EXPOSURES).where(
        table.workspace == place["workspace"],
        table.vantage == place["vantage"],
        table.ip == bindparam("at_ip"),
        table.port == bindparam("at_port"),
        table.transport == bindparam("over"),
        table.closed.is_(None),
    )


def key_of(endpoint: Endpoint) -> dict[str, Any]:
    transport = Transport[endpoint.transport.upper()].value
    return {"at_ip": pack_address(endpoint.ip), "at_port": endpoint.port, "over": transport}


def list_exposures(store: Store, vantage: str | None = None, *, ended: bool = False) -> list[Exposure]:
    """What is open now (with `ended`, also what was), by address, port, transport and vantage."""
    table = EXPOSURES.c
    query = select(EXPOSURES).where(table.workspace == store.workspace)
    if vantage is not None:
        query = query.where(table.vantage == vantage)
    if not ended:
        query = query.where(table.closed.is_(None))
    query = query.order_by(table.ip, table.port, table.transport, table.vantage, table.opened)
    with store.read() as connection:
        return [exposure_of(row) for row in connection.execute(query).mappings()]


def open_at(store: Store, vantage: str, moment: float, seen_opening_since: float | None = None) -> list[Exposure]:
    """What was open from a vantage at a moment; with `seen_opening_since` only what was seen shut, and open since then."""
    table = EXPOSURES.c
    query = select(EXPOSURES).where(
        table.workspace == store.workspace,
        table.vantage == vantage,
        table.opened <= moment,
        or_(table.closed.is_(None), table.closed > moment),
    )
    if seen_opening_since is not None:
        query = query.where(table.opened >= seen_opening_since, table.shut_before.is_not(None))
    with store.read() as connection:
        return [exposure_of(row) for row in connection.execute(query).mappings()]


def exposure_of(row: Mapping[Any, Any]) -> Exposure:
    names = ("vantage", "opened", "opened_run", "shut_before", "open_until", "closed", "closed_run")
    return Exposure(endpoint_of(row), **{name: row[name] for name in names})
