"""Parts of long lists by the key of the last row, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reconshield.model import Confidence, Endpoint, Finding, Service, Severity, State
from reconshield.store.db import Store
from reconshield.store.observations import save_block
from reconshield.store.parts import findings_after, open_after, opened_at, services_after
from reconshield.store.services import save_service
from store.examples import NOW, answers, begin_run

PLACES = [
    Endpoint(ip, port, transport)
    for ip in ("10.0.0.9", "10.0.0.10", "2001:db8::1")
    for port in (22, 110, 65535)
    for transport in ("tcp", "udp")
]


def every(part: Callable[[Any], list[Any]], key: Callable[[Any], Any]) -> list[Any]:
    """A list read two rows at a time."""
    found: list[Any] = []
    while rows := part(key(found[-1]) if found else None):
        assert len(rows) <= 2
        found += rows
    return found


def test_services_and_findings_come_in_parts_without_a_gap(store: Store) -> None:
    run, other = begin_run(store, NOW), begin_run(store, NOW + 1)
    for number, place in enumerate(PLACES):
        service = Service(place, "pop3", Confidence.CONFIRMED, NOW, note="not believed: x" if number == 3 else None)
        severity = Severity.HIGH if number % 2 else Severity.LOW
        found = [Finding(f"check-{n}", f"{number}-{n}", place, severity, Confidence.CONFIRMED, "t", {}, "r") for n in (1, 2)]
        save_service(store, run.id, service, found)
    save_service(store, other.id, Service(PLACES[0], "smtp", Confidence.GUESS, NOW), [])

    services = every(lambda last: services_after(store, run.id, last, 2, "not believed"), lambda service: service.endpoint)
    assert {service.endpoint for service in services} == {*PLACES} - {PLACES[3]}
    assert len(services) == len(PLACES) - 1
    findings = every(
        lambda last: findings_after(store, run.id, last, 2, [Severity.HIGH]), lambda finding: (finding.endpoint, finding.check)
    )
    assert len(findings) == len(PLACES)
    assert {finding.severity for finding in findings} == {Severity.HIGH}
    foreign = replace(store, workspace="other")
    assert not services_after(foreign, run.id, None, 2, "-")
    assert not findings_after(foreign, run.id, None, 2, list(Severity))


def test_open_endpoints_come_by_port(store: Store) -> None:
    run = begin_run(store, NOW)
    save_block(store, run.id, 0, answers(*((place.ip, place.port, State.OPEN) for place in PLACES if place.transport == "tcp")))
    seen = every(lambda last: open_after(store, run.id, last, 2), lambda each: each.endpoint)
    assert [each.endpoint.port for each in seen] == [22, 22, 22, 110, 110, 110, 65535, 65535, 65535]
    assert len({each.endpoint for each in seen}) == 9
    assert opened_at(store, "local", NOW, PLACES) == {}
