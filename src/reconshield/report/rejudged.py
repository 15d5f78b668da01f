"""What today's checks say of the facts of an older run, in rows and lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.model import Endpoint, Finding
from reconshield.report.line_types import RejudgedLine
from reconshield.report.lines import place_part
from reconshield.report.result import RunHead
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import local_time, plural, printable, size


@dataclass(frozen=True, slots=True)
class Rejudged:
    """One endpoint that is judged differently now. `fields` of the service that are read differently; a score of None means
    that none was kept.
    """

    endpoint: Endpoint
    appeared: tuple[Finding, ...]
    vanished: tuple[Finding, ...]
    score_before: int | None
    score_after: int
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejudgement:
    """A run judged again: how many services from their facts, how many dialogues (and bytes) read again, and what changed."""

    head: RunHead
    services: int
    replayed: int
    octets: int
    changes: tuple[Rejudged, ...]
    saved: bool


def rejudged_rows(again: Rejudgement, width: int) -> Iterator[Row]:
    """The new judgement for the terminal."""
    services = plural(again.services, "service", "services")
    dialogues = plural(again.replayed, "dialogue", "dialogues")
    text = f"{again.head.id} · {local_time(again.head.started)} · {services} judged again from stored facts; {dialogues} "
    yield from wrap("", f"{text}({size(again.octets)} of evidence) read again; no packet was sent", width)
    if not again.changes:
        yield [Span("Nothing is judged differently.", "bold")]
        return
    appeared = sum(len(change.appeared) for change in again.changes)
    vanished = sum(len(change.vanished) for change in again.changes)
    rated = sum(change.score_before not in {None, change.score_after} for change in again.changes)
    words = f"{plural(appeared, 'finding', 'findings')} appeared, {vanished} vanished, {plural(rated, 'risk', 'risks')} changed"
    yield from wrap("", words, width, "bold")
    for change in again.changes:
        yield []
        yield from change_rows(change, width)
    yield []
    ended = "saved; reports of this run show it now" if again.saved else "not saved; add --save to keep it"
    yield from wrap("", ended, width, "dim")


def change_rows(change: Rejudged, width: int) -> Iterator[Row]:
    risk = f"risk {change.score_after}"
    if change.score_before not in {None, change.score_after}:
        risk = f"risk {change.score_before} → {change.score_after}"
    read = f" · read differently: {', '.join(change.fields)}" if change.fields else ""
    yield from wrap(f"{change.endpoint}  ", risk + read, width)
    for word, findings in (("appeared", change.appeared), ("vanished", change.vanished)):
        for finding in findings:
            seen = printable(str(finding.evidence.get("seen", "")), 200)
            yield from wrap(f"  {word}  ", f"{finding.check} · {finding.severity.value}: {seen}", width)


def rejudged_lines(again: Rejudgement) -> Iterator[RejudgedLine]:
    """Every endpoint that is judged differently, as a line."""
    for change in again.changes:
        yield {
            "v": 1,
            "type": "rejudged",
            "run": again.head.id,
            **place_part(change.endpoint),
            "appeared": [finding.check for finding in change.appeared],
            "vanished": [finding.check for finding in change.vanished],
            "score_before": change.score_before,
            "score_after": change.score_after,
            "fields": list(change.fields),
        }
