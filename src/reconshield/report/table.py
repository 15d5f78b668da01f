"""A run for the terminal: the worst first, what was seen and how to mend it, then what was measured, then the next step.

Everything is laid out for a given width; a line never runs over it. Colour and ASCII spelling are the caller's: this module
yields lines of `Span`s (text and the name of a colour), so that a test can read them as plain text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconshield.knowledge.risk import MAXIMA
from reconshield.model import Finding, Severity
from reconshield.report.answer import doubt_text, product_text, tls_text, was_asked
from reconshield.report.result import RatedService, RunResult, Standing, Summary, port_words
from reconshield.report.rows import Row, Span, plain, wrap
from reconshield.text import count, duration, local_time, percent, plural, printable, width_of

SHOWN_ROWS = 20
"""So many of the worst endpoints are listed when there are more than `ALL_ROWS`."""
ALL_ROWS = 30
ALSO = 12
"""So many of the other endpoints with the same finding are named."""
WIDE = 100
"""From so many columns on a row has the whole endpoint and more columns."""
EXTRA = {"EXPECTED": 12, "SINCE": 10, "EVIDENCE": 12}
"""What a wide row has besides, and how wide it is, in the order in which room is given."""
LEAST_PRODUCT = 7
SYMBOLS = {"critical": "✗", "high": "✗", "medium": "!", "low": "-", "info": "-"}

__all__ = ["counts_text", "next_steps", "plain", "risk_sum", "run_table", "summary_text"]


def run_table(result: RunResult, width: int, *, all_states: bool = False, every: bool = False) -> Iterator[Row]:
    """The lines of the report of a run, at most `width` columns each (at least 40); `every` endpoint, or the worst."""
    width = max(width, 40)
    yield from _head(result, width)
    rated = sorted(_one_a_port(s for s in result.services if s.endpoint not in result.own_loopback), key=_worst_first)
    shown = {s.endpoint for s in rated}
    findings = [f for f in result.findings if f.endpoint in shown]
    weighty = [f for f in findings if f.severity is not Severity.INFO]
    if rated:
        yield []
        yield from _endpoints(result, rated, width, every=every)
    if result.own_loopback:
        yield []
        yield from wrap("this machine only  ", _loopback_line(result), width, "dim")
    for alike in _alike(sorted(weighty, key=_worst_finding_first)):
        yield []
        yield from _finding(alike, width)
    yield from _notes([f for f in findings if f.severity is Severity.INFO], width)
    yield from _advice(result, rated, width)
    if all_states:
        yield []
        yield from _all_states(result, width)
    if result.held_back:
        yield []
        listed = ", ".join(sorted({f"{h.endpoint.port}/{h.endpoint.transport} ({h.kind})" for h in result.held_back}))
        yield from wrap("held back  ", f"{listed}: the state was measured, no byte was sent", width, "dim")
    if result.summary.doubts:
        yield []
        for doubt in result.summary.doubts:
            yield from wrap("! doubtful   ", doubt_text(doubt), width, "medium")
    yield []
    yield from wrap("", summary_text(result), width)


def next_steps(result: RunResult) -> tuple[str, ...]:
    """One or two commands that go on from here."""
    rated = sorted((s for s in result.services if s.endpoint not in result.own_loopback), key=_worst_first)
    if result.summary.state == "partial":
        return ()
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
    what = "endpoints" if result.head.addresses > 1 else port_words(result.head.ports)[1]
    if s.open == 0 and s.measured == s.probes and s.measured == s.closed:
        return f"Nothing listens here: {count(s.closed)} of {count(s.probes)} {what} closed, measured in {duration(s.seconds)}."
    text = f"{count(s.measured)} of {count(s.probes)} {what} measured in {duration(s.seconds)}: {counts_text(s)}; {_loss(s)}"
    if s.state == "partial":
        text += f"; {count(s.probes - s.measured)} not measured"
    return text + "".join(f"; {slowed}" for slowed in s.slowed)


def counts_text(summary: Summary) -> str:
    """`5 open, 995 closed, 0 filtered`; the rarer states only where there are any."""
    counts = [f"{count(summary.open)} open", f"{count(summary.closed)} closed", f"{count(summary.filtered)} filtered"]
    rarer = ((summary.open_filtered, "open|filtered"), (summary.unreachable, "unreachable"))
    return ", ".join(counts + [f"{count(number)} {word}" for number, word in rarer if number])


def _loss(summary: Summary) -> str:
    return "loss not measured" if summary.loss is None else f"loss {percent(summary.loss, 1.0)}"


def _head(result: RunResult, width: int) -> Iterator[Row]:
    head = result.head
    targets = ", ".join(head.targets[:3]) + (f" and {count(len(head.targets) - 3)} more" if len(head.targets) > 3 else "")
    hosts = f"{count(head.addresses)} addresses · " if head.addresses > 1 else ""
    per_host = head.probes // head.addresses if head.addresses else 0
    no_grant = "imported" if head.imported else "needs no grant"
    leave = f"grant {', '.join(head.grants)}" if head.grants else no_grant
    facts = f"{targets} · {hosts}{plural(per_host, *port_words(head.ports))} · {head.engine} · from {head.vantage} · {leave}"
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
    extra: Mapping[str, str]


def _endpoints(result: RunResult, rated: list[RatedService], width: int, *, every: bool) -> Iterator[Row]:
    """The endpoints, worst first. Several hosts: from 100 columns on their whole names stand in the rows, else above them."""
    shown = rated if every or len(rated) <= ALL_ROWS else rated[:SHOWN_ROWS]
    assets = list(dict.fromkeys(_asset(s) for s in shown))
    several = len(assets) > 1
    findings = Counter(f.endpoint for f in result.findings if f.severity is not Severity.INFO)
    standing = {s.endpoint: result.standing.get(s.endpoint, Standing()) for s in shown}
    cells = [
        (_asset(s), _cells(s, findings[s.endpoint], standing[s.endpoint], with_host=several and width >= WIDE)) for s in shown
    ]
    layout = _Layout.of([c for _, c in cells], width, with_host=several and width >= WIDE)
    if several and width < WIDE:
        yield from layout.head()
        for asset in assets:
            yield [Span(f"asset {asset}"[:width], "bold")]
            yield from layout.rows(c for name, c in cells if name == asset)
    else:
        yield from layout.head()
        yield from layout.rows(c for _, c in cells)
    if len(rated) > len(shown):
        left = count(len(rated) - len(shown))
        yield [Span(f"  {left} more: reconshield report {result.head.id}", "dim")]


def _asset(rated: RatedService) -> str:
    """What an endpoint belongs to: the name that the target was given by, else the address."""
    service = rated.service
    return f"{printable(service.name)} ({service.endpoint.ip})" if service.name else service.endpoint.ip


def _cells(rated: RatedService, findings: int, standing: Standing, *, with_host: bool) -> _Cells:
    service = rated.service
    asked = was_asked(service)
    product = " ".join(printable(t, 40) for t in (service.product, service.version) if t and asked)
    place = service.endpoint
    return _Cells(
        risk=str(rated.risk.score),
        rating=rated.risk.rating,
        place=str(place) if with_host else f"{place.port}/{place.transport}",
        service=service.service,
        product=product or product_text(rated),
        tls=tls_text(rated) if asked else "",
        findings=str(findings),
        extra={
            "EXPECTED": standing.verdict or "",
            "SINCE": local_time(standing.since)[:10] if standing.since else "",
            "EVIDENCE": service.rung.value,
        },
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """The widths of the columns. The product takes what is left; from 100 columns on there is more, as far as there is room
    for it and something to say (`extra`).

    Where a line is too narrow for all of them (`product` 0), an endpoint takes two lines.
    """

    width: int
    place: int
    service: int
    product: int
    extra: tuple[str, ...]
    with_host: bool

    @classmethod
    def of(cls, cells: list[_Cells], width: int, *, with_host: bool) -> _Layout:
        place = max(9, *(width_of(c.place) for c in cells))
        service = max(7, *(len(c.service) for c in cells))
        room = width - (2 + 3 + 1 + 8 + 2 + place + 2 + service + 2 + 2 + 8 + 2 + 8)
        extra: list[str] = []
        for name, size in EXTRA.items() if width >= WIDE else ():
            if any(c.extra[name] for c in cells) and room - 2 - size >= LEAST_PRODUCT:
                extra.append(name)
                room -= 2 + size
        wanted = max(LEAST_PRODUCT, *(width_of(c.product) for c in cells))
        return cls(width, place, service, min(wanted, room) if room >= LEAST_PRODUCT else 0, tuple(extra), with_host)

    def head(self) -> Iterator[Row]:
        if not self.product:
            return
        text = f"  {'RISK':<12}  {'ENDPOINT' if self.with_host else 'PORT':<{self.place}}  {'SERVICE':<{self.service}}  "
        text += f"{'PRODUCT':<{self.product}}  {'TLS':<8}  {'FINDINGS':>8}" + self.extra_text({name: name for name in EXTRA})
        yield [Span(text.rstrip(), "dim")]

    def extra_text(self, texts: Mapping[str, str]) -> str:
        return "".join(f"  {texts[name]:<{EXTRA[name]}}" for name in self.extra)

    def rows(self, cells: Iterable[_Cells]) -> Iterator[Row]:
        for c in cells:
            if not self.product:
                yield [Span(f"{c.risk:>3} "), Span(c.rating, c.rating), Span(f"  {c.place}"[: self.width - 4 - len(c.rating)])]
                yield [Span(_fit(f"    {c.service} · {c.product} · findings {c.findings}", self.width).rstrip())]
                continue
            text = f"  {_fit(c.place, self.place)}  {_fit(c.service, self.service)}  {_fit(c.product, self.product)}"
            text += f"  {c.tls:<8}  {c.findings:>8}" + self.extra_text(c.extra)
            yield [Span(f"  {c.risk:>3} "), Span(f"{c.rating:<8}", c.rating), Span(text.rstrip())]


def _fit(text: str, width: int) -> str:
    """The text in exactly `width` columns, cut with `…`."""
    if width_of(text) > width:
        text = text[: max(width - 1, 1)] + "…"
    return text + " " * (width - width_of(text))


def _alike(findings: Iterable[Finding]) -> Iterable[list[Finding]]:
    """The findings of one check that are mended in one way, each group in the order that it came in."""
    groups: dict[tuple[str, Severity, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.check, finding.severity, finding.remedy), []).append(finding)
    return groups.values()


def _finding(alike: list[Finding], width: int) -> Iterator[Row]:
    """The first of the group in full, then where else the same was found."""
    finding, *others = alike
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
    if others:
        yield from wrap("  also on   ", _places(finding, others), width)


def _places(first: Finding, others: list[Finding]) -> str:
    """`445/tcp (98 critical), 10.77.0.3:25/tcp (30 medium) and 7 more`: whole endpoints where the host is another."""
    texts = []
    for other in others[:ALSO]:
        place = other.endpoint
        risk = f" ({other.risk.score} {other.risk.rating})" if other.risk else ""
        texts.append((f"{place.port}/{place.transport}" if place.ip == first.endpoint.ip else str(place)) + risk)
    return ", ".join(texts) + (f" and {count(len(others) - ALSO)} more" if len(others) > ALSO else "")


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
