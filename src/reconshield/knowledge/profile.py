"""The true answer for any port: what is registered, what is in use, how bad it is, and what to do.

    profile(110) -> one Profile for each transport and service in use, the likelier first
    profile_by_name("pop3") -> the profiles of all its endpoints

Every number 0-65,535 answers on both transports. Three things stay apart: the names that IANA registers, the service that
people run, and the transport that is really used. A port without an entry is not padded: it gets its registered names, its
range class, its neighbours and the rating of the unidentified.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from reconshield.errors import UserError
from reconshield.knowledge import registry
from reconshield.knowledge.catalog import SERVICES, load_service
from reconshield.knowledge.index import EndpointSummary, load_index
from reconshield.knowledge.names import find_endpoints, unknown_name
from reconshield.knowledge.observed import observed_uses
from reconshield.knowledge.ports import check_port
from reconshield.knowledge.records import EndpointEntry, ServiceEntry, Step
from reconshield.knowledge.risk import UNKNOWN, Lower, base_risk, would_lower
from reconshield.knowledge.steps import steps_for
from reconshield.model import Risk


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A port near or related to another: its name, why it is named here, and its base score where it has an entry."""

    port: int
    transport: str
    name: str
    because: str
    score: int | None = None
    rating: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a port on one transport. `entry` and `endpoint` are None where nothing is documented."""

    port: int
    transport: str
    service: str | None
    name: str
    full_name: str
    answer: str
    answer_source: str
    registered: Mapping[str, tuple[str, ...]]
    in_use: tuple[str, ...]
    range: registry.RangeClass
    risk: Risk
    would_lower: tuple[Lower, ...] = ()
    related: tuple[Neighbour, ...] = ()
    entry: ServiceEntry | None = None
    endpoint: EndpointEntry | None = None
    steps: tuple[Step, ...] = ()


def profile(port: int, transport: str | None = None) -> tuple[Profile, ...]:
    """The profiles of a port, the likelier first; at least one for every number from 0 to 65,535.

    With a transport only that one is answered. Without, an undocumented port answers for the transport that it is registered
    on (TCP first). Raises UserError for a number that is no port.
    """
    check_port(port, str(port))
    index = load_index()
    rows = [row for name in _wanted(transport) for row in index.at(port, name)]
    if rows:
        rows.sort(key=lambda row: (row.position > 0, row.transport != "tcp", row.service))
        return tuple(_documented(row) for row in _likelier_first(rows))
    return (_undocumented(port, transport or _likelier_transport(port)),)


def profile_by_name(name: str, transport: str | None = None) -> tuple[Profile, ...]:
    """The profiles of a service by id, alias or registered name. Raises UserError with the nearest name for an unknown one."""
    if rows := [row for row in find_endpoints(name) if transport in (None, row.transport)]:
        return tuple(_documented(row) for row in rows)
    ports = dict.fromkeys(row.low for row in registry.port_of_name(name))
    if not ports:
        raise unknown_name(name)
    return tuple(found for port in ports for found in profile(port, transport))


def base_for(service: str, port: int, transport: str, tls: str = "none") -> Risk:
    """The base rating of an identified service: of its endpoint on this port, else of one with the same TLS form, else its own.

    An unknown service has the rating of the unidentified.
    """
    if service not in load_index().services:
        return UNKNOWN
    endpoints = _entry(service).endpoint
    best = max(endpoints, key=lambda row: (row.transport == transport, _tls_fits(row.tls, tls), row.port == port))
    return base_risk(best)


def _tls_fits(usual: str, seen: str) -> bool:
    """TLS from the first byte is another endpoint than clear text or an upgrade."""
    return (usual == "implicit") == (seen == "implicit")


def _wanted(transport: str | None) -> tuple[str, ...]:
    return ("tcp", "udp") if transport is None else (transport,)


def _likelier_first(rows: list[EndpointSummary]) -> Iterable[EndpointSummary]:
    """A service that names a transport first uses it most: DNS lists 53/udp before 53/tcp."""
    order = {(row.service, row.transport): row.position for row in rows}
    return sorted(rows, key=lambda row: order[row.service, row.transport])


@cache
def _entry(service: str) -> ServiceEntry:
    return load_service(SERVICES / f"{service}.toml")


def _registered(port: int) -> dict[str, tuple[str, ...]]:
    return {transport: registry.registered_names(port, transport) for transport in ("tcp", "udp")}


def _likelier_transport(port: int) -> str:
    names = _registered(port)
    return "udp" if names["udp"] and not names["tcp"] else "tcp"


def _documented(row: EndpointSummary) -> Profile:
    entry = _entry(row.service)
    endpoint = entry.endpoint[row.position]
    index = load_index()
    return Profile(
        port=row.port,
        transport=row.transport,
        service=entry.id,
        name=endpoint.name or entry.name,
        full_name=entry.full_name,
        answer=entry.answer.text + (" (unverified)" if entry.answer.confidence == "unverified" else ""),
        answer_source=entry.answer.source,
        registered=_registered(row.port),
        in_use=tuple(name for name in ("tcp", "udp") if index.at(row.port, name)),
        range=registry.range_class(row.port),
        risk=base_risk(endpoint),
        would_lower=would_lower(entry, endpoint),
        related=tuple(_relate(relation.port, relation.transport, relation.because) for relation in entry.related),
        entry=entry,
        endpoint=endpoint,
        steps=steps_for(entry, endpoint),
    )


def _relate(port: int, transport: str, because: str) -> Neighbour:
    if rows := load_index().at(port, transport):
        return Neighbour(port, transport, rows[0].name, because, rows[0].score, rows[0].rating)
    observed = observed_uses().get((port, transport))
    names = registry.registered_names(port, transport)
    return Neighbour(port, transport, observed.name if observed else ", ".join(names), because)


def _undocumented(port: int, transport: str) -> Profile:
    registered, index = _registered(port), load_index()
    names, observed = registered[transport], observed_uses().get((port, transport))
    titles = [row.title for row in registry.assignments(port) if row.covers(transport) and row.title]
    return Profile(
        port=port,
        transport=transport,
        service=None,
        name=observed.name if observed else names[0] if names else "no documented service",
        full_name="" if observed or not titles or titles[0].lower() == names[0] else titles[0],
        answer=_answer(port, transport, names, observed.name if observed else ""),
        answer_source=observed.source if observed else "iana-ports",
        registered=registered,
        in_use=tuple(name for name in ("tcp", "udp") if index.at(port, name)),
        range=registry.range_class(port),
        risk=UNKNOWN,
        related=tuple(_neighbours(port, transport)),
    )


def _answer(port: int, transport: str, names: tuple[str, ...], observed: str) -> str:
    if observed:
        return f"Often {observed}, which IANA does not register. Identify what answers before you judge it."
    if others := load_index().at(port, "udp" if transport == "tcp" else "tcp"):
        used = f"{others[0].name} uses this number over {others[0].transport} only."
        return f"{used} What answers over {transport} is something else."
    if names:
        return "Registered, but no service is documented here. Any program can listen on it: identify it first."
    return "No service is registered or documented here. Any program can listen on it: identify it first."


def _neighbours(port: int, transport: str) -> Iterable[Neighbour]:
    """The nearest documented ports and the nearest registered ones, below and above."""
    documented = _documented_ports(transport)
    seen: set[int] = {port}
    for ports, limit in ((documented, 65535), (registry.registered_ports(), 8)):
        below, above = bisect_left(ports, port) - 1, bisect_right(ports, port)
        for position in (below, above):
            if not 0 <= position < len(ports) or ports[position] in seen or abs(ports[position] - port) > limit:
                continue
            near = _relate(ports[position], transport, f"{abs(ports[position] - port):,} away")
            if near.name:
                seen.add(near.port)
                yield near


@cache
def _documented_ports(transport: str) -> tuple[int, ...]:
    return tuple(sorted(port for port, name in load_index().ports if name == transport))


def find_port(text: str) -> int | None:
    """The port number that a text writes, or None when it is a name. Raises UserError for a number that is no port."""
    digits = text.strip()
    if not digits.lstrip("-").isdecimal():
        return None
    if len(digits) > 9:
        raise UserError("that number is out of range (0–65535)", where=text[:20], hint="reconshield port 110")
    check_port(int(digits), text)
    return int(digits)
