"""Why a port is open, as rows for the terminal and as a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.report.line_types import ExplanationLine
from reconshield.report.rows import Row, Span, wrap

COLOURS = {"open": "medium", "partly open": "medium", "not known": "dim"}


@dataclass(frozen=True, slots=True)
class Told:
    """An explanation in words: one paragraph's sentences, the diagram's lines, what could not be read."""

    port: int
    transport: str
    verdict: str
    sentences: tuple[str, ...]
    diagram: tuple[str, ...]
    notes: tuple[str, ...]


def explanation_rows(told: Told, width: int) -> Iterator[Row]:
    yield [Span(f"{told.port}/{told.transport} on this machine: "), Span(told.verdict, COLOURS.get(told.verdict, "bold"))]
    yield from wrap("", " ".join(told.sentences), width)
    for line in told.diagram:
        yield from wrap("  ", line, width, "dim")
    for note in told.notes:
        yield from wrap("? not read  ", note, width)


def explanation_line(told: Told) -> ExplanationLine:
    return {
        "v": 1,
        "type": "explanation",
        "port": told.port,
        "transport": "udp" if told.transport == "udp" else "tcp",
        "verdict": told.verdict,
        "sentences": list(told.sentences),
        "diagram": list(told.diagram),
        "not_read": list(told.notes),
    }
