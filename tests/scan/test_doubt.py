"""Which hosts and ports are hard to believe: counts in, crowds out; a second look in, endpoints worth asking out."""

from __future__ import annotations

import pytest

from reconshield.model import Endpoint, Observation, Reason, State
from reconshield.scan.batch import Batch, from_records
from reconshield.scan.doubt import USUAL, Crowd, Outcome, choose, find_hosts, find_ports, is_doubtful, may_have_crowds

HOST = "10.0.0.5"


def answers(*rows: tuple[str, range, State]) -> Batch:
    return from_records(
        Observation(Endpoint(ip, port), state, Reason.SYN_ACK, 0.0) for ip, ports, state in rows for port in ports
    )


@pytest.mark.parametrize(
    ("opened", "closed", "ports", "doubtful"),
    [
        (1000, 0, 1000, True),
        (900, 100, 1000, True),
        (899, 101, 1000, False),
        (31, 0, 31, False),  # a list of known ports, all open, is nothing odd
        (32, 0, 32, True),
        (20, 0, 1000, False),  # the rest was silent
    ],
)
def test_hosts(opened: int, closed: int, ports: int, doubtful: bool) -> None:
    seen = answers((HOST, range(1, opened + 1), State.OPEN), (HOST, range(opened + 1, opened + closed + 1), State.CLOSED))
    assert find_hosts(seen, ports) == ([Crowd(ports, opened, ip=HOST)] if doubtful else [])
    assert may_have_crowds(opened, ports, 1) == doubtful


def test_each_host_is_counted_for_itself() -> None:
    seen = answers(
        ("10.0.0.1", range(1, 41), State.OPEN), ("fd00::1", range(1, 41), State.OPEN), (HOST, range(1, 9), State.OPEN)
    )
    assert [crowd.ip for crowd in find_hosts(seen, 40)] == ["10.0.0.1", "fd00::1"]


@pytest.mark.parametrize(
    ("hosts", "measured", "doubtful"), [(254, 254, True), (242, 254, True), (240, 254, False), (20, 20, False)]
)
def test_ports(hosts: int, measured: int, doubtful: bool) -> None:
    seen = answers(*((f"10.0.{number // 250}.{number % 250}", range(25, 26), State.OPEN) for number in range(hosts)))
    assert [crowd.port for crowd in find_ports(seen, measured)] == ([25] if doubtful else [])
    assert may_have_crowds(hosts, 1, measured) == doubtful


def outcomes(**counts: int) -> dict[Endpoint, Outcome]:
    every = [Outcome[name] for name, number in counts.items() for _ in range(number)]
    return {Endpoint(HOST, port): outcome for port, outcome in enumerate(every, 1)}


def usual(place: Endpoint) -> bool:
    return place.port % 2 == 0


@pytest.mark.parametrize(
    ("shown", "chosen"),
    [
        ({"HELD": 3, "CLOSED": 997}, 3),  # a SYN proxy before three services
        ({"SPOKE": 2, "HELD": 60, "LOST": 938}, 62),
        ({"HELD": 100, "CLOSED": 900}, 100),  # a tenth may well be real
        ({"SPOKE": 60, "HELD": 30, "CLOSED": 2, "LOST": 1}, 92),  # ports that were known to be open; two hang up on strangers
        ({"HELD": 1000}, USUAL),  # a tarpit: only what usually is a service
        ({"SPOKE": 1000}, USUAL),
        ({"CLOSED": 1000}, 0),
    ],
)
def test_what_is_worth_asking(shown: dict[str, int], chosen: int) -> None:
    found = choose(Crowd(1000, 1000, ip=HOST), outcomes(**shown), usual)
    assert len(found) == chosen
    assert sum(shown.values()) < 1000 or len(found) == sum(shown.get(n, 0) for n in ("HELD", "SPOKE")) or all(map(usual, found))


@pytest.mark.parametrize(
    ("crowd", "confirmed", "alike", "doubtful"),
    [
        (Crowd(40, 40, ip=HOST), 40, 40, False),
        (Crowd(40, 40, ip=HOST), 19, 1, True),
        (Crowd(254, 254, port=80), 254, 20, False),
        (Crowd(254, 254, port=80), 254, 250, True),  # the same answer everywhere
        (Crowd(254, 254, port=80), 0, 0, True),
    ],
)
def test_what_is_said_in_the_end(crowd: Crowd, confirmed: int, alike: int, doubtful: bool) -> None:
    assert is_doubtful(crowd, confirmed, alike) is doubtful
