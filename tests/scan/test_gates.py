"""Limits for columns of packets, beside a slow reader that takes them one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reconshield.addresses import parse_address
from reconshield.scan.batch import split_address
from reconshield.scan.gates import HostGate, Meter, NetGate


def columns(*addresses: str) -> tuple[np.ndarray, np.ndarray]:
    halves = [split_address(parse_address(address)) for address in addresses]
    return tuple(np.array([half[at] for half in halves], dtype=np.uint64) for at in (0, 1))  # type: ignore[return-value]


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=30), min_size=1, max_size=8),
    st.floats(0.0, 0.3),
)
def test_a_meter_is_a_bucket_for_each_place(turns: list[list[int]], slack: float) -> None:
    rate = 20.0
    meter, due = Meter(rate, slack, bits=3), dict.fromkeys(range(8), 0.0)
    for turn, places in enumerate(turns):
        now = 1.0 + turn / 16
        started = {place: max(now, due[place]) for place in set(places)}
        wanted, counts = [], dict.fromkeys(places, 0)
        for place in places:
            allowed = started[place] + counts[place] / rate <= now + slack
            counts[place] += 1
            wanted.append(allowed)
        for place in set(places):
            due[place] = started[place] + sum(w for w, p in zip(wanted, places, strict=True) if p == place) / rate
        assert meter.admit(np.array(places), now).tolist() == wanted


def test_a_host_gets_no_more_than_its_rate() -> None:
    gate = HostGate(1000.0)
    hi, lo = columns(*["192.0.2.7"] * 100)
    sent = sum(int(gate.admit(hi, lo, 5.0 + turn * 0.001).sum()) for turn in range(1000))
    assert 1000 <= sent <= 1011


def test_hosts_do_not_hold_up_each_other() -> None:
    gate = HostGate(10.0)
    assert gate.admit(*columns("192.0.2.7", "192.0.2.7", "192.0.2.8", "2001:db8::8"), 5.0).tolist() == [True, False, True, True]


def test_a_silent_network_is_asked_slowly() -> None:
    gate = NetGate(100.0)
    hi, lo = columns(*(f"192.0.2.{n}" for n in range(256)))
    first = gate.admit(hi, lo, 10.0)
    assert first.sum() == 101
    assert gate.admit(hi[~first], lo[~first], 10.5).sum() == 50


def test_a_second_port_of_an_address_costs_nothing_within_a_second() -> None:
    gate = NetGate(0.25)
    same = columns("192.0.2.1", "192.0.2.1", "192.0.2.2", "198.51.100.1")
    assert gate.admit(*same, 10.0).tolist() == [True, True, False, True]
    assert gate.admit(*columns("192.0.2.1"), 10.9).tolist() == [True]
    assert gate.admit(*columns("192.0.2.1"), 11.2).tolist() == [False]


def test_who_answers_gives_back_what_it_used() -> None:
    gate = NetGate(1.0)
    two = columns("192.0.2.1", "192.0.2.2")
    assert gate.admit(*two, 10.0).all()
    assert not gate.admit(*columns("192.0.2.3"), 10.0).any()
    gate.answered(*two)
    gate.answered(*two)
    assert gate.admit(*columns("192.0.2.3", "192.0.2.4", "192.0.2.5"), 10.0).sum() == 2
    assert gate.admit(*two, 20.0).all()


def test_an_ipv6_network_is_a_64() -> None:
    gate = NetGate(1.0)
    wanted = columns("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:1::3", "2001:db8:0:2::1")
    assert gate.admit(*wanted, 10.0).tolist() == [True, True, False, True]
