"""Pacing is arithmetic on given times: these tests are its tables."""

from __future__ import annotations

import pytest

from reconshield.scan.pacing import HostLimit, LossMeter, RoundTrip, TokenBucket, Window, estimate_recall, wilson


@pytest.mark.parametrize("rate", [3.0, 1000.0, 50_000.0])
@pytest.mark.parametrize("tick", [0.0007, 0.004])
def test_bucket_never_exceeds_its_rate_and_reaches_it(rate: float, tick: float) -> None:
    bucket = TokenBucket(rate)
    steps = round(3 / tick)
    sent = sum(bucket.take(step * tick, 10_000) for step in range(steps + 1))
    assert sent <= rate * steps * tick + max(1.0, rate * 0.005)
    assert sent >= rate * steps * tick * 0.97 - 1


def test_bucket_after_a_pause_does_not_catch_up() -> None:
    bucket = TokenBucket(1000)
    bucket.take(0.0, 10)
    assert bucket.take(60.0, 10_000) == 5
    assert bucket.wait() == pytest.approx(0.001)
    bucket.give_back(2)
    assert bucket.take(60.0, 10) == 2


def test_no_rate_is_no_limit() -> None:
    assert TokenBucket(None).take(0.0, 123) == 123
    assert TokenBucket(None).wait() == 0


def test_host_limit_is_per_host() -> None:
    limit = HostLimit(100)
    sent = {"a": 0, "b": 0}
    for step in range(20_001):  # ten seconds; a is asked for all the time, b now and then
        now = step * 0.0005
        for host in ("a", "b") if step % 100 == 0 else ("a",):
            if limit.ready_at(host, now) <= now:
                limit.count(host, now)
                sent[host] += 1
    assert 1000 <= sent["a"] <= 1002
    assert sent["b"] == 201


def test_host_limit_forgets_who_owes_nothing() -> None:
    limit = HostLimit(1000)
    for number in range(100_000):
        limit.count(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", number * 0.0001)
    assert len(limit) <= 4096


def test_round_trip_by_hand() -> None:
    """RFC 6298 §2: first sample R gives SRTT = R, RTTVAR = R/2, then 7/8 and 3/4 of the old values."""
    rtt = RoundTrip(floor=0.001)
    assert (rtt.timeout(), rtt.timeout(1), rtt.timeout(5)) == (1.2, 2.4, 3.0)
    rtt.sample(0.2)
    assert rtt.timeout() == pytest.approx(0.6)
    rtt.sample(0.1)
    assert rtt.smoothed == pytest.approx(0.1875)
    assert rtt.timeout() == pytest.approx(0.1875 + 4 * 0.1)


def test_round_trip_keeps_its_floor() -> None:
    rtt = RoundTrip(floor=0.1)
    for _ in range(50):
        rtt.sample(0.0001)
    assert (rtt.timeout(), rtt.timeout(1)) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("answered", "recovered", "allowed"),
    [(1000, 0, 1), (1000, 2, 1), (1000, 5, 1), (1000, 20, 2), (1000, 50, 3), (1000, 200, 4), (10, 90, 4)],
)
def test_retries_follow_the_loss(answered: int, recovered: int, allowed: int) -> None:
    assert LossMeter(answered=answered, recovered=recovered).allowed() == allowed


def test_window_doubles_per_round_and_stops_at_its_most() -> None:
    window = Window(most=1000, size=100)
    for _ in range(100):
        window.finished(1)
    assert window.size == 200
    for _ in range(5000):
        window.finished(1)
    assert (window.size, window.room(900), window.slowed) == (1000, 100, None)


def test_window_takes_some_loss_and_halves_at_much() -> None:
    window = Window(most=1000, size=1000)
    for number in range(5000):
        window.answered(1, int(number % 50 == 0))  # 2 %
    assert window.size == 1000
    for number in range(100):
        window.answered(1, int(number % 10 == 0))  # 10 %
    assert window.size == 500
    assert window.slowed == "slowed to 500 connections at once: replies are lost"


def test_window_falls_to_what_the_system_allows_and_creeps_up() -> None:
    window = Window(most=8192, size=4096)
    window.starved(1000, "no more files")
    assert (window.size, window.slowed) == (750, "slowed to 750 connections at once: no more files")
    for _ in range(750):
        window.finished(1)
    assert 750.9 < window.size < 751.1
    window.starved(0, "no more files")
    assert window.size == 1


def test_the_interval_of_a_share() -> None:
    """Newcombe 1998, table I: 81 of 263 and 0 of 20 by Wilson's method without continuity correction."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_recall_from_loss() -> None:
    assert estimate_recall(0, 0, 1) is None
    low, high = estimate_recall(10_000, 0, 1) or (0, 0)
    assert low > 0.9999998
    assert high == 1.0
    low, high = estimate_recall(96_000, 4_000, 1) or (0, 0)  # four in a hundred, so three attempts
    assert 0.9999 < low < 1 - 0.04**3 < high < 1
