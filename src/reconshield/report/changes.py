"""What changed between two runs, as a short list: counts first, then the worst, each with when it was last otherwise.

The records are filled by the job that compares; here they only become rows for the terminal, and lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconshield.model import ChangeKind, Endpoint, Risk, Service
from reconshield.report.lines import place_part, risk_part
from reconshield.report.result import RunHead
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import count, iso_time, local_time, printable, width_of

if TYPE_CHECKING:
    from reconshield.report.line_types import ChangeLine, SpokenPart

SYMBOLS: dict[ChangeKind, tuple[str, str]] = {
    "opened": ("✗", "high"),
    "service-changed": ("!", "medium"),
    "certificate-expiring": ("!", "medium"),
    "version-changed": ("-", "low"),
    "certificate-changed": ("-", "low"),
    "newly-measured": ("?", "dim"),
    "coverage-lost": ("?", "dim"),
    "closed": ("✓", ""),
}
ORDER = tuple(SYMBOLS)
"""Worst kinds first; within a kind the highest risk first."""
SHOWN = 200
"""So many changes are listed; the rest is counted. JSON Lines have all."""


@dataclass(frozen=True, slots=True)
class RatedChange:
    """One endpoint that is not as it was; `risk` is that of the endpoint now, or of what is gone. Times are Unix seconds."""

    kind: ChangeKind
    endpoint: Endpoint
    before: str
    after: str
    last_seen: float | None
    first_seen: float | None
    service_before: Service | None = None
    service_after: Service | None = None
    fields: tuple[str, ...] = ()
    risk: Risk | None = None
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs and every change between them."""

    before: RunHead
    after: RunHead
    changes: tuple[RatedChange, ...]

    @property
    def comparable(self) -> bool:
        """Only what was seen from the same place can have opened or closed."""
        return self.before.vantage == self.after.vantage


def comparison_rows(comparison: Comparison, width: int) -> Iterator[Row]:
    """The comparison for the terminal."""
    counts = {kind: sum(change.kind == kind for change in comparison.changes) for kind in ORDER}
    shown = {kind: number for kind, number in counts.items() if number or kind in {"opened", "closed"}}
    words = [f"{count(number)} {kind.replace('-', ' ')}" for kind, number in shown.items()]
    yield from wrap("", " · ".join(words) if comparison.changes else "Nothing changed where both runs measured.", width, "bold")
    for label, head in (("before", comparison.before), ("after ", comparison.after)):
        text = f"{head.id} · {local_time(head.started)} · from {printable(head.vantage, 40)} · {head.engine}"
        yield from wrap(f"{label}  ", text, width, "dim")
    if not comparison.comparable:
        text = (
            "the runs were made from two vantages: what is open now is newly measured there, nothing is called opened or closed"
        )
        yield from wrap("note    ", text, width)
    ordered = sorted(comparison.changes, key=worst_first)
    place = max((width_of(str(change.endpoint)) for change in ordered[:SHOWN]), default=0)
    if ordered:
        yield []
    for change in ordered[:SHOWN]:
        yield from change_rows(change, place, width)
    if len(ordered) > SHOWN:
        yield [Span(f"  {count(len(ordered) - SHOWN)} more: add --json for all of them", "dim")]


def worst_first(change: RatedChange) -> tuple[int, int]:
    """Changes of a kind and a risk keep their order, which is that of addresses."""
    return ORDER.index(change.kind), -(change.risk.score if change.risk else 0)


def change_rows(change: RatedChange, place: int, width: int) -> Iterator[Row]:
    """One line for what happened where, and what it means; a second one for what was before."""
    service = change.service_after or change.service_before
    risk = f"{change.risk.score} {change.risk.rating}" if change.risk else ""
    symbol, colour = SYMBOLS[change.kind]
    lead = f"{symbol} {change.kind:<20} {change.endpoint!s:<{place}}  "
    text = "  ".join(part for part in (spoken(service), risk) if part)
    if width_of(lead) + width_of(text) <= width:
        yield [Span(lead[:2], colour), Span(lead[2:]), Span(text)]
    else:
        yield [Span(lead[:2], colour), Span(lead[2:].rstrip()[: width - 2])]
        yield from wrap("    ", text, width)
    yield from wrap("    ", sentence(change), width, "dim")


def spoken(service: Service | None) -> str:
    """What speaks there, in a few words."""
    if service is None:
        return ""
    return " ".join(printable(text, 40) for text in (service.service, service.product, service.version) if text)


def sentence(change: RatedChange) -> str:
    """What was before and when, what is now and since when at the latest."""
    if change.kind == "certificate-expiring":
        return f"the certificate ends on {certificate_day(change.service_after)}"
    if change.fields:
        return "; ".join(field_sentence(change, name) for name in change.fields)
    before = f"{change.before} at {local_time(change.last_seen)}" if change.last_seen else "not measured before"
    after = f"{change.after} at {local_time(change.first_seen)}" if change.first_seen else "not measured now"
    return f"{before}, {after}" + ("; it opens and closes all the time" if change.flapping else "")


def certificate_day(service: Service | None) -> str:
    """The day on which a certificate ends, as it says itself."""
    tls = service.facts.get("tls") if service else None
    certificate = tls.get("certificate") if isinstance(tls, Mapping) else None
    return printable(str(certificate.get("not_after")), 40)[:10] if isinstance(certificate, Mapping) else "an unknown day"


def field_sentence(change: RatedChange, name: str) -> str:
    old, new = change.service_before, change.service_after
    if name == "certificate" or old is None or new is None:
        return f"another {name}"
    return f"{name} {printable(str(getattr(old, name)), 40)} → {printable(str(getattr(new, name)), 40)}"


def change_lines(comparison: Comparison) -> Iterator[ChangeLine]:
    """Every change as a line, in the order of addresses."""
    for change in comparison.changes:
        yield change_line(change, comparison.before.id, comparison.after.id, comparison.after.vantage)


def change_line(change: RatedChange, before: str | None, after: str, vantage: str) -> ChangeLine:
    """A change between two runs, or (`before` None) from all that was known to a run."""
    service = change.service_after or change.service_before
    return {
        "v": 1,
        "type": "change",
        "runs": {"before": before, "after": after},
        "vantage": vantage,
        "change": change.kind,
        **place_part(change.endpoint, service.name if service else None),
        "before": change.before,
        "after": change.after,
        "last_seen": iso_time(change.last_seen) if change.last_seen else None,
        "first_seen": iso_time(change.first_seen) if change.first_seen else None,
        "fields": list(change.fields),
        "service_before": spoken_part(change.service_before),
        "service_after": spoken_part(change.service_after),
        "risk": risk_part(change.risk) if change.risk else None,
        "flapping": change.flapping,
    }


def spoken_part(service: Service | None) -> SpokenPart | None:
    if service is None:
        return None
    return {
        "service": service.service,
        "product": service.product,
        "version": service.version,
        "tls": service.tls.value,
        "confidence": service.confidence.value,
    }
