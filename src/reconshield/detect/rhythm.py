"""How regular is a conversation? A machine that calls home keeps time; people do not.

Four measures of equal weight, each from 0 to 1: the gaps between flows are alike, the octets sent are alike, every hour has
its share, and it goes on for long. The mathematics is that of RITA's beacon analysis (Active Countermeasures), written here
from its description. A steady rhythm alone is no alarm: mail clients, time servers and telemetry beat too.

A few thousand conversations are measured together, by arrays in which each is a run of rows: one by one costs fifty calls each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.tally import Beats

Array = NDArray[Any]
Span = tuple[float, float]

LEAST_FLOWS = 4
"""Below that, and below three gaps, there is no rhythm to speak of."""

NARROW = 10
"""Quartiles closer than that (seconds, octets) say nothing about skew: it counts as none."""

HOUR = 3600
MOST_HOURS = 24 * 60
LEAST_HOURS_FOR_DURATION = 6
LEAST_HOURS_FOR_TWO_LEVELS = 11
STEADY_HOURS = 12
BAR_SHARE = 0.05
BARS = round(1 / BAR_SHARE) + 1

TOGETHER = 4096
MOST_CELLS = 2_000_000
MOST_MOMENTS = 300_000
"""Conversations, hours of all of them, and moments of all of them that are looked at together."""
RUN = 34
"""A value in a run has at most so many bits: octets and seconds have 32, and distances from a median come in halves."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The score and what it is made of, each from 0 to 1; `interval` and `spread` (median and median deviation of the gaps) in
    seconds; `count` different seconds in which a flow began; `hours` the flows of each hour from the first on, for a picture.
    """

    score: float
    gaps: float
    sizes: float
    histogram: float
    duration: float
    interval: float
    spread: float
    count: int
    hours: tuple[int, ...]


def steady_ones(beats: Iterable[Beats], span: Span, least: Array) -> Iterator[tuple[int, Rhythm]]:
    """Of these conversations those whose score is at least what `least` has at their number. `span` is the time that the data
    covers.
    """
    together = max(1, min(TOGETHER, MOST_CELLS // hours_of(span)))
    for some in beats:
        for lot in some.lots(together, MOST_MOMENTS):
            yield from measure(lot, span, least[lot.numbers])


def measure(beats: Beats, span: Span, least: Array) -> Iterator[tuple[int, Rhythm]]:
    """The rhythms of a lot with at least the score that `least` has in their places, each with its number. Where there is too
    little to measure is none.
    """
    sizes = np.diff(beats.edges)
    which = np.repeat(np.arange(sizes.size), sizes)
    second = beats.rows["second"].astype(np.int64)
    step = np.diff(second, prepend=0)
    step[beats.edges[:-1]] = 0
    gaps = runs_alike(step[step > 0], which[step > 0], sizes.size)
    sent = runs_alike(beats.rows["sent"].astype(np.int64), which, sizes.size)
    hours = hourly(second, which, sizes.size, span)
    covered = second[beats.edges[1:] - 1] - second[beats.edges[:-1]]
    parts = np.stack([gaps.alike, sent.alike, level(hours), lasting(hours, covered, span)], axis=1)
    enough = (sizes >= LEAST_FLOWS) & (gaps.sizes >= LEAST_FLOWS - 1)
    scores = np.array([round(sum(each) / 4, 3) for each in parts.tolist()])
    for place in np.flatnonzero(enough & (scores >= least)).tolist():
        found = Rhythm(
            score=float(scores[place]),
            gaps=float(gaps.alike[place]),
            sizes=float(sent.alike[place]),
            histogram=float(parts[place, 2]),
            duration=float(parts[place, 3]),
            interval=float(gaps.middle[place]),
            spread=float(gaps.deviation[place]),
            count=int(gaps.sizes[place]) + 1,
            hours=tuple(hours[place].tolist()),
        )
        yield int(beats.numbers[place]), found


@dataclass(frozen=True, slots=True)
class Likeness:
    """How many values each run has, how alike they are from 0 to 1, their median, and the median distance from that."""

    sizes: Array
    alike: Array
    middle: Array
    deviation: Array


def runs_alike(values: Array, which: Array, count: int) -> Likeness:
    """How alike the values of each run are: the mean of symmetry (Bowley's skew) and of closeness to the median (median
    absolute deviation). `which` says of each value which run it is in, in rising order.
    """
    sizes = np.bincount(which, minlength=count)
    ordered = sort_runs(values, which)
    low, middle, high = (quantiles(ordered, sizes, share) for share in (0.25, 0.5, 0.75))
    flat = (high - low < NARROW) | (middle == low) | (middle == high)
    skew = np.where(flat, 0.0, (low + high - 2 * middle) / np.where(flat, 1.0, high - low))
    halves = np.abs(2 * values - (2 * middle).astype(np.int64)[which])
    deviation = quantiles(sort_runs(halves, which), sizes, 0.5) / 2
    close = np.where(middle > 0, np.maximum(0.0, (middle - deviation) / np.where(middle > 0, middle, 1.0)), 0.0)
    return Likeness(sizes, ((1 - np.abs(skew)) + close) / 2, middle, deviation)


def sort_runs(values: Array, which: Array) -> Array:
    """The values of each run in their order: one number for both sorts several times as fast as two columns."""
    packed = which << RUN | values
    packed.sort()
    return np.asarray(packed & ((1 << RUN) - 1))


def quantiles(ordered: Array, sizes: Array, share: float) -> Array:
    """The value of each run below which that share of its sorted values lies, between two of them in proportion; 0 for an empty
    run.
    """
    begin = np.cumsum(sizes) - sizes
    place = share * np.maximum(sizes - 1, 0)
    below = place.astype(np.int64)
    if not ordered.size:
        return np.zeros(sizes.size)
    low = ordered[np.minimum(begin + below, ordered.size - 1)].astype(np.float64)
    high = ordered[np.minimum(begin + np.minimum(below + 1, np.maximum(sizes - 1, 0)), ordered.size - 1)].astype(np.float64)
    return np.where(sizes > 0, low + (high - low) * (place - below), 0.0)


def hours_of(span: Span) -> int:
    return min(max(1, ceil((span[1] - int(span[0])) / HOUR)), MOST_HOURS)


def hourly(second: Array, which: Array, count: int, span: Span) -> Array:
    """Flows of each hour of the span for each run, at most those of the first 60 days. What ends the span belongs to its last
    hour.
    """
    hours = hours_of(span)
    place = np.clip((second - int(span[0])) // HOUR, 0, hours if hours == MOST_HOURS else hours - 1)
    here = place < hours
    return np.bincount(which[here] * hours + place[here], minlength=count * hours).reshape(count, hours)


def level(hours: Array) -> Array:
    """How evenly the hours are filled: one level (little variation), or two levels that take turns."""
    mean = hours.mean(axis=1)
    one = np.where(mean > 0, np.maximum(0.0, 1 - hours.std(axis=1) / np.where(mean > 0, mean, 1.0)), 0.0)
    filled = np.count_nonzero(hours, axis=1)
    bar = np.maximum(1.0, hours.max(axis=1) * BAR_SHARE)
    row, _ = np.nonzero(hours)
    height = np.minimum((hours[hours > 0] // bar[row]).astype(np.int64), BARS)
    counts = np.sort(np.bincount(row * (BARS + 1) + height, minlength=len(hours) * (BARS + 1)).reshape(-1, BARS + 1), axis=1)
    two = np.minimum(1.0, counts[:, -2:].sum(axis=1) / np.maximum(filled - 1, 1))  # one hour may be an outlier
    return np.where(filled >= LEAST_HOURS_FOR_TWO_LEVELS, np.maximum(one, two), one)


def lasting(hours: Array, covered: Array, span: Span) -> Array:
    """How long it goes on: the share of the span that it covers, or its longest run of hours against half a day."""
    length = span[1] - span[0]
    share = covered / length if length > 0 else np.zeros(len(hours))
    run = longest = np.zeros(len(hours), np.int64)
    for filled in (hours > 0).T:
        run = (run + 1) * filled
        longest = np.maximum(longest, run)
    found = np.minimum(1.0, np.maximum(share, longest / STEADY_HOURS))
    return np.where(np.count_nonzero(hours, axis=1) >= LEAST_HOURS_FOR_DURATION, found, 0.0)
