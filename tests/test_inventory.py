"""What counts as a change: the definitions of the design as a table, and the same by brute force on random measurements."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.inventory import Change, Measurement, compare_services, diff
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
        Change("changed", POP3.endpoint, "open", "open", BEFORE, AFTER, POP3, now, ("version",)),
    ]


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
