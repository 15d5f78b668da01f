"""Throttling: free at first, then ever slower, never for good, whatever the clock does."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.access import LIMITS, Failures, Limit, Throttled, client_key, wait_seconds, worth_logging

limits = st.sampled_from(list(LIMITS.values()))
counts = st.integers(0, 10**9)
times = st.floats(-1e12, 1e12)


@given(limits, counts, times, times)
def test_nobody_waits_longer_than_the_longest(limit: Limit, count: int, last: float, now: float) -> None:
    assert 0 <= wait_seconds(limit, Failures(count, last), now) <= limit.longest


@given(limits, st.integers(0, 5000), st.floats(0, 1e6))
def test_more_failures_never_wait_less(limit: Limit, count: int, passed: float) -> None:
    now = 1e9
    waits = [wait_seconds(limit, Failures(each, now - passed), now) for each in (count, count + 1)]
    assert waits == sorted(waits)


@given(limits, counts, st.floats(0, 1e6), st.floats(0, 1e6))
def test_time_only_ever_helps(limit: Limit, count: int, passed: float, more: float) -> None:
    failures = Failures(count, 1e9)
    assert wait_seconds(limit, failures, 1e9 + passed + more) <= wait_seconds(limit, failures, 1e9 + passed)


@given(limits, counts)
def test_who_waits_as_told_may_try(limit: Limit, count: int) -> None:
    failures = Failures(count, 1e9)
    wait = wait_seconds(limit, failures, 1e9)
    assert wait_seconds(limit, failures, 1e9 + wait) == pytest.approx(0, abs=1e-6)


def test_the_first_failures_are_free_and_the_wait_doubles() -> None:
    limit = Limit(free=3, longest=60, forgets=3600)
    assert wait_seconds(limit, None, 0) == 0
    assert [wait_seconds(limit, Failures(n, 0), 0) for n in range(1, 11)] == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert wait_seconds(limit, Failures(99, 0), 3600) == 0


def test_guessing_goes_on_slowly_enough() -> None:
    """Of the 10^6 codes three fit at a time: after a day of guessing the odds are still below one in a thousand."""
    limit, now, tried, failures = LIMITS["totp"], 0.0, 0, None
    while now < 86400:
        now += wait_seconds(limit, failures, now)
        tried, failures = tried + 1, Failures(tried + 1, now)
    assert tried * 3 / 10**6 < 1e-3


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1))
def test_a_client_of_ipv6_is_its_network(address: int, other: int) -> None:
    one = ipaddress.IPv6Address(address)
    neighbour = ipaddress.IPv6Address((address >> 64 << 64) | other)
    if one.ipv4_mapped is None and neighbour.ipv4_mapped is None:
        assert client_key(str(one)) == client_key(str(neighbour))


def test_one_client_has_one_key() -> None:
    assert client_key("10.0.0.1") == client_key("::ffff:10.0.0.1") == client_key(" 10.0.0.1 ") == "10.0.0.1"
    assert client_key("fe80::1%eth0") == "fe80::/64"
    assert client_key("10.0.0.1") != client_key("10.0.0.2")


@given(st.text())
def test_any_text_makes_a_short_key(text: str) -> None:
    assert len(client_key(text)) <= 48


def test_the_log_gets_each_doubling() -> None:
    assert [n for n in range(-1, 100) if worth_logging(n)] == [1, 2, 4, 8, 16, 32, 64]


def test_the_wait_is_said_in_whole_seconds_and_never_too_short() -> None:
    assert "in 1 s" in (Throttled(0.2).hint or "")
    assert "in 3 s" in (Throttled(2.1).hint or "")
    assert Throttled(2.5).seconds == 2.5
