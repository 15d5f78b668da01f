"""How regular is a conversation? A machine that calls home keeps time; people do not.

Four measures of equal weight, each from 0 to 1: the gaps between flows are alike, the octets sent are alike, every hour has
its share, and it goes on for long. The mathematics is that of RITA's beacon analysis (Active Countermeasures), written here
from its description. A steady rhythm alone is no alarm: mail clients, time servers and telemetry beat too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

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


def measure_rhythm(seconds: Array, sent: Array, span: tuple[float, float]) -> Rhythm | None:
    """The rhythm of flows that began at `seconds` (sorted) and sent `sent` octets; `span` is the time that the data covers.

    None where there is too little to measure.
    """
    moments = seconds.astype(np.int64)
    moments = moments[np.diff(moments, prepend=moments[:1] - 1) != 0]
    gaps = np.diff(moments)
    if seconds.size < LEAST_FLOWS or gaps.size < LEAST_FLOWS - 1:
        return None
    hours = _hourly(seconds.astype(np.int64), span)
    middle = quantile(np.sort(gaps), 0.5)
    parts = (_alike(gaps), _alike(sent.astype(np.int64)), _level(hours), _lasting(hours, moments, span))
    return Rhythm(
        score=round(sum(parts) / 4, 3),
        gaps=parts[0],
        sizes=parts[1],
        histogram=parts[2],
        duration=parts[3],
        interval=middle,
        spread=quantile(np.sort(np.abs(gaps - middle)), 0.5),
        count=int(moments.size),
        hours=tuple(hours.tolist()),
    )


def _alike(values: Array) -> float:
    """How alike numbers are: the mean of symmetry (Bowley's skew) and of closeness to the median (median absolute
    deviation).
    """
    ordered = np.sort(values)
    low, middle, high = (quantile(ordered, quarter) for quarter in (0.25, 0.5, 0.75))
    flat = high - low < NARROW or middle in {low, high}
    skew = 0.0 if flat else float((low + high - 2 * middle) / (high - low))
    deviation = quantile(np.sort(np.abs(ordered - middle)), 0.5)
    close = max(0.0, float((middle - deviation) / middle)) if middle > 0 else 0.0
    return ((1 - abs(skew)) + close) / 2


def quantile(ordered: Array, share: float) -> float:
    """The value below which that share of sorted values lies, between two of them in proportion. NumPy's own takes twenty times
    as long for the few values of a conversation.
    """
    place = share * (ordered.size - 1)
    below = int(place)
    low = float(ordered[below])
    return low if below == place else low + (float(ordered[below + 1]) - low) * (place - below)


def _hourly(seconds: Array, span: tuple[float, float]) -> Array:
    """Flows of each hour of the span, at most those of the first 60 days. What ends the span belongs to its last hour."""
    first = int(span[0])
    count = min(max(1, ceil((span[1] - first) / HOUR)), MOST_HOURS)
    place = np.clip((seconds - first) // HOUR, 0, count if count == MOST_HOURS else count - 1)
    return np.bincount(place[place < count], minlength=count)


def _level(hours: Array) -> float:
    """How evenly the hours are filled: one level (little variation), or two levels that take turns."""
    mean = float(hours.mean())
    if mean == 0:
        return 0.0
    one = max(0.0, 1 - float(hours.std()) / mean)
    filled = hours[hours > 0]
    if filled.size < LEAST_HOURS_FOR_TWO_LEVELS:
        return one
    bar = max(1.0, float(filled.max()) * BAR_SHARE)
    counts = np.bincount((filled // bar).astype(np.int64))
    two = float(np.sort(counts)[-2:].sum()) / (filled.size - 1)  # one hour may be an outlier
    return max(one, min(1.0, two))


def _lasting(hours: Array, moments: Array, span: tuple[float, float]) -> float:
    """How long it goes on: its share of the span, or its longest run of hours against half a day."""
    filled = hours > 0
    if np.count_nonzero(filled) < LEAST_HOURS_FOR_DURATION:
        return 0.0
    length = span[1] - span[0]
    covered = float(moments[-1] - moments[0]) / length if length > 0 else 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], filled, [False]]).astype(np.int8)))
    longest = int((edges[1::2] - edges[::2]).max())
    return min(1.0, max(covered, longest / STEADY_HOURS))
