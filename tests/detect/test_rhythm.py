"""Beacons and what is none. The rows: what it is, when it flows, what it sends, the score it must have."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reconshield.detect.rhythm import measure_rhythm

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
