"""The two charts of the overview as geometry: the heat map of hosts and services, and the month. Pure; the template draws them.

Colour only confirms: every cell of the heat map carries its number, every day its count, and both stand as tables below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconshield.jobs.dashboard import HeatMap, TrendDay
from reconshield.model import rating_of

LABEL, COLUMN, ROW, HEAD = 190, 82, 30, 26
HEIGHT, BASE = 120, 140
"""Pixels of the tallest bar of the month, and where its base line is."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One host and service; `score` None: nothing of it is open there."""

    x: int
    y: int
    score: int | None
    rating: str


@dataclass(frozen=True, slots=True)
class HeatChart:
    """Column heads and row labels with their places, the cells, and the size of it all."""

    heads: tuple[tuple[int, str], ...]
    rows: tuple[tuple[int, str, tuple[Cell, ...]], ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the month: place and width in per cent, bar in pixels, and its numbers."""

    x: float
    width: float
    top: float
    height: float
    open: int
    measured: bool
    end: float


@dataclass(frozen=True, slots=True)
class TrendChart:
    """The bars, the highest count, and where the base line is in pixels."""

    days: tuple[Day, ...]
    most: int
    base: int = BASE


def draw_heat(heat: HeatMap) -> HeatChart:
    rows = []
    for line, ((ip, assets), scores) in enumerate(zip(heat.hosts, heat.cells, strict=True)):
        y = HEAD + line * ROW
        cells = tuple(
            Cell(LABEL + column * COLUMN, y, score, rating_of(score) if score is not None else "")
            for column, score in enumerate(scores)
        )
        rows.append((y, assets[0] if assets else ip, cells))
    heads = tuple((LABEL + column * COLUMN, name) for column, name in enumerate(heat.services))
    return HeatChart(heads, tuple(rows), LABEL + len(heads) * COLUMN, HEAD + len(rows) * ROW)


def draw_trend(days: Sequence[TrendDay]) -> TrendChart:
    """A bar a day; what is there stays visible however small it is."""
    most = max((day.open for day in days), default=0)
    width = 100 / max(len(days), 1)
    drawn = []
    for number, day in enumerate(days):
        height = max(round(HEIGHT * day.open / most, 1), 2.0) if day.open else 0.0
        drawn.append(
            Day(round(number * width, 3), round(width * 0.8, 3), BASE - height, height, day.open, day.measured, day.end)
        )
    return TrendChart(tuple(drawn), most)
