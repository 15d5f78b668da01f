"""Beacons and what is none. The rows: what it is, when it flows, what it sends, the score it must have."""

from __future__ import annotations

from collections import Counter
from dataclasses import astuple
from math import ceil

import numpy as np
import pytest
from numpy.typing import NDArray

from reconshield.detect import rhythm as module
from reconshield.detect.rhythm import MOST_HOURS, Rhythm, steady_ones
from reconshield.detect.tally import MOMENT, Beats

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
    rhythm = rhythm_of(seconds, sent)
    assert rhythm is not None
    assert low <= rhythm.score <= high, name
    assert sum(rhythm.hours) == seconds.size


def test_the_interval_and_its_spread_are_told() -> None:
    rhythm = rhythm_of(EVERY_MINUTE, np.full(EVERY_MINUTE.size, 200))
    assert rhythm is not None
    assert (rhythm.interval, rhythm.spread, rhythm.count, rhythm.hours) == (60, 0, 720, (60,) * 12)


@pytest.mark.parametrize("seconds", [[DAY], [DAY, DAY + 60, DAY + 120], [DAY] * 50])
def test_too_little_is_no_rhythm(seconds: list[int]) -> None:
    assert rhythm_of(np.array(seconds, np.int64), np.zeros(len(seconds), np.int64)) is None


def test_many_at_once_are_what_each_is_one_by_one() -> None:
    dice = np.random.default_rng(3)
    for days, least in ((1, 1), (3, 2), (70, 1)):
        span = (1_760_000_000.3, 1_760_000_000.3 + days * 86_400)
        lot = []
        for number in range(300):
            count = int(dice.integers(least, 200))
            second = np.sort(dice.integers(0, int(days * 86_400 * dice.random()) + 1, count))
            if number % 3 == 0:
                second = np.arange(count) * int(dice.integers(1, 900)) + dice.integers(0, 4, count)
            second = 1_760_000_000 + np.sort(np.minimum(second, days * 86_400))
            octets = dice.integers(0, 2 + int(dice.integers(0, 900)), count)
            lot.append((second, octets << 22 if number % 7 == 0 else octets))
        wanted = {number: slow_rhythm(second, sent, span) for number, (second, sent) in enumerate(lot)}
        every = dict(steady_ones([beats_of(lot)], span, np.zeros(300)))
        assert every.keys() == {number for number, slow in wanted.items() if slow}
        for number, found in every.items():
            assert astuple(found)[:-1] == pytest.approx(wanted[number], abs=0.0011, rel=1e-9)
            assert sum(found.hours) == np.count_nonzero(lot[number][0] < int(span[0]) + MOST_HOURS * 3600)
        steady = dict(steady_ones([beats_of(lot)], span, np.full(300, 0.6)))
        assert steady == {number: rhythm for number, rhythm in every.items() if rhythm.score >= 0.6}
        assert 10 < len(steady) < 290


def test_a_rhythm_does_not_depend_on_who_is_measured_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lot = [(EVERY_MINUTE, np.full(EVERY_MINUTE.size, 200)), (JITTER, JITTER % 50), (PEOPLE, PEOPLE % 999)]
    together = dict(steady_ones([beats_of(lot)], SPAN, np.zeros(3)))
    monkeypatch.setattr(module, "MOST_MOMENTS", 1)
    assert dict(steady_ones([beats_of(lot)], SPAN, np.zeros(3))) == together


def beats_of(lot: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> Beats:
    edges = np.cumsum([0, *(second.size for second, _ in lot)])
    rows = np.zeros(edges[-1], MOMENT)
    for begin, (second, sent) in zip(edges.tolist(), lot, strict=False):
        rows["second"][begin : begin + second.size], rows["sent"][begin : begin + second.size] = second, sent
    return Beats(np.arange(len(lot)), edges, rows)


def rhythm_of(seconds: NDArray[np.int64], sent: NDArray[np.int64]) -> Rhythm | None:
    return dict(steady_ones([beats_of([(seconds, sent)])], SPAN, np.zeros(1))).get(0)


def slow_rhythm(seconds: NDArray[np.int64], sent: NDArray[np.int64], span: tuple[float, float]) -> tuple[float, ...] | None:
    """Score, the four measures, interval, spread and count of one conversation, by NumPy's own quantiles."""
    moments = np.unique(seconds)
    gaps = np.diff(moments)
    if seconds.size < 4 or gaps.size < 3:
        return None
    count = min(max(1, ceil((span[1] - int(span[0])) / 3600)), MOST_HOURS)
    place = (seconds - int(span[0])) // 3600
    place = np.minimum(place, count - 1) if count < MOST_HOURS else place[place < count]
    hours = np.bincount(place, minlength=count)
    parts = slow_alike(gaps), slow_alike(sent), slow_level(hours), slow_lasting(hours, moments, span)
    middle = float(np.median(gaps))
    return (sum(parts) / 4, *parts, middle, float(np.median(np.abs(gaps - middle))), moments.size)


def slow_alike(values: NDArray[np.int64]) -> float:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    skew = 0.0 if high - low < 10 or middle in {low, high} else (low + high - 2 * middle) / (high - low)
    close = max(0.0, 1 - float(np.median(np.abs(values - middle))) / middle) if middle > 0 else 0.0
    return float((1 - abs(skew) + close) / 2)


def slow_level(hours: NDArray[np.int64]) -> float:
    one = max(0.0, 1 - float(hours.std() / hours.mean())) if hours.any() else 0.0
    filled = hours[hours > 0]
    if filled.size < 11:
        return one
    heights = Counter((filled // max(1.0, filled.max() * 0.05)).tolist())
    two = sum(size for _, size in heights.most_common(2)) / (filled.size - 1)
    return max(one, min(1.0, two))


def slow_lasting(hours: NDArray[np.int64], moments: NDArray[np.int64], span: tuple[float, float]) -> float:
    if np.count_nonzero(hours) < 6:
        return 0.0
    longest = max(len(run) for run in "".join("x" if hour else " " for hour in hours.tolist()).split())
    return min(1.0, max(float(moments[-1] - moments[0]) / (span[1] - span[0]), longest / 12))
