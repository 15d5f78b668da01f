"""The rate that finds a path's limit: a path is played packet by packet, and what the rate makes of it is read."""

from __future__ import annotations

import random
import statistics
from collections import deque
from collections.abc import Callable

import pytest

from reconshield.scan.path_rate import LEAST_RATE, PathRate

TURN = 0.005
Loss = Callable[[float, float], float]
"""The share of packets that a path loses at so many a second, and at which time."""


def play(
    path: PathRate, loss: Loss, seconds: float, *, share: float = 0.05, delay: float = 0.02, most: float = 1e9, seed: int = 7
) -> list[float]:
    """Send for a while at the path's rate, a share of it controls; give the rate of every turn."""
    rng, rates = random.Random(seed), []
    pending: deque[tuple[float, object, bool]] = deque()
    due = 0.0
    for turn in range(int(seconds / TURN)):
        now = turn * TURN
        rate = min(path.rate, most)
        due += min(640.0, share * rate) * TURN
        while due >= 1:
            due -= 1
            pending.append((now + delay, path.ask(), rng.random() >= loss(rate, now)))
        while pending and pending[0][0] <= now:
            _, group, answered = pending.popleft()
            (path.answer if answered else path.lose)(group)  # type: ignore[arg-type]
        path.step(now, delay, rate, controls=share > 0)
        rates.append(path.rate)
    return rates


def policed(limit: float, base: float = 0.0) -> Loss:
    """A path that lets so many packets through and loses a share of them besides."""
    return lambda rate, _: 1 - (1 - base) * min(1.0, limit / rate)


def mean(rates: list[float]) -> float:
    return sum(rates) / len(rates)


@pytest.mark.parametrize("limit", [5_000, 20_000, 200_000])
@pytest.mark.parametrize("base", [0.0, 0.04])
def test_a_policer_is_found(limit: float, base: float) -> None:
    path = PathRate()
    rates = play(path, policed(limit, base), 12)
    settled = rates[len(rates) // 2 :]
    assert 0.75 * limit < mean(settled) < 1.35 * limit
    assert path.slowed is not None
    assert "replies are lost" in path.slowed


def test_a_path_without_limit_is_not_held_back() -> None:
    path = PathRate(ceiling=25_000)
    rates = play(path, lambda *_: 0.0, 2)
    assert rates[0] < 5_000
    assert rates[-1] == 25_000
    assert path.slowed is None


@pytest.mark.parametrize("share", [0.33, 0.5])
def test_a_lossy_path_is_no_slow_path(share: float) -> None:
    """So much is lost at any speed: slowing down does not help, so it is not kept up. Chance may have it otherwise at times."""
    settled = []
    for seed in range(9):
        path = PathRate(ceiling=25_000)
        rates = play(path, lambda *_: share, 10, seed=seed)
        settled.append(mean(rates[len(rates) // 2 :]))
    assert statistics.median(settled) > 20_000


def test_a_limit_that_goes_away_is_noticed() -> None:
    path = PathRate(ceiling=25_000)
    policer = policed(2_000)
    rates = play(path, lambda rate, now: policer(rate, now) if now < 4 else 0.0, 10)
    assert max(rates[400:800]) < 4_000
    assert rates[-1] == 25_000


def test_without_controls_the_ceiling_decides() -> None:
    path = PathRate(ceiling=25_000)
    assert play(path, lambda *_: 1.0, 1, share=0.0)[-1] == 25_000
    assert path.slowed is None


def test_a_slow_machine_is_no_reason_for_a_higher_rate() -> None:
    path = PathRate()
    assert play(path, lambda *_: 0.0, 5, most=50_000)[-1] <= 8 * 50_000


def test_packets_that_this_machine_loses() -> None:
    path = PathRate(rate=10_000)
    path.no_room(1.0)
    path.no_room(1.05)  # of the same crowd
    assert path.rate == pytest.approx(7_000)
    assert path.slowed is not None
    assert "this machine" in path.slowed


def test_there_is_always_some_rate() -> None:
    path = PathRate()
    for turn in range(100):
        path.no_room(float(turn))
    assert path.rate == LEAST_RATE


def test_a_moment_in_which_nothing_comes_through_is_made_up_for() -> None:
    path = PathRate()
    rates = play(path, lambda _, now: 1.0 if 2.0 < now < 2.3 else 0.0, 8, most=40_000)
    assert min(rates) >= 250
    assert min(rates[1300:]) > 20_000
