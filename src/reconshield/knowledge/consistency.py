"""What a service file must keep beyond the form of its fields: alone (`check_entry`), and among all others (`check_catalog`).

Pure functions from records to faults; a fault's path says which line is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from reconshield.knowledge import registry
from reconshield.knowledge.observed import observed_uses
from reconshield.knowledge.records import EndpointEntry, ServiceEntry, Source
from reconshield.toml.schema import Fault, Path

OWN_SOURCE = "reconshield"
"""The source of our own commands and measurements; it needs no entry in sources.toml."""


def check_entry(entry: ServiceEntry, stem: str) -> list[Fault]:
    """Faults that one entry has on its own."""
    faults: list[Fault] = []
    if entry.id != stem:
        faults.append(Fault(("id",), f"id = {entry.id!r} is not the name of the file", stem))
    if not entry.endpoint:
        faults.append(Fault((), "the entry has no endpoint", "[[endpoint]]"))
    if not entry.clusters:
        faults.append(Fault(("clusters",), "the entry is in no cluster", "at least one cluster"))
    seen: set[tuple[int, str]] = set()
    for number, endpoint in enumerate(entry.endpoint):
        path: Path = ("endpoint", number)
        if (endpoint.port, endpoint.transport) in seen:
            faults.append(Fault(path, f"{endpoint.port}/{endpoint.transport} stands twice", "one table an endpoint"))
        seen.add((endpoint.port, endpoint.transport))
        faults.extend(_check_endpoint(entry, endpoint, path))
    return faults


def _check_endpoint(entry: ServiceEntry, endpoint: EndpointEntry, path: Path) -> Iterator[Fault]:
    risk, at = endpoint.risk, (*path, "risk")
    if endpoint.twin is not None and endpoint.twin not in {other.port for other in entry.endpoint if other is not endpoint}:
        yield Fault((*path, "twin"), f"twin = {endpoint.twin} is no other endpoint of this file", "a port of this file")
    if risk.amplification is not None and endpoint.transport != "udp":
        yield Fault((*at, "amplification"), "amplification is rated on a tcp endpoint", "udp endpoints only")
    if risk.physical is not None and risk.physical.points and "ot" not in entry.clusters:
        yield Fault((*at, "physical"), "a physical effect is rated outside the cluster ot", "services of the cluster ot")
    if endpoint.role == "public" and risk.intended.points > 4:
        yield Fault((*at, "intended", "points"), "role public contradicts the points of intended", "0 or 4")
    if endpoint.role == "never" and risk.intended.points < 8:
        yield Fault((*at, "intended", "points"), "role never contradicts the points of intended", "8 or 10")
    if endpoint.tls == "implicit" and risk.transport.points:
        yield Fault((*at, "transport", "points"), "implicit TLS contradicts points for the transport", "0")


def check_catalog(
    services: Mapping[str, ServiceEntry], sources: Mapping[str, Source], techniques: Mapping[str, str]
) -> dict[str, list[Fault]]:
    """Faults among entries, by service id: unknown sources, techniques and ports, and names used twice."""
    ports = {(endpoint.port, endpoint.transport) for entry in services.values() for endpoint in entry.endpoint}
    faults: dict[str, list[Fault]] = {service_id: [] for service_id in services}
    for service_id, entry in services.items():
        for path, source in sources_of(entry):
            if source not in sources and source != OWN_SOURCE:
                faults[service_id].append(Fault(path, f"unknown source {source}", "an id in sources.toml"))
        for path, technique in _techniques_of(entry):
            if technique not in techniques:
                faults[service_id].append(Fault(path, f"unknown ATT&CK id {technique}", "an id in attack.tsv"))
        for number, relation in enumerate(entry.related):
            if not _is_known(relation.port, relation.transport, ports):
                message = f"{relation.port}/{relation.transport} is neither in the catalogue nor registered"
                faults[service_id].append(Fault(("related", number, "port"), message, "a known port"))
    for service_id, fault in _check_names(services):
        faults[service_id].append(fault)
    return faults


def _is_known(port: int, transport: str, documented: set[tuple[int, str]]) -> bool:
    key = (port, transport)
    return key in documented or key in observed_uses() or bool(registry.registered_names(port, transport))


def _check_names(services: Mapping[str, ServiceEntry]) -> Iterator[tuple[str, Fault]]:
    """A name must lead to one service: ids, registered names and aliases are unique over the whole catalogue."""
    owner = dict.fromkeys(services, "")
    owner = {name: name for name in owner}
    for service_id, entry in services.items():
        for key in ("registered", "aliases"):
            for name in getattr(entry, key):
                first = owner.setdefault(name.lower(), service_id)
                if first != service_id:
                    yield service_id, Fault((key,), f"the name {name} already leads to {first}", "a name of its own")
        if repeated := {name.lower() for name in entry.aliases} & {entry.id, *(name.lower() for name in entry.registered)}:
            yield service_id, Fault(("aliases",), f"the alias {min(repeated)} is already a name of this entry", "other names")


def sources_of(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every source id in a record, with its path."""
    for at, record in records_in(value, path):
        if isinstance(source := getattr(record, "source", None), str):
            yield (*at, "source"), source


def _techniques_of(value: Any) -> Iterator[tuple[Path, str]]:
    for at, record in records_in(value, ()):
        if isinstance(technique := getattr(record, "attack", None), str):
            yield (*at, "attack"), technique


def records_in(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """The record itself and every record inside it."""
    if isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from records_in(item, (*path, number))
    elif is_dataclass(value):
        yield path, value
        for item in fields(value):
            yield from records_in(getattr(value, item.name), (*path, item.name))
