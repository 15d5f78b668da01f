"""All that a stored run knows of one endpoint, and every sighting of an endpoint over all runs. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from reconshield.addresses import parse_address, text_of
from reconshield.checks.rules import CHECKS
from reconshield.errors import UserError
from reconshield.jobs.coverage import find_observation, is_import
from reconshield.jobs.judge import Judge
from reconshield.jobs.results import held_of, load_head
from reconshield.model import Endpoint, Observation
from reconshield.report.evidence import EndpointEvidence
from reconshield.report.listing import Seen
from reconshield.store import services as kept
from reconshield.store.db import Store
from reconshield.store.history import endpoint_history
from reconshield.store.runs import Run, find_run, list_runs

HINT = "write it as 192.0.2.7:110, 192.0.2.7:53/udp or [2001:db8::7]:110"


@dataclass(frozen=True, slots=True)
class Place:
    """An endpoint as somebody writes it: a host, and perhaps a port and a transport."""

    host: str
    port: int | None = None
    transport: str | None = None


def parse_place(text: str) -> Place:
    """Read `HOST`, `HOST:PORT`, `[IPv6]:PORT`, each with `/tcp` or `/udp` if wanted. Raises UserError for anything else."""
    plain, slash, transport = text.strip().partition("/")
    if slash and transport.lower() not in {"tcp", "udp"}:
        raise UserError("a transport is tcp or udp", where=text, hint=HINT)
    host, colon, port = plain.rpartition(":")
    if plain.startswith("[") or plain.count(":") == 1:
        closed = host.startswith("[") == host.endswith("]")
        if not (colon and closed and port.isascii() and port.isdecimal() and int(port) <= 65_535):
            raise UserError("this is no endpoint", where=text, hint=HINT)
        return Place(host.strip("[]"), int(port), transport.lower() or None)
    if slash or not plain:
        raise UserError("this is no endpoint", where=text, hint=HINT)
    return Place(plain)


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def load_evidence(store: Store, run_text: str, endpoint_text: str) -> EndpointEvidence:
    """What a run knows of an endpoint. Raises UserError when it did not measure it."""
    place = parse_place(endpoint_text)
    if place.port is None:
        raise UserError("an endpoint has a port", where=endpoint_text, hint=HINT)
    run = find_run(store, run_text)
    ip = find_address(store, run, place, endpoint_text)
    for transport in (place.transport,) if place.transport else ("tcp", "udp"):
        endpoint = Endpoint(ip, place.port, transport)
        if (seen := find_observation(store, run, endpoint)) is not None:
            return gather(store, run, seen)
    host = f"[{ip}]" if ":" in ip else ip
    raise UserError(
        f"run {run.id} did not measure {host}:{place.port}",
        where=endpoint_text,
        hint=f"reconshield history {host}:{place.port}, or: reconshield scan {ip} -p {place.port}",
    )


def find_address(store: Store, run: Run, place: Place, text: str) -> str:
    """The address meant; a name is one that a target of the run was given by."""
    if is_address(place.host):
        return text_of(parse_address(place.host))
    wanted = place.host.lower()
    named = [s.endpoint for s in kept.services(store, run.id) if s.name and s.name.lower() == wanted]
    if not named:
        raise UserError("this run has no target of that name", where=text, hint=HINT)
    return next((endpoint.ip for endpoint in named if endpoint.port == place.port), named[0].ip)


def gather(store: Store, run: Run, seen: Observation) -> EndpointEvidence:
    endpoint = seen.endpoint
    found = kept.services(store, run.id, endpoint)
    service = found[0] if found else None
    refuted = {c.id.replace("{service}", service.service): c.refuted for c in CHECKS} if service else {}
    return EndpointEvidence(
        head=load_head(run),
        endpoint=endpoint,
        observation=seen,
        service=Judge(run.vantage, run.started).rate(service) if service else None,
        findings=tuple(kept.findings(store, run.id, endpoint)),
        refuted=refuted,
        held=held_of(endpoint),
        imported=is_import(run),
    )


def load_sightings(store: Store, text: str) -> tuple[Seen, ...]:
    """Every sighting of an address (its answers), or of one endpoint of it (its silence too), the newest run first."""
    place = parse_place(text)
    if not is_address(place.host):
        raise UserError(f"{place.host[:60]} is no address", where=text, hint=HINT)
    ip = text_of(parse_address(place.host))
    found = one_endpoint(store, ip, place) if place.port is not None else every_answer(store, ip)
    return tuple(found)


def every_answer(store: Store, ip: str) -> Iterator[Seen]:
    for sighting in endpoint_history(store, ip):
        service = sighting.service
        rated = Judge(sighting.vantage, sighting.observation.at).rate(service) if service else None
        yield Seen(sighting.run, sighting.vantage, sighting.observation, rated)


def one_endpoint(store: Store, ip: str, place: Place) -> Iterator[Seen]:
    """The endpoint in every run that measured it; runs that are still going or failed to import are left out."""
    for run in list_runs(store):
        if is_import(run) and run.state not in {"complete", "partial"}:
            continue
        for transport in (place.transport,) if place.transport else ("tcp", "udp"):
            endpoint = Endpoint(ip, place.port or 0, transport)
            seen = find_observation(store, run, endpoint)
            if seen is not None:
                found = kept.services(store, run.id, endpoint)
                rated = Judge(run.vantage, run.started).rate(found[0]) if found else None
                yield Seen(run.id, run.vantage, seen, rated)
