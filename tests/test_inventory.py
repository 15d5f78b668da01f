"""What counts as a change: the definitions of the design as a table, and the same by brute force on random measurements."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.inventory import Change, Measurement, certificate_end, compare_services, diff, is_flapping, kind_of
from reconshield.model import Confidence, Endpoint, Service, State, Tls, Transport
from store.examples import answers

BEFORE, AFTER = 1000.0, 2000.0
OPEN, CLOSED, FILTERED, UNSURE = State.OPEN, State.CLOSED, State.FILTERED, State.OPEN_FILTERED
SILENT, ABSENT = "silent", "absent"
"""Covered by the plan without an answer; not in the plan."""

Cell = State | str
HOST = "10.77.0.2"


def everything(rows: Any) -> Any:
    return np.ones(len(rows), bool)


def covering(*endpoints: tuple[str, int]) -> Callable[[Any], Any]:
    wanted = {(row["hi"].item(), row["lo"].item(), row["port"].item()) for row in answers(*((*e, OPEN) for e in endpoints))}
    return lambda rows: np.array([(r["hi"].item(), r["lo"].item(), r["port"].item()) in wanted for r in rows], bool)


def measured(cell: Cell, at: float, vantage: str = "local", transport: Transport = Transport.TCP) -> Measurement:
    """A run that looked at one endpoint, 10.77.0.2:110."""
    rows = answers((HOST, 110, cell), transport=transport, at=at - 1) if isinstance(cell, State) else answers()
    return Measurement(rows, vantage, at, covering((HOST, 110)) if cell == SILENT else covering())


TABLE: list[tuple[Cell, Cell, tuple[Any, ...] | None]] = [
    # before, after: kind, state before, state after, last seen, first seen
    (OPEN, OPEN, None),
    (CLOSED, OPEN, ("opened", "closed", "open", BEFORE - 1, AFTER - 1)),
    (FILTERED, OPEN, ("opened", "filtered", "open", BEFORE - 1, AFTER - 1)),
    (SILENT, OPEN, ("opened", "filtered", "open", BEFORE, AFTER - 1)),
    (ABSENT, OPEN, ("newly-measured", "not measured", "open", None, AFTER - 1)),
    (OPEN, CLOSED, ("closed", "open", "closed", BEFORE - 1, AFTER - 1)),
    (OPEN, SILENT, ("closed", "open", "filtered", BEFORE - 1, AFTER)),
    (OPEN, ABSENT, ("coverage-lost", "open", "not measured", BEFORE - 1, None)),
    (CLOSED, FILTERED, None),
    (CLOSED, ABSENT, None),
    (ABSENT, CLOSED, None),
    (SILENT, ABSENT, None),
]


@pytest.mark.parametrize(("before", "after", "expected"), TABLE)
def test_one_endpoint(before: Cell, after: Cell, expected: tuple[Any, ...] | None) -> None:
    changes = diff(measured(before, BEFORE), measured(after, AFTER))
    assert changes == ([Change(expected[0], Endpoint(HOST, 110), *expected[1:])] if expected else [])


def test_udp_silence_is_not_called_filtered() -> None:
    (change,) = diff(measured(OPEN, BEFORE, transport=Transport.UDP), measured(SILENT, AFTER, transport=Transport.UDP))
    assert (change.kind, change.after, str(change.endpoint)) == ("closed", "open|filtered", "10.77.0.2:110/udp")


@pytest.mark.parametrize(("after", "expected"), [(OPEN, ["newly-measured"]), (CLOSED, []), (ABSENT, [])])
def test_another_vantage_says_nothing_about_before(after: Cell, expected: list[str]) -> None:
    changes = diff(measured(OPEN, BEFORE, "office"), measured(after, AFTER, "internet"))
    assert [change.kind for change in changes] == expected


def test_the_same_port_on_tcp_and_udp_and_on_ipv4_and_ipv6_are_four_endpoints() -> None:
    hosts = ("10.77.0.2", "2001:db8::a4d:2")
    before = Measurement(answers(*((ip, 53, OPEN) for ip in hosts)), "local", BEFORE, everything)
    after = Measurement(answers(*((ip, 53, OPEN) for ip in hosts), transport=Transport.UDP), "local", AFTER, everything)
    assert [(change.kind, str(change.endpoint)) for change in diff(before, after)] == [
        ("closed", "10.77.0.2:53/tcp"),
        ("opened", "10.77.0.2:53/udp"),
        ("closed", "[2001:db8::a4d:2]:53/tcp"),
        ("opened", "[2001:db8::a4d:2]:53/udp"),
    ]


def test_an_open_answer_wins_over_a_later_reset_of_the_same_endpoint() -> None:
    both = answers((HOST, 110, CLOSED), (HOST, 110, OPEN), (HOST, 110, CLOSED))
    assert diff(measured(OPEN, BEFORE), Measurement(both, "local", AFTER)) == []


def test_nothing_and_nothing() -> None:
    assert diff(measured(ABSENT, BEFORE), measured(ABSENT, AFTER)) == []


POP3 = Service(
    Endpoint(HOST, 110),
    "pop3",
    Confidence.CONFIRMED,
    BEFORE,
    product="Dovecot",
    version="2.3",
    tls=Tls.STARTTLS,
    facts={"tls": {"certificate": {"sha256": "aa", "serial": "1"}}},
)


def certificate(**facts: str) -> dict[str, Any]:
    return {"facts": {"tls": {"certificate": facts}}}


DIFFERENCES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"service": "http", "product": "nginx"}, ["service", "product"]),
    ({"version": "2.4"}, ["version"]),
    ({"version": None, "product": None}, []),  # it did not say this time
    ({"tls": Tls.NONE}, ["tls"]),
    (certificate(sha256="bb"), ["certificate"]),
    (certificate(sha256="aa", serial="2"), []),  # the fingerprint decides
    ({"facts": {}}, []),
    ({"facts": {"tls": None}}, []),
    ({"service": "unknown"}, []),
    ({"service": "http", "confidence": Confidence.GUESS}, []),
    ({"service": "unknown", "confidence": Confidence.GUESS} | certificate(sha256="bb"), ["certificate"]),
    ({"note": "3 probes not tried", "at": AFTER}, []),
]


@pytest.mark.parametrize(("other", "fields"), DIFFERENCES)
def test_only_what_both_sides_learned_is_compared(other: dict[str, Any], fields: list[str]) -> None:
    assert list(compare_services(POP3, replace(POP3, **other))) == fields


def test_a_changed_service_names_its_fields_and_both_sides() -> None:
    now = replace(POP3, version="2.4", at=AFTER)
    before = replace(measured(OPEN, BEFORE), services={POP3.endpoint: POP3})
    after = replace(measured(OPEN, AFTER), services={now.endpoint: now})
    assert diff(before, after) == [
        Change("version-changed", POP3.endpoint, "open", "open", BEFORE, AFTER, POP3, now, ("version",)),
    ]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (("service", "product", "version"), "service-changed"),
        (("tls",), "service-changed"),
        (("version", "certificate"), "version-changed"),
        (("certificate",), "certificate-changed"),
    ],
)
def test_a_change_has_the_name_of_the_weightiest_difference(fields: tuple[str, ...], kind: str) -> None:
    assert kind_of(fields) == kind


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("2026-10-01", "2026-10-31", False),
        ("2026-10-31", "2026-11-02", True),  # 30 days before the first of December
        ("2026-11-02", "2026-11-03", False),
        ("2026-11-03", "2026-11-18", True),
        ("2026-11-25", "2026-11-29", False),
        ("2026-11-29", "2026-11-30", True),
        ("2026-11-30", "2026-12-02", True),  # it has ended
        ("2026-12-02", "2026-12-03", False),
        ("2026-06-01", "2026-12-03", True),
    ],
)
def test_the_end_of_a_certificate_is_told_a_few_times(before: str, after: str, told: bool) -> None:
    facts = certificate(sha256="aa", not_after="2026-12-01T00:00:00+00:00")
    was, now = (
        replace(POP3, at=datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp(), **facts) for day in (before, after)
    )
    runs = (replace(measured(OPEN, service.at), services={service.endpoint: service}) for service in (was, now))
    assert [change.kind for change in diff(*runs)] == (["certificate-expiring"] if told else [])


@pytest.mark.parametrize("end", ["soon", "", "9999-99-99"])
def test_a_certificate_that_does_not_say_its_end_is_not_expiring(end: str) -> None:
    assert certificate_end(replace(POP3, **certificate(sha256="aa", not_after=end))) is None


@pytest.mark.parametrize(
    ("states", "flapping"),
    [("", False), ("1", False), ("111011", False), ("101010", True), ("1100110", False), ("010111", False), ("01011010", True)],
)
def test_flapping_is_more_than_three_turns(states: str, flapping: bool) -> None:
    assert is_flapping([state == "1" for state in states]) is flapping


def test_opened_and_closed_carry_the_service() -> None:
    services = {POP3.endpoint: POP3}
    (opened,) = diff(measured(CLOSED, BEFORE), replace(measured(OPEN, AFTER), services=services))
    (closed,) = diff(replace(measured(OPEN, BEFORE), services=services), measured(CLOSED, AFTER))
    assert (opened.service_before, opened.service_after) == (None, POP3)
    assert (closed.service_before, closed.service_after) == (POP3, None)


HOSTS = ("0.0.0.0", "10.77.0.2", "255.255.255.255", "::", "2001:db8::2", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
PLACES = [(ip, port) for ip in HOSTS for port in (0, 1, 65535)]
CELLS = st.sampled_from([OPEN, CLOSED, FILTERED, UNSURE, State.UNREACHABLE, SILENT, ABSENT])


def world(cells: list[Cell], at: float) -> Measurement:
    here = list(zip(PLACES, cells, strict=True))
    rows = answers(*((*place, cell) for place, cell in here if isinstance(cell, State)), at=at)
    np.random.default_rng(len(rows)).shuffle(rows)
    return Measurement(rows, "local", at, covering(*(place for place, cell in here if cell == SILENT)))


def expected_kind(before: Cell, after: Cell) -> str | None:
    if after == OPEN:
        return None if before == OPEN else "newly-measured" if before == ABSENT else "opened"
    if before == OPEN:
        return "coverage-lost" if after == ABSENT else "closed"
    return None


@given(st.lists(CELLS, min_size=18, max_size=18), st.lists(CELLS, min_size=18, max_size=18))
def test_any_two_measurements_agree_with_the_definitions(before: list[Cell], after: list[Cell]) -> None:
    changes = {(c.endpoint.ip, c.endpoint.port): c.kind for c in diff(world(before, BEFORE), world(after, AFTER))}
    wanted = {place: expected_kind(*pair) for place, *pair in zip(PLACES, before, after, strict=True)}
    assert changes == {place: kind for place, kind in wanted.items() if kind}
