"""Beacons and what is none. The rows: what it is, when it flows, what it sends, the score it must have."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reconshield.detect.rhythm import measure_rhythm
from reconshield.detect.rhythm_scores import scores, steady_ones
from reconshield.detect.tally import MOMENT

DAY = 1_760_000_000 - 1_760_000_000 % 86_400
SPAN = (float(DAY), float(DAY + 12 * 3600))
RANDOM = np.random.default_rng(7)

EVERY_MINUTE = np.arange(DAY, DAY + 12 * 3600, 60)
JITTER = np.sort(EVERY_MINUTE + RANDOM.integers(-6, 7, EVERY_MINUTE.size))
MORNING = np.sort(DAY + RANDOM.integers(0, 3600, 200))
PEOPLE = np.sort(np.concatenate([DAY + h * 3600 + RANDOM.exponential(200, 30).astype(int) for h in (1, 2, 5, 9)]))


@pytest.mark.parametrize(
    ("name", "seconds", "sent", "low", "high"),
    [
        ("clockwork", EVERY_MINUTE, np.full(EVERY_MINUTE.size, 200), 1.0, 1.0),
        ("a tenth of jitter", JITTER, RANDOM.integers(190, 210, JITTER.size), 0.9, 1.0),
        ("an hour of browsing", MORNING, RANDOM.integers(100, 100_000, MORNING.size), 0.0, 0.6),
        ("bursts through the day", PEOPLE, RANDOM.integers(100, 100_000, PEOPLE.size), 0.0, 0.65),
    ],
)
def test_score(name: str, seconds: NDArray[np.int64], sent: NDArray[np.int64], low: float, high: float) -> None:
    rhythm = measure_rhythm(seconds, sent, SPAN)
    assert rhythm is not None
    assert low <= rhythm.score <= high, name
    assert sum(rhythm.hours) == seconds.size


def test_the_interval_and_its_spread_are_told() -> None:
    rhythm = measure_rhythm(EVERY_MINUTE, np.full(EVERY_MINUTE.size, 200), SPAN)
    assert rhythm is not None
    assert (rhythm.interval, rhythm.spread, rhythm.count, rhythm.hours) == (60, 0, 720, (60,) * 12)


@pytest.mark.parametrize("seconds", [[], [DAY], [DAY, DAY + 60, DAY + 120], [DAY] * 50])
def test_too_little_is_no_rhythm(seconds: list[int]) -> None:
    assert measure_rhythm(np.array(seconds, np.int64), np.zeros(len(seconds)), SPAN) is None


def test_many_at_once_have_the_scores_that_each_has_alone() -> None:
    dice = np.random.default_rng(3)
    for days, least in ((1, 1), (3, 2), (70, 1)):
        span = (1_760_000_000.3, 1_760_000_000.3 + days * 86_400)
        lot = []
        for number in range(300):
            count = int(dice.integers(least, 200))
            second = np.sort(dice.integers(0, int(days * 86_400 * dice.random()) + 1, count))
            if number % 3 == 0:
                second = np.arange(count) * int(dice.integers(1, 900)) + dice.integers(0, 4, count)
            moments = np.zeros(count, MOMENT)
            moments["second"] = 1_760_000_000 + np.sort(np.minimum(second, days * 86_400))
            moments["sent"] = dice.integers(0, 2 + int(dice.integers(0, 900)), count)
            lot.append(moments)
        alone = [measure_rhythm(each["second"], each["sent"], span) for each in lot]
        wanted = np.array([rhythm.score if rhythm else 0.0 for rhythm in alone])
        assert np.abs(scores(lot, span) - wanted).max() < 0.001
        steady = dict(steady_ones(enumerate(lot), span, np.full(300, 0.6)))
        assert steady == {number: rhythm for number, rhythm in enumerate(alone) if rhythm and rhythm.score >= 0.6}
        assert 10 < len(steady) < 290
