"""What each run found to be other than it was known to be. Services are kept in short: what spoke, not the bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Text, bindparam, func, insert, select, type_coerce

from reconshield.model import ChangeKind, Confidence, Endpoint, Json, Risk, Service, Tls
from reconshield.store.db import Store
from reconshield.store.runs import Run
from reconshield.store.services import endpoint_of, key_of
from reconshield.store.tables import CHANGES, RUNS


@dataclass(frozen=True, slots=True)
class KeptChange:
    """A change as it is kept. Times are Unix seconds; `fields` are those of the service that differ."""

    kind: ChangeKind
    endpoint: Endpoint
    before: str
    after: str
    last_seen: float | None = None
    first_seen: float | None = None
    fields: tuple[str, ...] = ()
    service_before: Service | None = None
    service_after: Service | None = None
    risk: Risk | None = None
    flapping: bool = False


def add_changes(store: Store, run: Run, changes: Sequence[KeptChange]) -> None:
    """Keep the changes that a run found, after those that it found before it was resumed."""
    if not changes:
        return
    mine = (CHANGES.c.workspace == store.workspace, CHANGES.c.run == run.id)
    with store.begin() as connection:
        last = connection.execute(select(func.coalesce(func.max(CHANGES.c.number), 0)).where(*mine)).scalar_one()
        rows = [key_of(store, run.id, c.endpoint) | row_of(c) | {"number": last + n} for n, c in enumerate(changes, 1)]
        connection.execute(insert(CHANGES), rows)


def list_changes(store: Store, run_id: str | None = None, since: float | None = None) -> list[tuple[str, KeptChange]]:
    """Changes with the run that found them, oldest run first: of one run, or of all that ended since a moment."""
    both = CHANGES.join(RUNS, (RUNS.c.workspace == CHANGES.c.workspace) & (RUNS.c.id == CHANGES.c.run))
    query = select(CHANGES).select_from(both).where(CHANGES.c.workspace == store.workspace)
    if run_id is not None:
        query = query.where(CHANGES.c.run == run_id)
    if since is not None:
        query = query.where(RUNS.c.finished >= since)
    with store.read() as connection:
        rows = connection.execute(query.order_by(RUNS.c.started, RUNS.c.key, CHANGES.c.number)).mappings()
        return [(row["run"], change_of(row)) for row in rows]


class ShortChange(NamedTuple):
    """A change without the services; `score` is that of its risk, None where it has none. `at` is when its run ended."""

    run: str
    number: int
    kind: ChangeKind
    vantage: str
    at: float
    score: int | None


SINCE = (
    select(
        CHANGES.c.run,
        CHANGES.c.number,
        CHANGES.c.kind,
        RUNS.c.vantage,
        RUNS.c.finished,
        type_coerce(CHANGES.c.risk, Text).label("risk"),
    )
    .select_from(CHANGES.join(RUNS, (RUNS.c.workspace == CHANGES.c.workspace) & (RUNS.c.id == CHANGES.c.run)))
    .where(CHANGES.c.workspace == bindparam("workspace"), RUNS.c.finished >= bindparam("since"))
    .order_by(RUNS.c.started.desc(), RUNS.c.key.desc(), CHANGES.c.number)
    .limit(bindparam("most"))
)


def short_changes(store: Store, since: float, limit: int) -> list[ShortChange]:
    """What changed in runs that ended since a moment, the newest run first."""
    with store.read() as connection:
        rows = connection.execute(SINCE, {"workspace": store.workspace, "since": since, "most": limit}).all()
    return [
        ShortChange(run, number, kind, vantage, at, json.loads(risk)["score"] if risk else None)
        for run, number, kind, vantage, at, risk in rows
    ]


def count_changes(store: Store, since: float) -> dict[str, int]:
    """How many changes of each kind there were in runs that ended since a moment."""
    both = CHANGES.join(RUNS, (RUNS.c.workspace == CHANGES.c.workspace) & (RUNS.c.id == CHANGES.c.run))
    query = select(CHANGES.c.kind, func.count().label("number")).select_from(both)
    query = query.where(CHANGES.c.workspace == store.workspace, RUNS.c.finished >= since).group_by(CHANGES.c.kind)
    with store.read() as connection:
        return {row.kind: row.number for row in connection.execute(query)}


def find_changes_by(store: Store, keys: Sequence[tuple[str, int]]) -> dict[tuple[str, int], KeptChange]:
    """A few changes by run and number."""
    found: dict[tuple[str, int], KeptChange] = {}
    with store.read() as connection:
        for run, number in keys:
            query = select(CHANGES).where(
                CHANGES.c.workspace == store.workspace, CHANGES.c.run == run, CHANGES.c.number == number
            )
            for row in connection.execute(query).mappings():
                found[run, number] = change_of(row)
    return found


def row_of(change: KeptChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "before": change.before,
        "after": change.after,
        "last_seen": change.last_seen,
        "first_seen": change.first_seen,
        "fields": list(change.fields),
        "service_before": short_of(change.service_before),
        "service_after": short_of(change.service_after),
        "risk": change.risk,
        "flapping": change.flapping,
    }


def change_of(row: Mapping[Any, Any]) -> KeptChange:
    endpoint = endpoint_of(row)
    return KeptChange(
        kind=row["kind"],
        endpoint=endpoint,
        before=row["before"],
        after=row["after"],
        last_seen=row["last_seen"],
        first_seen=row["first_seen"],
        fields=tuple(row["fields"]),
        service_before=service_in(row["service_before"], endpoint),
        service_after=service_in(row["service_after"], endpoint),
        risk=row["risk"],
        flapping=row["flapping"],
    )


def short_of(service: Service | None) -> Json | None:
    """What spoke, and its certificate, by which two of them are told apart."""
    if service is None:
        return None
    tls = service.facts.get("tls")
    certificate = tls.get("certificate") if isinstance(tls, Mapping) else None
    return {
        "service": service.service,
        "confidence": service.confidence.value,
        "at": service.at,
        "product": service.product,
        "version": service.version,
        "tls": service.tls.value,
        "name": service.name,
        "certificate": certificate,
    }


def service_in(short: Json | None, endpoint: Endpoint) -> Service | None:
    if short is None:
        return None
    values = dict(short)
    certificate = values.pop("certificate")
    facts = {"tls": {"certificate": certificate}} if certificate else {}
    values |= {"confidence": Confidence(values["confidence"]), "tls": Tls(values["tls"])}
    return Service(endpoint=endpoint, facts=facts, **values)
