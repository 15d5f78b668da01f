"""A run judged against the policy, for the terminal and as JSON Lines: what fails first, each verdict with what it rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from reconshield.knowledge.risk import MAXIMA
from reconshield.model import Risk
from reconshield.policy.records import Acceptance, Closure, Expectation
from reconshield.policy.verdict import FAILING, KINDS, Kind, Verdict
from reconshield.report.line_types import JudgementLine, Line, PolicyPart, VerdictLine
from reconshield.report.lines import place_part, risk_part, run_line
from reconshield.report.result import RunHead
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import count, iso_time, local_time, plural, printable, width_of

SYMBOLS: dict[Kind, tuple[str, str]] = {
    "forbidden": ("✗", "high"),
    "unexpected": ("✗", "high"),
    "expired": ("✗", "high"),
    "not-measured": ("✗", "dim"),
    "missing": ("?", "dim"),
    "accepted": ("✓", ""),
    "expected": ("✓", ""),
}
SHOWN = 200
"""So many failing verdicts are listed; the rest is counted. JSON Lines have all."""
TABLES = {Expectation: "expect", Closure: "closed", Acceptance: "accept"}


@dataclass(frozen=True, slots=True)
class RatedVerdict:
    """A verdict with the risk of its endpoint; `late` is how many days ago its entry expired."""

    verdict: Verdict
    risk: Risk | None = None
    late: int | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A run and what the policy says of it. `verdicts` gives those of some kinds (all without one), the worst kind first."""

    head: RunHead
    file: str
    counts: Mapping[Kind, int]
    strict: bool
    verdicts: Callable[..., Iterator[RatedVerdict]]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        return sum(number for kind, number in self.counts.items() if self.fails(kind))

    def fails(self, kind: Kind) -> bool:
        return kind in FAILING or (self.strict and kind == "missing")


def verdict_id(head: RunHead, verdict: Verdict) -> str:
    """The same whenever it is about the same place seen from the same vantage."""
    finding = verdict.finding.check if verdict.finding else ""
    return hashlib.sha256("\n".join((head.vantage, verdict.place, finding, "verdict")).encode()).hexdigest()[:16]


def checked_rows(checked: Checked, width: int) -> Iterator[Row]:
    """The verdicts for the terminal: what fails in full, the rest as counts."""
    head = checked.head
    targets = ", ".join(printable(t, 40) for t in head.targets[:3]) + (" …" if len(head.targets) > 3 else "")
    measured = f"measured {local_time(head.started)} from {printable(head.vantage, 40)}"
    yield from wrap("", f"{plural(checked.total, 'verdict', 'verdicts')} on {targets} · {measured}", width, "bold")
    listed = [kind for kind in KINDS if checked.counts[kind] and kind not in {"accepted", "expected"}]
    shown = [rated for _, rated in zip(range(SHOWN), checked.verdicts(*listed), strict=False)] if listed else []
    place = max((width_of(rated.verdict.place) for rated in shown), default=0)
    service = max((len(spoken(rated.verdict)) for rated in shown), default=0)
    for rated in shown:
        yield from verdict_rows(rated, min(place, 40), service, width)
    left = sum(checked.counts[kind] for kind in listed) - len(shown)
    if left > 0:
        yield [Span(f"  {count(left)} more: add --format jsonl for all of them", "dim")]
    rest = [f"{kind} {count(checked.counts[kind])}" for kind in ("expected", "accepted", "missing")]
    yield [Span(f"✓ {' · '.join(rest)}")]
    yield [Span(outcome_text(checked), "bold")]


def outcome_text(checked: Checked) -> str:
    if checked.failed:
        return f"failed: {count(checked.failed)} of {plural(checked.total, 'verdict', 'verdicts')} (exit 1)"
    return f"passed: {plural(checked.total, 'verdict', 'verdicts')}, none fails"


