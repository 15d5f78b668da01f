"""A part of what a run found: so many rows after the last one that was read. The database looks it up by its keys, so the last
part of a million rows costs what the first one does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, select, tuple_

from reconshield.model import Endpoint, Finding, Observation, Service, Severity, Transport
from reconshield.store.columns import pack_address
from reconshield.store.db import Store
from reconshield.store.observations import observation_of
from reconshield.store.runs import run_key
from reconshield.store.services import finding_of, service_of
from reconshield.store.tables import EXPOSURES, FINDINGS, OBSERVATIONS, SERVICES


def open_after(store: Store, run_id: str, last: Endpoint | None, limit: int) -> list[Observation]:
    """Open endpoints of a run by port, transport and address."""
    table = OBSERVATIONS.c
    order = (table.port, table.transport, table.ip)
    query = select(OBSERVATIONS).where(table.run_key == run_key(store, run_id).scalar_subquery())
    if last is not None:
        query = query.where(beyond(order, (last.port, code_of(last), pack_address(last.ip))))
    with store.read() as connection:
        return [observation_of(row) for row in connection.execute(query.order_by(*order).limit(limit))]


def services_after(store: Store, run_id: str, last: Endpoint | None, limit: int, without: str) -> list[Service]:
    """Services of a run by address, port and transport, but those whose note begins with `without`."""
    table = SERVICES.c
    order = (table.ip, table.port, table.transport)
    query = select(SERVICES).where(table.workspace == store.workspace, table.run == run_id)
    query = query.where(table.note.is_(None) | ~table.note.startswith(without, autoescape=True))
    if last is not None:
        query = query.where(beyond(order, (pack_address(last.ip), last.port, code_of(last))))
    with store.read() as connection:
        return [service_of(row) for row in connection.execute(query.order_by(*order).limit(limit)).mappings()]


def findings_after(
    store: Store, run_id: str, last: tuple[Endpoint, str] | None, limit: int, severities: Collection[Severity]
) -> list[Finding]:
    """Findings of a run, of these severities, by address, port, transport and check."""
    table = FINDINGS.c
    order = (table.ip, table.port, table.transport, table.check_name)
    query = select(FINDINGS).where(table.workspace == store.workspace, table.run == run_id)
    query = query.where(table.severity.in_([severity.value for severity in severities]))
    if last is not None:
        place, check = last
        query = query.where(beyond(order, (pack_address(place.ip), place.port, code_of(place), check)))
    with store.read() as connection:
        return [finding_of(row) for row in connection.execute(query.order_by(*order).limit(limit)).mappings()]


def opened_at(
    store: Store, vantage: str, moment: float, endpoints: Sequence[Endpoint]
) -> dict[Endpoint, tuple[float | None, float]]:
    """Of a few endpoints that were open at a moment: when each was last seen shut (None: nobody looked), and first open."""
    table, found = EXPOSURES.c, {}
    base = select(table.shut_before, table.opened).where(
        table.workspace == store.workspace,
        table.vantage == vantage,
        table.opened <= moment,
        table.closed.is_(None) | (table.closed > moment),
    )
    with store.read() as connection:
        for place in endpoints:
            at = (table.ip == pack_address(place.ip), table.port == place.port, table.transport == code_of(place))
            row = connection.execute(base.where(*at).order_by(table.opened.desc()).limit(1)).first()
            if row is not None:
                found[place] = row.shut_before, row.opened
    return found


def beyond(order: Sequence[Column[Any]], last: Sequence[Any]) -> ColumnElement[bool]:
    """Rows that come after this one in this order."""
    return tuple_(*order) > tuple(last)


def code_of(endpoint: Endpoint) -> int:
    return Transport[endpoint.transport.upper()].value
