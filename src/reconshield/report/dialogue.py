"""The evidence of one endpoint as a page shows it: every turn whole, the time since the one before, and the words around it.

The terminal's form is `evidence`; both mark the same turns, because both ask `turn_marks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.model import Finding, State
from reconshield.report.evidence import (
    DECIDES,
    MEANINGS,
    EndpointEvidence,
    evidence_rows,
    first_entry,
    not_sent,
    turn_marks,
)
from reconshield.report.line_types import Line as JsonLine
from reconshield.report.lines import finding_line, held_back_line, observation_line, service_line
from reconshield.report.rows import plain
from reconshield.text import count

TEXT_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One turn. `gap` is the milliseconds since the turn before; `first` holds words instead of bytes: the port itself."""

    ms: float
    gap: float
    sent: bytes
    received: bytes
    mark: str = ""
    probe: str = ""
    tls: bool = False
    truncated: bool = False
    upgraded: bool = False
    first: tuple[str, str] | None = None

    @property
    def decides(self) -> bool:
        return self.mark == DECIDES


def dialogue(seen: EndpointEvidence, finding: Finding | None) -> Iterator[Line]:
    """The measurement of the port, then every kept turn. `finding` is the one whose deciding turn is marked."""
    entry = first_entry(seen)
    yield Line(0.0, 0.0, b"", b"", entry.mark, first=(entry.sent, entry.received))
    turns = seen.service.service.evidence if seen.service else ()
    before = 0.0
    for turn, mark in zip(turns, turn_marks(seen, turns, finding), strict=True):
        gap = max(turn.ms - before, 0.0)
        yield Line(turn.ms, gap, turn.sent, turn.received, mark.text, turn.probe, turn.tls, turn.truncated, mark.upgraded)
        before = turn.ms


def worst_first(seen: EndpointEvidence) -> tuple[Finding, ...]:
    return tuple(sorted(seen.findings, key=lambda finding: -finding.severity.rank))


def not_sent_text(seen: EndpointEvidence) -> str | None:
    """What was left out on purpose; None where nothing was asked, or another tool asked."""
    if seen.held:
        return f"{seen.held.kind} port: {seen.held.because}; no byte was sent"
    service = seen.service.service if seen.service else None
    if service is None or seen.imported or not any(turn.sent for turn in service.evidence):
        return None
    return not_sent(service)


def state_text(seen: EndpointEvidence) -> str | None:
    """What a state other than open means."""
    state = seen.observation.state
    return None if state is State.OPEN else MEANINGS[state]


def kept_bytes(seen: EndpointEvidence) -> int:
    return sum(len(turn.sent) + len(turn.received) for turn in (seen.service.service.evidence if seen.service else ()))


def whole_text(seen: EndpointEvidence) -> str:
    """The same as the terminal shows, for a ticket."""
    return "\n".join(plain(row).rstrip() for row in evidence_rows(seen, TEXT_WIDTH, seen.head.id)) + "\n"


def evidence_lines(seen: EndpointEvidence) -> Iterator[JsonLine]:
    """The lines of a run that are about one endpoint."""
    yield observation_line(seen.head.id, seen.observation)
    if seen.held:
        yield held_back_line(seen.head.id, seen.held)
    if seen.service:
        yield service_line(seen.head.id, seen.service)
    yield from (finding_line(seen.head.id, finding) for finding in seen.findings)


def wait_text(ms: float) -> str:
    """`+0.4 ms`, `+1,200.0 ms`."""
    return f"+{ms:.1f} ms" if ms < 1000 else f"+{count(round(ms))} ms"
