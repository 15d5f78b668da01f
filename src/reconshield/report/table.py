"""A run for the terminal: the worst first, what was seen and how to mend it, then what was measured, then the next step.

Everything is laid out for a given width; a line never runs over it. Colour and ASCII spelling are the caller's: this module
yields lines of `Span`s (text and the name of a colour), so that a test can read them as plain text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconshield.knowledge.risk import MAXIMA
from reconshield.model import Confidence, Finding, Severity
from reconshield.report.result import RatedService, RunResult, Summary
from reconshield.report.rows import Row, Span, plain, wrap
from reconshield.text import count, duration, percent, printable, width_of

SHOWN_ROWS = 20
"""So many of the worst endpoints are listed when there are more than `ALL_ROWS`."""
ALL_ROWS = 30
SYMBOLS = {"critical": "✗", "high": "✗", "medium": "!", "low": "-", "info": "-"}
RATED = ("critical", "high", "medium", "low")

__all__ = ["next_steps", "plain", "risk_sum", "run_table", "summary_text"]


def run_table(result: RunResult, width: int, *, all_states: bool = False) -> Iterator[Row]:
    """The lines of the report of a run, at most `width` columns each (at least 40)."""
    width = max(width, 40)
    yield from _head(result, width)
    rated = sorted(_one_a_port(s for s in result.services if s.endpoint not in result.own_loopback), key=_worst_first)
    shown = {s.endpoint for s in rated}
    findings = [f for f in result.findings if f.endpoint in shown]
    weighty = [f for f in findings if f.severity is not Severity.INFO]
    if rated:
        yield []
        yield from _endpoints(result, rated, width)
    if result.own_loopback:
        yield []
        yield from wrap("this machine only  ", _loopback_line(result), width, "dim")
    for finding in sorted(weighty, key=_worst_finding_first):
        yield []
        yield from _finding(finding, width)
    yield from _notes([f for f in findings if f.severity is Severity.INFO], width)
    yield from _advice(result, rated, width)
    if all_states:
        yield []
        yield from _all_states(result, width)
    if result.held_back:
        yield []
        listed = ", ".join(sorted({f"{h.endpoint.port}/{h.endpoint.transport} ({h.kind})" for h in result.held_back}))
        yield from wrap("held back  ", f"{listed}: the state was measured, no byte was sent", width, "dim")
    yield []
    yield from wrap("", summary_text(result), width)


def next_steps(result: RunResult) -> tuple[str, ...]:
    """One or two commands that go on from here."""
    rated = sorted((s for s in result.services if s.endpoint not in result.own_loopback), key=_worst_first)
    if not rated:
        return ("reconshield port 110   what a port page says",)
    worst = rated[0].endpoint
    host = f"[{worst.ip}]" if ":" in worst.ip else worst.ip
    return (
        f"reconshield evidence latest {host}:{worst.port}   sent and received",
        f"reconshield port {worst.port}   what this is and how to close it",
    )


def summary_text(result: RunResult) -> str:
    """`1,000 of 1,000 ports measured in 1.9 s: 5 open, 995 closed, 0 filtered; loss not measured`."""
    s = result.summary
    what = "endpoints" if result.head.addresses > 1 else "ports" if "U:" in result.head.ports else "TCP ports"
    if s.open == 0 and s.measured == s.probes and s.measured == s.closed:
        return f"Nothing listens here: {count(s.closed)} of {count(s.probes)} {what} closed, measured in {duration(s.seconds)}."
    counts = [f"{count(s.open)} open", f"{count(s.closed)} closed", f"{count(s.filtered)} filtered"]
    counts += [f"{count(n)} {word}" for n, word in ((s.open_filtered, "open|filtered"), (s.unreachable, "unreachable")) if n]
    text = f"{count(s.measured)} of {count(s.probes)} {what} measured in {duration(s.seconds)}: {', '.join(counts)}; {_loss(s)}"
    if s.state == "partial":
        text += f"; {count(s.probes - s.measured)} not measured"
    return text + "".join(f"; {slowed}" for slowed in s.slowed)


def _loss(summary: Summary) -> str:
    return "loss not measured" if summary.loss is None else f"loss {percent(summary.loss, 1.0)}"


def _head(result: RunResult, width: int) -> Iterator[Row]:
    head = result.head
    targets = ", ".join(head.targets[:3]) + (f" and {count(len(head.targets) - 3)} more" if len(head.targets) > 3 else "")
    hosts = f"{count(head.addresses)} addresses · " if head.addresses > 1 else ""
    per_host = head.probes // head.addresses if head.addresses else 0
    leave = f"grant {', '.join(head.grants)}" if head.grants else "needs no grant"
    kind = "ports" if "U:" in head.ports else "TCP ports"
    facts = f"{targets} · {hosts}{count(per_host)} {kind} · {head.engine} · from {head.vantage} · {leave}"
    yield from wrap(f"{head.id}  ", facts, width)
    for sentence in head.dropped:
        yield from wrap("not measured  ", sentence, width, "dim")


def _one_a_port(services: Iterable[RatedService]) -> list[RatedService]:
    """A target given by name may have several addresses; where the same answers on all of them, the worst one is shown."""
    chosen: dict[object, RatedService] = {}
    for rated in services:
        s = rated.service
        key = (s.name or s.endpoint.ip, s.endpoint.port, s.endpoint.transport, s.service, s.product, s.version, s.tls)
        if key not in chosen or _worst_first(rated) < _worst_first(chosen[key]):
            chosen[key] = rated
    return list(chosen.values())


def _worst_first(rated: RatedService) -> tuple[int, str, int]:
    return (-rated.risk.score, rated.endpoint.ip, rated.endpoint.port)


def _worst_finding_first(finding: Finding) -> tuple[int, int, str, int]:
    score = finding.risk.score if finding.risk else 0
    return (-finding.severity.rank, -score, finding.endpoint.ip, finding.endpoint.port)


@dataclass(frozen=True, slots=True)
class _Cells:
    """One endpoint as the texts of its columns."""

    risk: str
    rating: str
    place: str
    service: str
    product: str
    tls: str
    findings: str
    evidence: str


def _endpoints(result: RunResult, rated: list[RatedService], width: int) -> Iterator[Row]:
    shown = rated if len(rated) <= ALL_ROWS else rated[:SHOWN_ROWS]
    several = len({s.service.name or s.endpoint.ip for s in rated}) > 1
    findings = Counter(f.endpoint for f in result.findings if f.severity is not Severity.INFO)
    cells = [_cells(s, findings[s.endpoint], with_host=several) for s in shown]
    yield from _wide(cells, width, several)
    if len(rated) > len(shown):
        left = count(len(rated) - len(shown))
        yield [Span(f"  {left} more: reconshield report {result.head.id}", "dim")]


def _cells(rated: RatedService, findings: int, *, with_host: bool) -> _Cells:
    service = rated.service
    product = " ".join(printable(t, 40) for t in (service.product, service.version) if t)
    if service.confidence is Confidence.GUESS:
        product = "guess: port number only"
    elif service.service == "unknown":
        kept = sum(len(turn.received) for turn in service.evidence)
        product = f"{count(kept)} bytes kept" if kept else "says nothing"
    place = service.endpoint
    own = "own" if service.service == "ssh" and service.tls.value == "none" else service.tls.value
    return _Cells(
        risk=str(rated.risk.score),
        rating=rated.risk.rating,
        place=str(place) if with_host else f"{place.port}/{place.transport}",
        service=service.service,
        product=product or "not shown",
        tls="" if service.confidence is Confidence.GUESS else own,
        findings=str(findings),
        evidence=service.rung.value,
    )


def _wide(cells: list[_Cells], width: int, several: bool) -> Iterator[Row]:
    """One line an endpoint; two where that does not fit.

    The product column takes what is left of the width; evidence is shown from 100 columns on.
    """
    place = max(9, *(width_of(c.place) for c in cells))
    service = max(7, *(len(c.service) for c in cells))
    evidence = 14 if width >= 100 else 0
    fixed = 2 + 3 + 1 + 8 + 2 + place + 2 + service + 2 + 2 + 8 + 2 + 8 + (2 + evidence if evidence else 0)
    if width - fixed < 7:
        yield from _narrow(cells, width)
        return
    product = max(min(max(len(c.product) for c in cells), width - fixed), 7)
    head = f"  {'RISK':<12}  {'ENDPOINT' if several else 'PORT':<{place}}  {'SERVICE':<{service}}  "
    head += f"{'PRODUCT':<{product}}  {'TLS':<8}  {'FINDINGS':>8}" + (f"  {'EVIDENCE':<{evidence}}" if evidence else "")
    yield [Span(head.rstrip()[:width], "dim")]
    for c in cells:
        text = f"  {_fit(c.place, place)}  {_fit(c.service, service)}  {_fit(c.product, product)}  {c.tls:<8}  {c.findings:>8}"
        text += f"  {c.evidence}" if evidence else ""
        yield [Span(f"  {c.risk:>3} "), Span(f"{c.rating:<8}", c.rating), Span(text.rstrip())]


def _narrow(cells: list[_Cells], width: int) -> Iterator[Row]:
    """Two lines an endpoint: rating and place, then what answers."""
    for c in cells:
        yield [Span(f"{c.risk:>3} "), Span(c.rating, c.rating), Span(f"  {c.place}"[: width - 4 - len(c.rating)])]
        yield [Span(_fit(f"    {c.service} · {c.product} · findings {c.findings}", width).rstrip())]


def _fit(text: str, width: int) -> str:
    """The text in exactly `width` columns, cut with `…`."""
    if width_of(text) > width:
        text = text[: max(width - 1, 1)] + "…"
    return text + " " * (width - width_of(text))


def _finding(finding: Finding, width: int) -> Iterator[Row]:
    severity = finding.severity.value
    place = str(finding.endpoint)
    lead = f"{SYMBOLS[severity]} {severity:<9} "
    title = printable(finding.title, 100)
    room = width - width_of(lead) - width_of(place) - 2
    colour = "low" if finding.severity is Severity.INFO else severity
    if width_of(title) <= room:
        yield [Span(lead, colour), Span(title, "bold"), Span("  " + " " * (room - width_of(title)) + place)]
    else:
        yield [Span(lead, colour), Span(place)]
        yield from wrap("  what      ", title, width, "bold")
    seen = printable(str(finding.evidence.get("seen", "")), 300)
    arithmetic = f"; risk {risk_sum(finding)}" if finding.risk else ""
    yield from wrap("  seen      ", f"{seen} ({finding.confidence.value}){arithmetic}", width)
    yield from wrap("  fix       ", finding.remedy, width)


def _notes(findings: list[Finding], width: int) -> Iterator[Row]:
    """What is worth knowing and no harm by itself: one line for each kind, with its endpoints."""
    kinds: dict[str, list[str]] = {}
    for finding in findings:
        place = finding.endpoint
        kinds.setdefault(finding.title, []).append(f"{place.port}/{place.transport}")
    if kinds:
        yield []
    for title, places in kinds.items():
        listed = ", ".join(sorted(set(places), key=lambda p: int(p.partition("/")[0]))[:12])
        more = f" and {count(len(set(places)) - 12)} more" if len(set(places)) > 12 else ""
        yield from wrap(f"{SYMBOLS['info']} info      ", f"{title}: {listed}{more}", width, "low")


def risk_sum(finding: Finding) -> str:
    """`100 = 85 base + 15 proven` for the endpoint of a finding."""
    risk = finding.risk
    if risk is None:
        return "not rated"
    base = sum(f.points for f in risk.factors if f.name in MAXIMA)
    added = [f for f in risk.factors if f.name not in MAXIMA]
    terms = "".join(f" {'+' if f.points >= 0 else '−'} {abs(f.points)} {f.name.replace('-', ' ')}" for f in added)
    total = base + sum(f.points for f in added)
    return f"{risk.score} = {base} base{terms}" + (f", cut at {risk.score}" if total != risk.score else "")


def _advice(result: RunResult, rated: list[RatedService], width: int) -> Iterator[Row]:
    """The first thing to do for the worst endpoints that have no finding of their own (those say their own fix)."""
    judged = {f.endpoint for f in result.findings}
    left = [s for s in rated if s.advice and s.endpoint not in judged and s.risk.rating != "low"]
    seen: set[str] = set()
    first = True
    for service in left:
        advice = service.advice or ""
        if advice in seen or len(seen) >= 5:
            continue
        seen.add(advice)
        if first:
            yield []
        lead = "do  " if first else "    "
        first = False
        yield from wrap(f"{lead}{f'{service.endpoint.port}/{service.endpoint.transport}':<10} ", advice, width)


def _loopback_line(result: RunResult) -> str:
    parts = {
        f"{s.endpoint.port}/{s.endpoint.transport} {s.service.service}"
        for s in result.services
        if s.endpoint in result.own_loopback
    }
    return ", ".join(sorted(parts, key=lambda p: int(p.partition("/")[0])))


def _all_states(result: RunResult, width: int) -> Iterator[Row]:
    for seen in result.observations:
        text = f"  {seen.endpoint!s:<28} {seen.state.label:<14} {seen.reason.label}"
        yield [Span(text[:width])]