def verdict_rows(rated: RatedVerdict, place: int, service: int, width: int) -> Iterator[Row]:
    """One line for what and where, with the line of the policy; further ones for why, and for what was added to the risk."""
    verdict = rated.verdict
    symbol, colour = SYMBOLS[verdict.kind]
    risk = f"{rated.risk.score:>3} {rated.risk.rating:<8}" if rated.risk else " " * 12
    lead = f" {verdict.kind:<12}  {verdict.place:<{place}}  {spoken(verdict):<{service}}  {risk}  "
    entry, because = entry_text(rated), printable(verdict.because, 160) if verdict.entry else ""
    whole = f"{entry}: {because}" if because else entry
    room = width - width_of(symbol) - width_of(lead)
    if width_of(entry) <= room:
        inline = whole if width_of(whole) <= room else entry
        yield [Span(symbol, colour), Span(lead), Span(inline)]
        below = because if inline is not whole else ""
    else:
        yield [Span(symbol, colour), Span(f" {verdict.kind:<12}  {verdict.place}"[: width - width_of(symbol)])]
        below = "  ".join(part for part in (spoken(verdict), risk.strip(), whole) if part)
    for text in (below, added_text(rated.risk) if rated.risk else ""):
        if text:
            yield from wrap("    ", text, width, "dim")


def spoken(verdict: Verdict) -> str:
    """What speaks there; of a finding, its name."""
    if verdict.finding:
        return printable(verdict.finding.check, 40)
    return printable(verdict.service.service, 40) if verdict.service else ""


def entry_text(rated: RatedVerdict) -> str:
    """Which entry of the policy decides; without one, why that is so."""
    verdict = rated.verdict
    if verdict.entry is None:
        return verdict.because
    if verdict.kind == "expired" and rated.late is not None:
        return f"line {verdict.line}, " + ("today" if rated.late == 0 else f"{plural(rated.late, 'day', 'days')} ago")
    return f"[[{TABLES[type(verdict.entry)]}]] line {verdict.line}"


def why_text(rated: RatedVerdict) -> str:
    """The same with what the entry says."""
    because = f": {printable(rated.verdict.because, 160)}" if rated.verdict.entry else ""
    return entry_text(rated) + because


def added_text(risk: Risk) -> str:
    """`44 base + 10 newly opened: closed at …, open at …`; nothing where only the base counts."""
    added = [factor for factor in risk.factors if factor.name not in MAXIMA]
    base = sum(factor.points for factor in risk.factors if factor.name in MAXIMA)
    terms = [f"{'+' if f.points >= 0 else '-'} {abs(f.points)} {f.name.replace('-', ' ')} ({f.because})" for f in added]
    return f"{base} base {' '.join(terms)}" if added else ""


def checked_lines(checked: Checked) -> Iterator[Line]:
    """The run, every verdict, and how it ended."""
    yield run_line(checked.head)
    yield from (verdict_line(checked, rated) for rated in checked.verdicts())
    yield judgement_line(checked)


def verdict_line(checked: Checked, rated: RatedVerdict) -> VerdictLine:
    """One verdict as a line."""
    verdict, entry = rated.verdict, rated.verdict.entry
    line: VerdictLine = {
        "v": 1,
        "type": "verdict",
        "run": checked.head.id,
        "id": verdict_id(checked.head, verdict),
        "verdict": verdict.kind,
        "fails": checked.fails(verdict.kind),
        "endpoints": verdict.count,
        "zone": verdict.zone,
        "service": verdict.service.service if verdict.service else None,
        "finding": verdict.finding.check if verdict.finding else None,
        "because": verdict.because,
        "policy": policy_part(checked.file, entry) if entry else None,
        "risk": risk_part(rated.risk) if rated.risk else None,
        "state": verdict.seen.state.label if verdict.seen else None,
        "reason": verdict.seen.reason.label if verdict.seen else None,
        "at": iso_time(verdict.seen.at) if verdict.seen else None,
    }
    if verdict.endpoint:
        name = verdict.service.name if verdict.service else None
        line |= place_part(verdict.endpoint, name)  # type: ignore[typeddict-item]  # the same keys, all optional there
    elif verdict.box:
        line["addresses"], line["ports"] = list(verdict.box.addresses.cidrs()), verdict.box.ports.text()
    return line


def policy_part(file: str, entry: Expectation | Closure | Acceptance) -> PolicyPart:
    expires = None if isinstance(entry, Closure) else entry.expires.isoformat()
    return {
        "file": file,
        "line": entry.line,
        "table": TABLES[type(entry)],
        "reason": entry.reason,
        "owner": entry.owner,
        "expires": expires,
    }


def judgement_line(checked: Checked) -> JudgementLine:
    return {
        "v": 1,
        "type": "judgement",
        "run": checked.head.id,
        "policy": checked.file,
        "verdicts": {kind: checked.counts[kind] for kind in KINDS},
        "failed": checked.failed,
        "strict": checked.strict,
    }
