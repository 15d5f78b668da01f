"""Flows to the geometry of two charts: when each detection was active, and in which rhythm. Pure; `graph` has the third.

As in `charts`, widths are per cent of the drawing and heights are pixels. The order is that of the detections, so the same
flows give the same drawing; what is left out of a drawing is counted in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconshield.detection import Detection, Picture
from reconshield.report.html.graph import LABEL, Bundle, bundle, shorten
from reconshield.text import count, duration, local_time, plural

TIMELINES = 20
"""So many of the worst are drawn."""
LINE, TRACK = 40, 14
PLOT, MARGIN = 132, 8


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; `x` and `width` in per cent."""

    x: float
    width: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """What is one line of the graph is one row here: its ends, its bars, how many parts of the time it was active in, the flows
    of the busiest, and when the first and the last flow was.
    """

    name: str
    worst: Detection
    number: int
    y: int
    bars: tuple[Bar, ...]
    active: int
    busiest: int
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows, how long a part is and how many there are, how many detections are not drawn, and the time of all flows."""

    rows: tuple[TimelineRow, ...]
    height: int
    part: str
    parts: int
    left_out: int
    span: tuple[float, float]


def chart_timeline(detections: Sequence[Detection]) -> Timeline | None:
    """When the worst were active; None where no flow has a time."""
    pictured = [each for each in detections if each.picture is not None]
    if not pictured or (first := pictured[0].picture) is None:
        return None
    drawn = bundle(pictured)[:TIMELINES]
    rows = tuple(_timeline_row(each, place, len(first.parts)) for place, each in enumerate(drawn))
    length = (first.span[1] - first.span[0]) / len(first.parts)
    left_out = len(detections) - sum(row.number for row in rows)
    return Timeline(rows, len(rows) * LINE + 20, duration(length), len(first.parts), left_out, first.span)


def _timeline_row(found: Bundle, place: int, count: int) -> TimelineRow:
    pictures = [each.picture for each in found.detections if each.picture]
    parts = [sum(picture.parts[at] for picture in pictures) for at in range(count)]
    most, unit, base = max([*parts, 1]), 100 / count, place * LINE + 18 + TRACK
    bars = []
    for at, flows in enumerate(parts):
        if flows:
            height = max(3.0, round(TRACK * flows / most, 1))
            bars.append(Bar(round(at * unit, 2), round(unit, 2), base - height, height))
    ends = [end.partition("\n")[0] for end in (found.source, found.target)]
    return TimelineRow(
        name=" → ".join(ends if len("".join(ends)) <= 2 * LABEL else map(shorten, ends)),
        worst=found.detections[0],
        number=len(found.detections),
        y=place * LINE,
        bars=tuple(bars),
        active=sum(flows > 0 for flows in parts),
        busiest=max(parts),
        first=min(each.first for each in found.detections),
        last=max(each.last for each in found.detections),
    )


@dataclass(frozen=True, slots=True)
class Dot:
    """A gap at the time when it ended; `over` where it is longer than the drawing is high."""

    x: float
    y: float
    over: bool


@dataclass(frozen=True, slots=True)
class RhythmChart:
    """Dots at (time, gap), a band of one median deviation at either side of the median. `marks` are (y, label)."""

    dots: tuple[Dot, ...]
    band: tuple[float, float]
    middle: float
    marks: tuple[tuple[float, str], ...]
    height: int
    floor: int
    over: int
    shown: str
    begin: float
    end: float
    description: str


def chart_rhythm(picture: Picture) -> RhythmChart | None:
    """The rhythm of a conversation; None where there are too few gaps for one."""
    if picture.median is None or picture.spread is None or len(picture.beats) < 2:
        return None
    median, spread = picture.median, picture.spread
    top = max(2 * median, median + 4 * spread, 1.0)
    begin, end = picture.beats[0].at, picture.beats[-1].at
    length = max(end - begin, 1.0)
    dots = [
        Dot(round(100 * (beat.at - begin) / length, 2), _height_of(min(beat.gap, top), top), beat.gap > top)
        for beat in picture.beats
        if beat.gap is not None
    ]
    low, high = _height_of(max(median - spread, 0), top), _height_of(median + spread, top)
    band = (high, low) if low - high >= 2 else (high - 1, low + 1)
    over = sum(dot.over for dot in dots)
    gaps = picture.count - 1
    shown = f"{count(len(dots))} of {plural(gaps, 'gap', 'gaps')} drawn" if len(dots) < gaps else plural(gaps, "gap", "gaps")
    return RhythmChart(
        dots=tuple(dots),
        band=(round(band[0], 1), round(band[1] - band[0], 1)),
        middle=_height_of(median, top),
        marks=((_height_of(top, top), gap_text(top)), (_height_of(0, top), "0 s")),
        height=PLOT + 2 * MARGIN + 18,
        floor=PLOT + MARGIN,
        over=over,
        shown=shown,
        begin=begin,
        end=end,
        description=f"{shown}; median {gap_text(median)}, median deviation {gap_text(spread)}, "
        f"from {local_time(begin)} to {local_time(end)}.",
    )


def _height_of(gap: float, top: float) -> float:
    return round(MARGIN + PLOT * (1 - gap / top), 1)


def gap_text(seconds: float) -> str:
    """`60 s`, `2 min 30 s`, `0 s`."""
    return f"{round(seconds, 1):g} s" if seconds < 120 else duration(seconds)
