"""The scores of many rhythms at once: what `rhythm.measure_rhythm` gives for each, without its parts.

Most conversations are no rhythm, and measuring one by one costs some fifty calls each. So the scores of a few thousand are
found together, by arrays in which each conversation is a run of rows, and only what is steady is then measured for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.rhythm import (
    BAR_SHARE,
    HOUR,
    LEAST_FLOWS,
    LEAST_HOURS_FOR_DURATION,
    LEAST_HOURS_FOR_TWO_LEVELS,
    MOST_HOURS,
    NARROW,
    STEADY_HOURS,
    Rhythm,
    measure_rhythm,
)

Array = NDArray[Any]
Span = tuple[float, float]

TOGETHER = 4096
MOST_CELLS = 2_000_000
MOST_MOMENTS = 300_000
"""Hours and moments of all conversations that are looked at together."""
CLOSE = 0.002
"""Scores are rounded to a thousandth; what is nearer than that is measured."""
BARS = round(1 / BAR_SHARE) + 1


def steady_ones(beats: Iterable[tuple[int, Array]], span: Span, least: Array) -> Iterator[tuple[int, Rhythm]]:
    """Of the conversations with these numbers and moments (`tally.MOMENT`), those whose score is at least what `least` has at
    their number.
    """
    together = max(1, min(TOGETHER, MOST_CELLS // hours_of(span)))
    waiting: list[tuple[int, Array]] = []
    held = 0
    for each in beats:
        waiting.append(each)
        held += each[1].size
        if len(waiting) >= together or held >= MOST_MOMENTS:
            yield from measure_lot(waiting, span, least)
            waiting, held = [], 0
    if waiting:
        yield from measure_lot(waiting, span, least)


def measure_lot(lot: list[tuple[int, Array]], span: Span, least: Array) -> Iterator[tuple[int, Rhythm]]:
    known = scores([moments for _, moments in lot], span) >= least[[number for number, _ in lot]] - CLOSE
    for (number, moments), worth in zip(lot, known.tolist(), strict=True):
        rhythm = measure_rhythm(moments["second"], moments["sent"], span) if worth else None
        if rhythm is not None and rhythm.score >= least[number]:
            yield number, rhythm


def scores(lot: list[Array], span: Span) -> Array:
    """The score of each; 0 where there is too little to measure."""
    rows = np.concatenate(lot)
    which = np.repeat(np.arange(len(lot)), [moments.size for moments in lot])
    second = rows["second"].astype(np.int64)
    later = np.diff(which, prepend=-1) == 0
    step = np.diff(second, prepend=0)
    between = later & (step != 0)
    gaps = np.bincount(which[between], minlength=len(lot))
    enough = (np.bincount(which, minlength=len(lot)) >= LEAST_FLOWS) & (gaps >= LEAST_FLOWS - 1)
    hours = hourly(second, which, len(lot), span)
    alike = runs_alike(step[between], which[between], len(lot)) + runs_alike(rows["sent"].astype(np.int64), which, len(lot))
    first, last = np.searchsorted(which, np.arange(len(lot))), np.searchsorted(which, np.arange(len(lot)), side="right") - 1
    total = alike + level(hours) + lasting(hours, second[last] - second[first], span)
    return np.where(enough, total / 4, 0.0)


def runs_alike(values: Array, which: Array, count: int) -> Array:
    """How alike the values of each run are; `which` says of each value which run it is in, in rising order."""
    sizes = np.bincount(which, minlength=count)
    begin = np.cumsum(sizes) - sizes
    ordered = values[np.lexsort([values, which])]
    low, middle, high = (quantiles(ordered, begin, sizes, share) for share in (0.25, 0.5, 0.75))
    flat = (high - low < NARROW) | (middle == low) | (middle == high)
    skew = np.where(flat, 0.0, (low + high - 2 * middle) / np.where(flat, 1.0, high - low))
    away = np.abs(values - middle[which])
    deviation = quantiles(away[np.lexsort([away, which])], begin, sizes, 0.5)
    close = np.where(middle > 0, np.maximum(0.0, (middle - deviation) / np.where(middle > 0, middle, 1.0)), 0.0)
    return ((1 - np.abs(skew)) + close) / 2


def quantiles(ordered: Array, begin: Array, sizes: Array, share: float) -> Array:
    """`rhythm.quantile` of each run of sorted values; 0 for an empty one."""
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
    """Flows of each hour of each run."""
    hours = hours_of(span)
    place = np.clip((second - int(span[0])) // HOUR, 0, hours if hours == MOST_HOURS else hours - 1)
    here = place < hours
    return np.bincount(which[here] * hours + place[here], minlength=count * hours).reshape(count, hours)


def level(hours: Array) -> Array:
    mean = hours.mean(axis=1)
    one = np.where(mean > 0, np.maximum(0.0, 1 - hours.std(axis=1) / np.where(mean > 0, mean, 1.0)), 0.0)
    filled = np.count_nonzero(hours, axis=1)
    bar = np.maximum(1.0, hours.max(axis=1) * BAR_SHARE)
    row, _ = np.nonzero(hours)
    height = np.minimum((hours[hours > 0] // bar[row]).astype(np.int64), BARS)
    counts = np.sort(np.bincount(row * (BARS + 1) + height, minlength=len(hours) * (BARS + 1)).reshape(-1, BARS + 1), axis=1)
    two = np.minimum(1.0, counts[:, -2:].sum(axis=1) / np.maximum(filled - 1, 1))
    return np.where(filled >= LEAST_HOURS_FOR_TWO_LEVELS, np.maximum(one, two), one)


def lasting(hours: Array, covered: Array, span: Span) -> Array:
    length = span[1] - span[0]
    share = covered / length if length > 0 else np.zeros(len(hours))
    run = longest = np.zeros(len(hours), np.int64)
    for filled in (hours > 0).T:
        run = (run + 1) * filled
        longest = np.maximum(longest, run)
    found = np.minimum(1.0, np.maximum(share, longest / STEADY_HOURS))
    return np.where(np.count_nonzero(hours, axis=1) >= LEAST_HOURS_FOR_DURATION, found, 0.0)
