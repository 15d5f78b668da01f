"""The runs of a database, and the sightings of an endpoint, as rows for the terminal and as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconshield.model import Observation
from reconshield.report.line_types import Line, RunLine
from reconshield.report.lines import observation_line, run_line, service_line
from reconshield.report.result import RatedService, RunHead, RunState
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import count, iso_time, local_time, plural, printable

STATE_COLOURS = {"running": "low", "partial": "medium", "failed": "high"}


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run in a list: its head, how it ended, and how much it found. `finished` in Unix seconds."""

    head: RunHead
    state: RunState
    finished: float | None
    open: int
    findings: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One sighting: in which run, from where, what state, and what spoke there then."""

    run: str
    vantage: str
    observation: Observation
    service: RatedService | None = None


def entry_rows(entries: Iterable[RunEntry], width: int) -> Iterator[Row]:
    """Two lines a run: when and what came out, then what was measured."""
    for entry in entries:
        head = entry.head
        found = f"{count(entry.open):>6} open  {plural(entry.findings, 'finding', 'findings')}"
        lead = f"{head.id}  {local_time(head.started)}  "
        yield [Span(lead), Span(f"{entry.state:<8}", STATE_COLOURS.get(entry.state, "")), Span(f"  {found}")]
        targets = ", ".join(printable(target, 40) for target in head.targets[:3]) or "nothing yet"
        more = f" and {count(len(head.targets) - 3)} more" if len(head.targets) > 3 else ""
        ports = head.ports if len(head.ports) <= 40 else head.ports[:39] + "…"
        yield from wrap("  ", f"{targets}{more} · {ports} · {head.engine} · from {printable(head.vantage, 40)}", width, "dim")


def entry_line(entry: RunEntry) -> RunLine:
    """A run as one line, with how it ended and what it found."""
    line = run_line(entry.head)
    line["state"], line["open"], line["findings"] = entry.state, entry.open, entry.findings
    line["finished"] = iso_time(entry.finished) if entry.finished is not None else None
    return line


def sighting_rows(seen: Iterable[Seen], width: int) -> Iterator[Row]:
    """One line a sighting: when, state and reason, what spoke, in which run."""
    for sighting in seen:
        o = sighting.observation
        state = f"{o.state.label} ({o.reason.label})"
        lead = f"{local_time(o.at)}  {f'{o.endpoint.port}/{o.endpoint.transport}':<9}  "
        service = sighting.service.service if sighting.service else None
        spoken = (service.service, service.product, service.version) if service else ()
        what = " ".join(printable(text, 30) for text in spoken if text)
        risk = f"risk {sighting.service.risk.score} {sighting.service.risk.rating}" if sighting.service else ""
        parts = (state, what, risk, f"run {sighting.run} from {printable(sighting.vantage, 40)}")
        yield from wrap(lead, " · ".join(part for part in parts if part), width)


def sighting_lines(seen: Iterable[Seen]) -> Iterator[Line]:
    """An observation for each sighting, and the service that spoke there then."""
    for sighting in seen:
        yield observation_line(sighting.run, sighting.observation)
        if sighting.service is not None:
            yield service_line(sighting.run, sighting.service)
