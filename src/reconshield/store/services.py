"""Services and findings at rest, one transaction per endpoint.

A killed scan keeps what it identified: `endpoints_without_service` is what is left to do. Evidence keeps the exact bytes of the
dialogue, so checks that are written later can judge it without a packet. Saving an endpoint replaces what stood there.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, delete, func, insert, select

from reconshield.model import (
    Confidence,
    Endpoint,
    Finding,
    Json,
    Rung,
    Service,
    Severity,
    Tls,
    Transport,
    Turn,
)
from reconshield.store.columns import pack_address, unpack_address
from reconshield.store.db import Store
from reconshield.store.runs import run_key
from reconshield.store.tables import ENDPOINT, FINDINGS, OBSERVATIONS, SERVICES

BATCH = 1000


def save_service(store: Store, run_id: str, service: Service, findings: Sequence[Finding]) -> None:
    """Keep a service and what was judged of it, in the place of what this run had there before."""
    key = key_of(store, run_id, service.endpoint)
    if any(finding.endpoint != service.endpoint for finding in findings):
        raise ValueError(f"a finding belongs to another endpoint than {service.endpoint}")
    with store.begin() as connection:
        connection.execute(delete(FINDINGS).where(*(FINDINGS.c[name] == value for name, value in key.items())))
        connection.execute(delete(SERVICES).where(*(SERVICES.c[name] == value for name, value in key.items())))
        connection.execute(insert(SERVICES).values(key | row_of_service(service)))
        if findings:
            connection.execute(insert(FINDINGS), [key | row_of_finding(finding) for finding in findings])


def add_services(store: Store, run_id: str, new: Sequence[Service]) -> None:
    """Keep many services at once, none of whose endpoints has one in this run yet."""
    if not new:
        return
    with store.begin() as connection:
        connection.execute(insert(SERVICES), [key_of(store, run_id, s.endpoint) | row_of_service(s) for s in new])


def count_findings(store: Store) -> dict[str, int]:
    """How many findings each run of the workspace has; runs without any are left out."""
    query = (
        select(FINDINGS.c.run, func.count().label("number"))
        .where(FINDINGS.c.workspace == store.workspace)
        .group_by(FINDINGS.c.run)
    )
    with store.read() as connection:
        return {row.run: row.number for row in connection.execute(query)}


def count_findings_of(store: Store, run_id: str) -> int:
    """How many findings one run has."""
    query = select(func.count()).select_from(FINDINGS)
    with store.read() as connection:
        mine = (FINDINGS.c.workspace == store.workspace, FINDINGS.c.run == run_id)
        return int(connection.execute(query.where(*mine)).scalar_one())


@dataclass(frozen=True, slots=True)
class FindingKind:
    """The findings of one check in a run: how many there are, on how many addresses, and one of them."""

    number: int
    hosts: int
    sample: Finding


def finding_kinds(store: Store, run_id: str) -> list[FindingKind]:
    """The findings of a run by check, the worst severity first, then the most frequent. Costs the same for any number."""
    mine = (FINDINGS.c.workspace == store.workspace, FINDINGS.c.run == run_id)
    kind = (FINDINGS.c.check_name, FINDINGS.c.severity)
    query = select(*kind, func.count().label("number"), func.count(FINDINGS.c.ip.distinct()).label("hosts"))
    found = []
    with store.read() as connection:
        for row in connection.execute(query.where(*mine).group_by(*kind)).all():
            one = select(FINDINGS).where(*mine, kind[0] == row.check_name, kind[1] == row.severity).limit(1)
            sample = finding_of(connection.execute(one).mappings().one())
            found.append(FindingKind(row.number, row.hosts, sample))
    return sorted(found, key=lambda each: (-each.sample.severity.rank, -each.number, each.sample.check))


def findings_of_check(store: Store, run_id: str, check: str, offset: int, limit: int) -> list[Finding]:
    """Some of the findings of one check, by address, port and transport."""
    mine = (FINDINGS.c.workspace == store.workspace, FINDINGS.c.run == run_id, FINDINGS.c.check_name == check)
    query = select(FINDINGS).where(*mine).order_by(FINDINGS.c.ip, FINDINGS.c.port, FINDINGS.c.transport)
    with store.read() as connection:
        return [finding_of(row) for row in connection.execute(query.offset(offset).limit(limit)).mappings()]


def hosts_with_findings(store: Store, run_id: str, without: Severity) -> int:
    """How many addresses have a finding of another severity than this one."""
    mine = (FINDINGS.c.workspace == store.workspace, FINDINGS.c.run == run_id, FINDINGS.c.severity != without.value)
    with store.read() as connection:
        return int(connection.execute(select(func.count(FINDINGS.c.ip.distinct())).where(*mine)).scalar_one())


def ports_seen_open(store: Store, run_id: str) -> list[tuple[int, str, int]]:
    """The ports on which a run found something open: port, transport, how many endpoints."""
    place = (OBSERVATIONS.c.port, OBSERVATIONS.c.transport)
    query = select(*place, func.count().label("number")).where(
        OBSERVATIONS.c.run_key == run_key(store, run_id).scalar_subquery()
    )
    with store.read() as connection:
        rows = connection.execute(query.group_by(*place).order_by(*place)).all()
    return [(row.port, Transport(row.transport).label, row.number) for row in rows]


def services(store: Store, run_id: str, endpoint: Endpoint | None = None) -> list[Service]:
    """The services of a run by address, port and transport; with `endpoint` only that one."""
    return [service_of(row) for row in rows_of(store, SERVICES.c, run_id, endpoint)]


def each_service(store: Store, run_id: str, *, with_evidence: bool) -> Iterator[Service]:
    """The same one by one, for runs of any size; without evidence where nobody reads it, for it is the most of it."""
    columns = [column for column in SERVICES.c if with_evidence or column.name != "evidence"]
    return map(service_of, rows_of(store, columns, run_id))


def each_finding(store: Store, run_id: str) -> Iterator[Finding]:
    """The findings of a run in the order of `findings`, one by one."""
    return map(finding_of, rows_of(store, FINDINGS.c, run_id))


def each_check(store: Store, run_id: str) -> Iterator[tuple[Endpoint, str]]:
    """Just where each finding is and what it is called, in the same order."""
    columns = [FINDINGS.c[name] for name in ("ip", "port", "transport", "check_name")]
    return ((endpoint_of(row), row["check_name"]) for row in rows_of(store, columns, run_id))


def each_place(store: Store, run_id: str, but_noted: str) -> Iterator[Endpoint]:
    """The endpoints that have a service whose note does not begin like this."""
    columns = [SERVICES.c[name] for name in ("ip", "port", "transport", "note")]
    return (endpoint_of(row) for row in rows_of(store, columns, run_id) if not (row["note"] or "").startswith(but_noted))


def each_speaker(store: Store, run_id: str) -> Iterator[tuple[bytes, int, int, str, bool]]:
    """Which service was heard on which endpoint: packed address, port, transport, name, and whether that is a guess."""
    columns = [SERVICES.c[name] for name in ("ip", "port", "transport", "service", "confidence")]
    for row in rows_of(store, columns, run_id):
        yield row["ip"], row["port"], row["transport"], row["service"], row["confidence"] == Confidence.GUESS


def names_of_hosts(store: Store, run_id: str, but_noted: str) -> dict[str, str]:
    """The names by which addresses were given, from services whose note does not begin like this."""
    columns = [SERVICES.c[name] for name in ("ip", "port", "transport", "note", "name")]
    rows = rows_of(store, columns, run_id, only=SERVICES.c.name.is_not(None))
    return {unpack_address(row["ip"]): row["name"] for row in rows if not (row["note"] or "").startswith(but_noted)}


def newest_services(store: Store, run_id: str, limit: int) -> list[Service]:
    """The services of a run that were identified last, the newest first."""
    mine = (SERVICES.c.workspace == store.workspace, SERVICES.c.run == run_id)
    with store.read() as connection:
        found = connection.execute(select(SERVICES).where(*mine).order_by(SERVICES.c.at.desc()).limit(limit))
        return [service_of(row) for row in found.mappings()]


def count_services_of(store: Store, run_id: str) -> int:
    """How many endpoints of a run somebody has asked what they are."""
    mine = (SERVICES.c.workspace == store.workspace, SERVICES.c.run == run_id)
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(SERVICES).where(*mine)).scalar_one())


def findings(store: Store, run_id: str, endpoint: Endpoint | None = None) -> list[Finding]:
    """The findings of a run by address, port, transport and check; with `endpoint` only its own."""
    return [finding_of(row) for row in rows_of(store, FINDINGS.c, run_id, endpoint)]


def endpoints_noted(store: Store, run_id: str, beginning: str) -> list[Endpoint]:
    """The endpoints of a run whose note begins like this."""
    place = [SERVICES.c[name] for name in ("ip", "port", "transport")]
    mine = (SERVICES.c.workspace == store.workspace, SERVICES.c.run == run_id, SERVICES.c.note.startswith(beginning))
    with store.read() as connection:
        return [endpoint_of(row) for row in connection.execute(select(*place).where(*mine)).mappings()]


def endpoints_without_service(store: Store, run_id: str) -> list[Endpoint]:
    """Open endpoints that nobody spoke to yet, by address, port and transport."""
    place = [OBSERVATIONS.c[name] for name in ("ip", "port", "transport")]
    same = and_(
        SERVICES.c.workspace == store.workspace, SERVICES.c.run == run_id, *(SERVICES.c[each.name] == each for each in place)
    )
    query = (
        select(*place)
        .select_from(OBSERVATIONS.outerjoin(SERVICES, same))
        .where(OBSERVATIONS.c.run_key == run_key(store, run_id).scalar_subquery(), SERVICES.c.service.is_(None))
        .order_by(*place)
    )
    with store.read() as connection:
        return [endpoint_of(row) for row in connection.execute(query).mappings()]


def rows_of(
    store: Store,
    columns: Iterable[Column[Any]],
    run_id: str,
    endpoint: Endpoint | None = None,
    only: ColumnElement[bool] | None = None,
) -> Iterator[Mapping[Any, Any]]:
    """Columns of one table for a run, in the order of its key, a thousand rows in memory at a time."""
    given = tuple(columns)
    table = given[0].table
    query = select(*given).where(table.c.workspace == store.workspace, table.c.run == run_id)
    if endpoint is not None:
        query = query.where(*(table.c[name] == value for name, value in key_of(store, run_id, endpoint).items()))
    if only is not None:
        query = query.where(only)
    order = [column for column in table.primary_key if column.name not in {"workspace", "run"}]
    query = query.order_by(*order).execution_options(yield_per=BATCH)
    with store.read() as connection, connection.execute(query) as found:  # closed also where nobody reads to the end
        yield from found.mappings()


def key_of(store: Store, run_id: str, endpoint: Endpoint) -> dict[str, Any]:
    transport = Transport[endpoint.transport.upper()].value
    values = (store.workspace, run_id, pack_address(endpoint.ip), endpoint.port, transport)
    return dict(zip(ENDPOINT, values, strict=True))


def endpoint_of(row: Mapping[Any, Any]) -> Endpoint:
    return Endpoint(unpack_address(row["ip"]), row["port"], Transport(row["transport"]).label)


def row_of_service(service: Service) -> dict[str, Any]:
    return {
        "service": service.service,
        "confidence": service.confidence.value,
        "at": service.at,
        "product": service.product,
        "version": service.version,
        "cpe": list(service.cpe),
        "tls": service.tls.value,
        "rung": service.rung.value,
        "probe": service.probe,
        "facts": service.facts,
        "evidence": [json_of_turn(turn) for turn in service.evidence],
        "others": list(service.others),
        "note": service.note,
        "name": service.name,
    }


def service_of(row: Mapping[Any, Any]) -> Service:
    return Service(
        endpoint=endpoint_of(row),
        service=row["service"],
        confidence=Confidence(row["confidence"]),
        at=row["at"],
        product=row["product"],
        version=row["version"],
        cpe=tuple(row["cpe"]),
        tls=Tls(row["tls"]),
        rung=Rung(row["rung"]),
        probe=row["probe"],
        facts=row["facts"],
        evidence=tuple(turn_of(turn) for turn in row.get("evidence", ())),
        others=tuple(row["others"]),
        note=row["note"],
        name=row["name"],
    )


def json_of_turn(turn: Turn) -> Json:
    return asdict(turn) | {"sent": b64encode(turn.sent).decode(), "received": b64encode(turn.received).decode()}


def turn_of(value: Json) -> Turn:
    return Turn(**dict(value) | {"sent": b64decode(value["sent"]), "received": b64decode(value["received"])})


def row_of_finding(finding: Finding) -> dict[str, Any]:
    return {
        "check_name": finding.check,
        "id": finding.id,
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "title": finding.title,
        "evidence": finding.evidence,
        "remedy": finding.remedy,
        "attack": list(finding.attack),
        "sources": list(finding.references),
        "risk": finding.risk,
        "name": finding.name,
    }


def finding_of(row: Mapping[Any, Any]) -> Finding:
    return Finding(
        check=row["check_name"],
        id=row["id"],
        endpoint=endpoint_of(row),
        severity=Severity(row["severity"]),
        confidence=Confidence(row["confidence"]),
        title=row["title"],
        evidence=row["evidence"],
        remedy=row["remedy"],
        attack=tuple(row["attack"]),
        references=tuple(row["sources"]),
        risk=row["risk"],
        name=row["name"],
    )
