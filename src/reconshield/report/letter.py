"""A letter for people who do not read scans: only what changed, why it matters, what mends it, and what proves it.

The job decides what the changes of some days come to; here that becomes plain text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.knowledge.risk import MAXIMA
from reconshield.model import Endpoint, Finding, Risk, State
from reconshield.report.changes import RatedChange, field_sentence, sentence, spoken
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import count, local_time, plural, printable

HEADINGS = {
    "opened": "Opened",
    "service-changed": "Something else answers",
    "certificate-expiring": "Certificates that end soon",
    "version-changed": "Another version answers",
    "certificate-changed": "Another certificate is shown",
    "newly-measured": "Looked at for the first time, and open",
    "coverage-lost": "No longer measured",
    "closed": "Closed, as measured",
}
"""The sections in their order, by kind of change."""
VERDICTS = {
    "forbidden": "The policy says that it must be closed.",
    "unexpected": "Nobody has said that it is wanted.",
    "expired": "It was wanted until a day that is over.",
    "expected": "It is wanted, and somebody answers for it.",
}
REASONS = 2
"""So many of the weightiest factors of a risk are told."""


@dataclass(frozen=True, slots=True)
class Item:
    """What the changes of one endpoint come to. `finding` is the worst of that run; `verdict` is the policy's of today."""

    change: RatedChange
    zone: str
    run: str = ""
    vantage: str = ""
    assets: tuple[str, ...] = ()
    owner: str | None = None
    verdict: str | None = None
    risk: Risk | None = None
    advice: str | None = None
    finding: Finding | None = None
    turns: int = 1


@dataclass(frozen=True, slots=True)
class Letter:
    """What changed in a workspace since a moment, and how much was looked at. Times are Unix seconds."""

    workspace: str
    since: float
    until: float
    runs: int
    last_run: float | None
    items: tuple[Item, ...]


def letter_rows(letter: Letter, width: int) -> Iterator[Row]:
    """The letter, section by section."""
    yield [Span(f"What changed since {local_time(letter.since)}", "bold")]
    yield []
    yield from wrap("", summary_text(letter), width)
    for kind, heading in HEADINGS.items():
        items = [item for item in letter.items if item.change.kind == kind]
        if items:
            yield []
            yield [Span(heading, "bold")]
        for item in sorted(items, key=lambda item: -(item.risk.score if item.risk else 0)):
            yield []
            yield from item_rows(item, width)


def summary_text(letter: Letter) -> str:
    """How much was looked at, and what came of it."""
    if letter.last_run is None:
        return f"Nothing was measured in the workspace {letter.workspace} in this time, so nothing can be said."
    looked = f"{plural(letter.runs, 'measurement', 'measurements')}, the last on {local_time(letter.last_run)}"
    if not letter.items:
        return f"Nothing changed where we looked: {looked}."
    words = [
        f"{count(number)} {HEADINGS[kind][:1].lower()}{HEADINGS[kind][1:]}"
        for kind in HEADINGS
        if (number := sum(item.change.kind == kind for item in letter.items))
    ]
    return f"{'; '.join(words)}. {looked[:1].upper()}{looked[1:]}."


def item_rows(item: Item, width: int) -> Iterator[Row]:
    """One endpoint: what, when, why, fix, proof."""
    change = item.change
    names = ", ".join(printable(name, 60) for name in item.assets)
    place = f"{change.endpoint}" + (f" on {names}" if names else "") + f" ({item.zone})"
    what = spoken(change.service_after or change.service_before)
    yield from wrap("  ", f"{place}: {what}" if what else place, width, "bold")
    for label, text in (
        ("When", when_text(item)),
        ("Whose", item.owner or "nobody is named in the policy"),
        ("Why", why_text(item)),
        ("Fix", fix_text(item)),
        ("Proof", proof_text(item)),
    ):
        if text:
            yield from wrap(f"    {label:<6} ", text, width)


def when_text(item: Item) -> str:
    change = item.change
    again = f"; it turned {item.turns} times" if item.turns > 2 else ""
    if change.fields and change.kind != "certificate-expiring":
        fields = "; ".join(field_sentence(change, name) for name in change.fields)
        return f"{fields} (seen {local_time(change.first_seen)})" if change.first_seen else fields
    return sentence(change) + again


def why_text(item: Item) -> str:
    """The worst finding, the weightiest reasons of the risk, and the verdict."""
    if item.change.kind == "coverage-lost":
        return "what is not measured may have changed; it was open when it was last seen"
    if item.change.kind == "closed" or item.risk is None:
        return ""
    weighty = (f for f in item.risk.factors if f.points > 0 and f.name != "newly-opened")  # "When" has said so
    reasons = sorted(weighty, key=lambda f: (f.name in MAXIMA, -f.points))
    told = "; ".join(factor.because for factor in reasons[:REASONS])
    verdict = f" {VERDICTS[item.verdict]}" if item.verdict in VERDICTS else ""
    found = f"{printable(item.finding.title, 120)} ({item.finding.confidence.value}); " if item.finding else ""
    return f"{found}risk {item.risk.score} of 100, {item.risk.rating}: {told}.{verdict}"


def fix_text(item: Item) -> str:
    if item.change.kind == "certificate-expiring":
        return "renew the certificate, and restart or reload what uses it"
    if item.change.kind in {"closed", "coverage-lost"} or item.verdict == "expected":
        return ""
    return item.finding.remedy if item.finding else item.advice or ""


def proof_text(item: Item) -> str:
    """What shows that it is mended; of what is closed, the measurement that showed it."""
    change = item.change
    if change.kind == "closed":
        return f"{change.endpoint} was measured, and is {change.after} (run {item.run})"
    command = scan_command(change.endpoint)
    if change.kind == "coverage-lost":
        return f"measure it again: {command}"
    if change.kind == "certificate-expiring" or item.verdict == "expected":
        return command
    return f"{command} says {State.CLOSED.label}"


def scan_command(endpoint: Endpoint) -> str:
    ports = f"U:{endpoint.port}" if endpoint.transport == "udp" else str(endpoint.port)
    return f"reconshield scan {endpoint.ip} -p {ports}"
