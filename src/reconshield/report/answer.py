"""What a run says, in words: the answer in one sentence, the head, the coverage. Shared by the reports that people read.

    RunResult -> exposures (open endpoints, worst first, each with its findings) -> sentences and rows for HTML and Markdown

Texts from the network are left as they came: the format that prints them makes them harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from reconshield.knowledge.risk import MAXIMA
from reconshield.model import Confidence, Endpoint, Finding, Risk, Service, Severity
from reconshield.report.result import Doubt, HeldBack, RatedService, RunHead, RunResult, Summary, port_words
from reconshield.scope import LEVELS
from reconshield.text import count, duration, percent, plural

RATINGS = {"critical": "75 to 100", "high": "50 to 74", "medium": "30 to 49", "low": "0 to 29"}
"""The ratings, worst first, with their scores."""

HOW_TO_READ = (
    ("Severity", "the harm if a finding is true; fixed for each check, the same everywhere."),
    (
        "Risk",
        "the harm here: points from 0 to 100, each with reason and source. Medium from 30, high from 50, critical from 75.",
    ),
    (
        "Confidence",
        "how sure we are: guess (port number only), probable (shape of a banner), confirmed (the protocol was spoken).",
    ),
)

STATES = {
    "running": "running: this report shows what was measured so far",
    "complete": "complete",
    "partial": "partial: stopped before its end, can be resumed",
    "failed": "failed: what was measured before is shown",
}


@dataclass(frozen=True, slots=True)
class Exposure:
    """An open endpoint with its findings, worst first. `also` are other addresses of the same name that answer alike."""

    rated: RatedService
    findings: tuple[Finding, ...]
    also: tuple[Endpoint, ...] = ()

    @property
    def endpoint(self) -> Endpoint:
        return self.rated.endpoint

    @property
    def host(self) -> str:
        return self.rated.service.name or self.endpoint.ip


def find_exposures(result: RunResult) -> list[Exposure]:
    """The open endpoints that are rated, by risk, then severity, then address. Listeners on loopback alone are left out."""
    findings: dict[Endpoint, list[Finding]] = {}
    for finding in sorted(result.findings, key=lambda f: (-f.severity.rank, f.check)):
        findings.setdefault(finding.endpoint, []).append(finding)
    alike: dict[object, list[RatedService]] = {}
    for rated in result.services:
        if rated.endpoint not in result.own_loopback:
            alike.setdefault(_likeness(rated, findings.get(rated.endpoint, ())), []).append(rated)
    shown = []
    for group in alike.values():
        first, *others = sorted(group, key=lambda r: _address_order(r.endpoint)) if len(group) > 1 else group
        shown.append(Exposure(first, tuple(findings.get(first.endpoint, ())), tuple(o.endpoint for o in others)))
    return sorted(shown, key=_worst_first)


def _likeness(rated: RatedService, findings: Sequence[Finding]) -> object:
    """What two addresses of one name must have in common to be shown as one; without a name an endpoint is like no other."""
    s = rated.service
    if not s.name:
        return s.endpoint
    return (
        s.name,
        s.endpoint.port,
        s.endpoint.transport,
        s.service,
        s.product,
        s.version,
        s.tls,
        rated.risk,
        tuple(finding.check for finding in findings),
    )


def _worst_first(exposure: Exposure) -> tuple[object, ...]:
    worst = exposure.findings[0].severity.rank if exposure.findings else -1
    return (-exposure.rated.risk.score, -worst, *_address_order(exposure.endpoint))


def _address_order(endpoint: Endpoint) -> tuple[int, int, int, str]:
    return (*_number_of(endpoint.ip), endpoint.port, endpoint.transport)


@lru_cache(4096)  # a host has many ports
def _number_of(ip: str) -> tuple[int, int]:
    address = ip_address(ip)
    return address.version, int(address)


@dataclass(frozen=True, slots=True)
class Tally:
    """What the answer of a run counts: findings by severity, the hosts that have one above info, the endpoints that only this
    machine reaches, and the worst risk (None: nothing is rated).
    """

    severities: Mapping[Severity, int]
    hosts: int
    only: int = 0
    worst: tuple[int, str] | None = None


def answer_text(result: RunResult, exposures: list[Exposure]) -> str:
    """The answer in one sentence, the worst first."""
    severities: dict[Severity, int] = {}
    for finding in (f for e in exposures for f in e.findings):
        severities[finding.severity] = severities.get(finding.severity, 0) + 1
    worst = (exposures[0].rated.risk.score, exposures[0].rated.risk.rating) if exposures else None
    return answer_of(result.summary, result.head, Tally(severities, _hosts(exposures), len(result.own_loopback), worst))


def answer_of(summary: Summary, head: RunHead, tally: Tally) -> str:
    """The same from its numbers, for runs too large to be read whole."""
    if summary.measured == 0:
        return "Nothing was measured, so nothing is known yet."
    missing = summary.probes - summary.measured
    left = f"; {count(missing)} of {count(summary.probes)} not measured" if missing else ""
    if summary.open == 0:
        where = f"on {plural(head.addresses, 'address', 'addresses')}"
        return f"Nothing open {where}: {plural(summary.measured, 'endpoint', 'endpoints')} measured{left}."
    opened = f"{plural(summary.open, 'endpoint', 'endpoints')} open of {count(summary.measured)} measured"
    if tally.only:
        opened += f", {count(tally.only)} of them reachable from this machine alone"
    weighty = dict(pair for pair in tally.severities.items() if pair[0] is not Severity.INFO and pair[1])
    if weighty:
        return f"{_severities(weighty)} on {plural(tally.hosts, 'host', 'hosts')}; {opened}{left}."
    if tally.worst is None:
        return f"No endpoint is open to other hosts; {opened}{left}."
    where = " on what other hosts can reach" if tally.only else ""
    return f"No findings above info{where}; {opened}; the highest risk is {tally.worst[0]} {tally.worst[1]}{left}."


def _severities(counts: Mapping[Severity, int]) -> str:
    """`2 findings of critical severity, 1 of medium`."""
    (worst, number), *rest = sorted(counts.items(), key=lambda pair: -pair[0].rank)
    first = f"{plural(number, 'finding', 'findings')} of {worst.value} severity"
    return ", ".join((first, *(f"{count(n)} of {severity.value}" for severity, n in rest)))


def _hosts(exposures: list[Exposure]) -> int:
    return len({e.host for e in exposures if any(f.severity is not Severity.INFO for f in e.findings)})


def target_text(head: RunHead, shown: int = 3) -> str:
    """`10.77.0.2`, `10.77.0.0/24, mail.example.org, 10.78.0.1 and 5 more`."""
    more = len(head.targets) - shown
    return ", ".join(head.targets[:shown]) + (f" and {count(more)} more" if more > 0 else "")


def measured_text(head: RunHead) -> str:
    """`254 addresses × 1,000 TCP ports`."""
    ports = head.probes // head.addresses if head.addresses else 0
    return f"{plural(head.addresses, 'address', 'addresses')} × {plural(ports, *port_words(head.ports))}"


def level_text(level: int) -> str:
    """`3, identify`."""
    return f"{level}, {LEVELS[level]}" if level in LEVELS else str(level)


def product_text(rated: RatedService) -> str:
    """What is known of the product; says so where nothing is."""
    service = rated.service
    if not was_asked(service):
        return "not asked, held back" if (service.note or "").startswith("held back") else "guess: port number only"
    if service.product:
        return f"{service.product} {service.version}" if service.version else service.product
    if service.service != "unknown":
        return "not shown"
    kept = sum(len(turn.received) for turn in service.evidence)
    return f"{plural(kept, 'byte', 'bytes')} kept" if kept else "says nothing"


def was_asked(service: Service) -> bool:
    """Whether anybody spoke: we asked, or the service greeted. If not, the port number is all that is known."""
    return service.confidence is not Confidence.GUESS or bool(service.evidence or service.facts)


def tls_text(rated: RatedService) -> str:
    """`none`, `implicit`, `starttls`; SSH has its own; what was not asked has not shown any."""
    service = rated.service
    if not was_asked(service):
        return "not measured"
    return "own" if service.service == "ssh" and service.tls.value == "none" else service.tls.value


def risk_sums(risk: Risk) -> str:
    """`85 base + 15 proven open = 100`; a sum outside 0 to 100 says where it was cut."""
    base = sum(f.points for f in risk.factors if f.name in MAXIMA)
    added = [f for f in risk.factors if f.name not in MAXIMA]
    terms = "".join(f" {'+' if f.points >= 0 else '−'} {abs(f.points)} {f.name.replace('-', ' ')}" for f in added)
    total = base + sum(f.points for f in added)
    return f"{base} base{terms} = {total}" + (f", cut at {risk.score}" if total != risk.score else "")


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """How many endpoints were found in a state, and what that state means."""

    state: str
    number: int
    share: str
    meaning: str


def coverage_rows(result: RunResult) -> tuple[CoverageRow, ...]:
    """Every state with its number; those that rarely occur only where they did. Together they are all that was planned."""
    return coverage_of(result.summary)


def coverage_of(s: Summary) -> tuple[CoverageRow, ...]:
    rows = (
        ("open", s.open, "something answered"),
        ("closed", s.closed, "the host answered that nothing listens"),
        ("filtered", s.filtered, "no answer, or a refusal on the way; something may listen behind it"),
        ("open|filtered", s.open_filtered, "UDP stayed silent: open or filtered, it cannot be told"),
        ("unreachable", s.unreachable, "no route or no such host; nothing is known of the port"),
        ("not measured", s.probes - s.measured, "planned, not reached; says nothing about open or closed"),
    )
    always = {"open", "closed", "filtered", "not measured"}
    return tuple(
        CoverageRow(state, number, percent(number, s.probes), meaning)
        for state, number, meaning in rows
        if number or state in always
    )


def coverage_notes(result: RunResult) -> tuple[str, ...]:
    """What else bears on how far the result can be trusted, one sentence each."""
    return notes_of(result.summary, result.head)


def notes_of(s: Summary, head: RunHead) -> tuple[str, ...]:
    notes = [f"Not measured: {sentence}." for sentence in head.dropped]
    notes.append("Loss was not measured." if s.loss is None else f"Loss: {percent(s.loss, 1.0)} of the probes.")
    if s.recall_estimate is not None:
        low, high = s.recall_estimate
        notes.append(f"Of the open endpoints, {percent(low, 1.0)} to {percent(high, 1.0)} are estimated to be found.")
    if s.retransmitted:
        notes.append(f"{plural(s.retransmitted, 'probe was', 'probes were')} sent again.")
    notes += [f"{sentence[:1].upper()}{sentence[1:]}." for sentence in s.slowed]
    notes += [f"{doubt_text(doubt)}." for doubt in s.doubts]
    return tuple(notes)


def doubt_text(doubt: Doubt) -> str:
    """`10.77.0.5: 998 of 1,000 TCP ports look open, 3 confirmed, the others not believed: …`."""
    of = f"{count(doubt.open)} of {count(doubt.measured)}"
    proved = f"{count(doubt.confirmed)} confirmed"
    if doubt.ip is not None:
        return f"{doubt.ip}: {of} TCP ports look open, {proved}, the others not believed: {doubt.because}"
    return f"{doubt.port}/tcp looks open on {of} addresses, {proved}: {doubt.because}"


def held_back_groups(result: RunResult) -> tuple[tuple[str, str, str, str], ...]:
    """Endpoints that got no byte, by kind: (kind, why, source, endpoints)."""
    return groups_of(result.held_back)


def groups_of(held_back: Iterable[HeldBack]) -> tuple[tuple[str, str, str, str], ...]:
    groups: dict[tuple[str, str, str], list[str]] = {}
    for held in held_back:
        groups.setdefault((held.kind, held.because, held.source), []).append(str(held.endpoint))
    return tuple((*key, _some(places)) for key, places in groups.items())


def loopback_text(result: RunResult) -> str:
    """Listeners that only this machine can reach: `5432/tcp postgresql, 6379/tcp redis`."""
    own = {
        (s.endpoint.port, s.endpoint.transport, s.service.service) for s in result.services if s.endpoint in result.own_loopback
    }
    return ", ".join(f"{port}/{transport} {service}" for port, transport, service in sorted(own))


def took_text(result: RunResult) -> str:
    return f"took {duration(result.summary.seconds)}"


def _some(places: list[str], most: int = 12) -> str:
    more = len(places) - most
    return ", ".join(places[:most]) + (f" and {count(more)} more" if more > 0 else "")
