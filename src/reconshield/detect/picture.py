"""The moments of a conversation as what a chart needs: bounded numbers of them, and sums that say what was left out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detection import Beat, Picture, Window

Array = NDArray[Any]

PARTS = 48
"""Parts that the time of all flows is cut into."""
WINDOWS = 12
MOST_BEATS = 240
SAMPLE = 3
"""So many of the first and of the last flows are listed."""
LEAST_GAPS = 3


def draw(moments: Array, span: tuple[float, float]) -> Picture:
    """The picture of a conversation, from its moments by second (`tally.MOMENT`)."""
    seconds, which, flows = np.unique(moments["second"].astype(np.int64), return_inverse=True, return_counts=True)
    sent = np.bincount(which.reshape(-1), weights=moments["sent"], minlength=seconds.size)
    gaps = np.diff(seconds)
    middle = float(np.median(gaps)) if gaps.size >= LEAST_GAPS else None
    evenly = np.unique(np.linspace(0, seconds.size - 1, min(seconds.size, MOST_BEATS)).astype(np.int64))
    ends = np.unique(np.concatenate([np.arange(seconds.size)[:SAMPLE], np.arange(seconds.size)[-SAMPLE:]]))
    return Picture(
        span=span,
        parts=count_parts(seconds, flows, span),
        beats=beats_at(evenly, seconds, gaps, sent),
        count=int(seconds.size),
        sample=beats_at(ends, seconds, gaps, sent),
        windows=cut_windows(seconds, gaps) if middle is not None else (),
        median=middle,
        spread=float(np.median(np.abs(gaps - middle))) if middle is not None else None,
        longest=float(gaps.max()) if gaps.size else None,
    )


def beats_at(places: Array, seconds: Array, gaps: Array, sent: Array) -> tuple[Beat, ...]:
    return tuple(
        Beat(float(seconds[at]), float(gaps[at - 1]) if at else None, int(sent[at])) for at in map(int, places.tolist())
    )


def count_parts(seconds: Array, flows: Array, span: tuple[float, float]) -> tuple[int, ...]:
    """The flows that began in each part of the span; what ends it belongs to its last part."""
    length = max(span[1] - span[0], 1.0)
    places = np.clip((seconds - span[0]) * PARTS / length, 0, PARTS - 1).astype(np.int64)
    return tuple(np.bincount(places, weights=flows, minlength=PARTS).astype(np.int64).tolist())


def cut_windows(seconds: Array, gaps: Array) -> tuple[Window, ...]:
    """Twelve equal windows from the first moment to the last; a gap belongs to the window in which it ends."""
    length = max(float(seconds[-1] - seconds[0]), 1.0)
    places = np.minimum((seconds - seconds[0]) * WINDOWS / length, WINDOWS - 1).astype(np.int64)
    windows = []
    for number in range(WINDOWS):
        inside = gaps[places[1:] == number]
        some = inside.size > 0
        windows.append(
            Window(
                begin=float(seconds[0]) + number * length / WINDOWS,
                beats=int(np.count_nonzero(places == number)),
                shortest=float(inside.min()) if some else None,
                middle=float(np.median(inside)) if some else None,
                longest=float(inside.max()) if some else None,
            )
        )
    return tuple(windows)
