"""The runs of a database, and the sightings of an endpoint, as rows for the terminal and as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from reconshield.model import Observation, State
from reconshield.report.line_types import Line, RunLine
from reconshield.report.lines import observation_line, run_line, service_line
from reconshield.report.result import RatedService, RunHead, RunState, port_words
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
        each = head.probes // head.addresses if head.addresses else 0
        ports = head.ports if len(head.ports) <= 40 or not each else plural(each, *port_words(head.ports))
        yield from wrap("  ", f"{targets}{more} · {ports} · {head.engine} · from {printable(head.vantage, 40)}", width, "dim")


def entry_line(entry: RunEntry) -> RunLine:
    """A run as one line, with how it ended and what it found."""
    line = run_line(entry.head)
    line["state"], line["open"], line["findings"] = entry.state, entry.open, entry.findings
    line["finished"] = iso_time(entry.finished) if entry.finished is not None else None
    return line


def sighting_rows(seen: Iterable[Seen], width: int) -> Iterator[Row]:
    """One line a sighting: when, state and reason, what spoke, in which run.

    What a run saw in the same state on several endpoints that are not open is one line: `972 ports  closed (reset)`.
    """
    for (run, vantage), sightings in groupby(seen, key=lambda s: (s.run, s.vantage)):
        silent: dict[str, list[Observation]] = {}
        for sighting in sightings:
            o = sighting.observation
            if o.state is State.OPEN or sighting.service:
                yield from wrap(_when(o, f"{o.endpoint.port}/{o.endpoint.transport}"), _sighting(sighting), width)
            else:
                silent.setdefault(f"{o.state.label} ({o.reason.label})", []).append(o)
        for state, same in silent.items():
            first = same[0].endpoint
            where = f"{first.port}/{first.transport}" if len(same) == 1 else f"{count(len(same))} ports"
            yield from wrap(_when(same[0], where), f"{state} · run {run} from {printable(vantage, 40)}", width)


def _when(seen: Observation, where: str) -> str:
    return f"{local_time(seen.at)}  {where:<9}  "


def _sighting(sighting: Seen) -> str:
    """`open (syn-ack) · pop3 Dovecot pop3d · risk 44 medium · run 20261123-094612-k3fd from local`."""
    o, rated = sighting.observation, sighting.service
    spoken = (rated.service.service, rated.service.product, rated.service.version) if rated else ()
    what = " ".join(printable(text, 30) for text in spoken if text)
    risk = f"risk {rated.risk.score} {rated.risk.rating}" if rated else ""
    parts = (f"{o.state.label} ({o.reason.label})", what, risk, f"run {sighting.run} from {printable(sighting.vantage, 40)}")
    return " · ".join(part for part in parts if part)


def sighting_lines(seen: Iterable[Seen]) -> Iterator[Line]:
    """An observation for each sighting, and the service that spoke there then."""
    for sighting in seen:
        yield observation_line(sighting.run, sighting.observation)
        if sighting.service is not None:
            yield service_line(sighting.run, sighting.service)
