"""Numbers to the geometry of the charts. Pure; the templates write it as inline SVG and the same numbers as a table.

Widths are per cent of the drawing and heights are pixels, so that a chart follows the width of the page while its text keeps
its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconshield.knowledge.risk import MAXIMA
from reconshield.model import Factor, Risk

SCALE = 30
"""Points from zero to the end of the scale: the most that one factor can add. All charts of factors share it."""
LOWERING = 25
"""Points left of zero where the chart has a factor that lowers the risk."""
ROW = 36
BAR_ROW = 26


@dataclass(frozen=True, slots=True)
class FactorBar:
    """One factor: its texts, its bar from `x` with `width`, and a tick at the most it could be (None for context points)."""

    name: str
    value: str
    y: int
    x: float
    width: float
    most: float | None
    context: bool
    lowers: bool


@dataclass(frozen=True, slots=True)
class FactorChart:
    """The bars of one endpoint's risk. `ticks` are (place in per cent, label, where the label is anchored)."""

    bars: tuple[FactorBar, ...]
    ticks: tuple[tuple[float, str, str], ...]
    zero: float
    height: int
    description: str


@dataclass(frozen=True, slots=True)
class CountBar:
    """One class of a distribution, its number, and the width of its bar in per cent of the widest possible."""

    label: str
    number: int
    width: float
    y: int


def has_lowering(risks: Iterable[Risk]) -> bool:
    """Whether any risk has a factor that lowers it; then every chart of the page leaves room for that."""
    return any(factor.points < 0 for risk in risks for factor in risk.factors)


def chart_factors(risk: Risk, *, lowering: bool) -> FactorChart:
    """The bars of a risk on the scale of 30, with room to the left of zero where the page needs it."""
    left = LOWERING if lowering else 0
    unit = 100 / (SCALE + left)
    zero = left * unit
    bars = tuple(_factor_bar(factor, number, zero, unit) for number, factor in enumerate(risk.factors))
    marks = [*range(-20, 0, 10), *range(0, SCALE + 1, 10)] if lowering else list(range(0, SCALE + 1, 10))
    ticks = tuple((round(zero + mark * unit, 2), _mark(mark), _anchor(mark, lowering=lowering)) for mark in marks)
    told = ", ".join(f"{bar.name} {bar.value}" for bar in bars)
    return FactorChart(bars, ticks, round(zero, 2), len(bars) * ROW + 22, f"{told}; {risk.score} of 100, {risk.rating}.")


def _factor_bar(factor: Factor, number: int, zero: float, unit: float) -> FactorBar:
    most = MAXIMA.get(factor.name)
    width = min(abs(factor.points), SCALE) * unit
    lowers = factor.points < 0
    return FactorBar(
        name=factor.name.replace("-", " "),
        value=f"{factor.points} of {most}" if most is not None else f"{'−' if lowers else '+'} {abs(factor.points)}",
        y=number * ROW,
        x=round(max(zero - width, 0) if lowers else zero, 2),
        width=round(width, 2),
        most=round(zero + most * unit, 2) if most is not None else None,
        context=most is None,
        lowers=lowers,
    )


def _mark(mark: int) -> str:
    return f"−{-mark}" if mark < 0 else str(mark)


def _anchor(mark: int, *, lowering: bool) -> str:
    if mark == SCALE:
        return "end"
    return "start" if mark == 0 and not lowering else "middle"


def chart_counts(counts: dict[str, int]) -> tuple[CountBar, ...]:
    """Bars for the number of things in each class, the longest as wide as the drawing allows. What is there stays visible."""
    most = max(counts.values(), default=0) or 1
    return tuple(
        CountBar(label, number, round(max(100 * number / most, 0.6), 2) if number else 0.0, row * BAR_ROW)
        for row, (label, number) in enumerate(counts.items())
    )
