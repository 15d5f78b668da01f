"""JSON Lines, version 1: one object a line, `type` says which.

The `TypedDict`s are the records that `schema` turns into the published JSON Schema; the functions under them make the objects.
Addresses are text, times ISO 8601 UTC, numbers plain, names carry their unit. Readers ignore fields they do not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NotRequired, TypedDict, get_args

from reconshield.model import Endpoint, Finding, Observation, Risk, StateName, Turn
from reconshield.report.result import HeldBack, RatedService, RunHead, RunResult, RunState, Summary
from reconshield.text import bytes_text, iso_time, json_text

KEPT = 4096
"""At most so many bytes of one answer go into a line."""


class PlanPart(TypedDict):
    """What was planned, and the seed that makes the same order again."""

    probes: int
    seed: int


class RunLine(TypedDict):
    """The head of a run. How it ended and what it found stand only where runs are listed."""

    v: Literal[1]
    type: Literal["run"]
    id: str
    targets: list[str]
    ports: str
    engine: str
    vantage: str
    level: int
    grant: str | None
    started: str
    plan: PlanPart
    state: NotRequired[RunState]
    finished: NotRequired[str | None]
    open: NotRequired[int]
    findings: NotRequired[int]


class PlacePart(TypedDict):
    """Which endpoint a line is about."""

    ip: str
    port: int
    transport: Literal["tcp", "udp"]
    name: NotRequired[str]


class ObservationLine(PlacePart):
    """One dated measurement of an endpoint."""

    v: Literal[1]
    type: Literal["observation"]
    run: str
    state: StateName
    reason: str
    ttl: int | None
    rtt_ms: float | None
    at: str


class FactorPart(TypedDict):
    """One addend of a score."""

    name: str
    points: int
    because: str
    source: str


class RiskPart(TypedDict):
    """A score with its arithmetic."""

    score: int
    rating: str
    factors: list[FactorPart]


class TurnPart(TypedDict):
    """What was sent and what came back. Bytes: printable ASCII as it is, others `\\xNN`."""

    probe: str
    sent: str
    received: str
    ms: float
    tls: bool
    truncated: bool


class ServiceLine(PlacePart):
    """What speaks on an open endpoint."""

    v: Literal[1]
    type: Literal["service"]
    run: str
    service: str
    product: str | None
    version: str | None
    cpe: list[str]
    tls: Literal["none", "implicit", "starttls"]
    confidence: Literal["guess", "probable", "confirmed"]
    rung: str
    risk: RiskPart
    facts: dict[str, Any]
    evidence: list[TurnPart]
    others: list[str]
    note: str | None
    at: str


class FindingLine(PlacePart):
    """A judgement on facts."""

    v: Literal[1]
    type: Literal["finding"]
    run: str
    check: str
    id: str
    severity: Literal["info", "low", "medium", "high", "critical"]
    confidence: Literal["guess", "probable", "confirmed"]
    risk: RiskPart | None
    title: str
    evidence: dict[str, Any]
    remedy: str
    attack: list[str]
    references: list[str]


class HeldBackLine(PlacePart):
    """An endpoint that was measured but not spoken to."""

    v: Literal[1]
    type: Literal["held-back"]
    run: str
    kind: str
    because: str
    source: str


class SummaryLine(TypedDict):
    """The end of a run. `loss` and `recall_estimate` are null where they were not measured."""

    v: Literal[1]
    type: Literal["summary"]
    run: str
    state: RunState
    probes: int
    measured: int
    open: int
    closed: int
    filtered: int
    unreachable: int
    open_filtered: int
    retransmitted: int
    loss: float | None
    recall_estimate: list[float] | None
    seconds: float


class RunsPart(TypedDict):
    """The two runs that are compared."""

    before: str
    after: str


class SpokenPart(TypedDict):
    """What spoke on an endpoint, in short."""

    service: str
    product: str | None
    version: str | None
    tls: Literal["none", "implicit", "starttls"]
    confidence: Literal["guess", "probable", "confirmed"]


class ChangeLine(PlacePart):
    """One endpoint that is not as it was. The change lies between `last_seen` and `first_seen`."""

    v: Literal[1]
    type: Literal["change"]
    runs: RunsPart
    vantage: str
    change: Literal["opened", "closed", "changed", "newly-measured", "coverage-lost"]
    before: str
    after: str
    last_seen: str | None
    first_seen: str | None
    fields: list[str]
    service_before: SpokenPart | None
    service_after: SpokenPart | None
    risk: RiskPart | None


class RejudgedLine(PlacePart):
    """One endpoint that is judged differently today on the same facts. Findings are named by their check."""

    v: Literal[1]
    type: Literal["rejudged"]
    run: str
    appeared: list[str]
    vanished: list[str]
    score_before: int | None
    score_after: int
    fields: list[str]


class InputLine(TypedDict):
    """A file that was read: how many records it has, and how many of them could not be used."""

    v: Literal[1]
    type: Literal["input"]
    file: str
    format: str
    records: int
    bad: int


Line = (
    RunLine | ObservationLine | ServiceLine | FindingLine | HeldBackLine | SummaryLine | ChangeLine | RejudgedLine | InputLine
)
LINES: tuple[type, ...] = get_args(Line)


def dump_line(line: Line) -> str:
    """One line of JSON Lines, without its line feed."""
    return json_text(line)


def run_line(head: RunHead) -> RunLine:
    """The first line of a run."""
    return {
        "v": 1,
        "type": "run",
        "id": head.id,
        "targets": list(head.targets),
        "ports": head.ports,
        "engine": head.engine,
        "vantage": head.vantage,
        "level": head.level,
        "grant": ",".join(head.grants) or None,
        "started": iso_time(head.started),
        "plan": {"probes": head.probes, "seed": head.seed},
    }


def observation_line(run: str, observation: Observation) -> ObservationLine:
    """A measurement as a line."""
    return {
        "v": 1,
        "type": "observation",
        "run": run,
        **place_part(observation.endpoint, observation.name),
        "state": observation.state.label,
        "reason": observation.reason.label,
        "ttl": observation.ttl,
        "rtt_ms": None if observation.rtt_ms is None else round(observation.rtt_ms, 3),
        "at": iso_time(observation.at),
    }


def service_line(run: str, rated: RatedService) -> ServiceLine:
    """An identified service as a line."""
    service = rated.service
    return {
        "v": 1,
        "type": "service",
        "run": run,
        **place_part(service.endpoint, service.name),
        "service": service.service,
        "product": service.product,
        "version": service.version,
        "cpe": list(service.cpe),
        "tls": service.tls.value,
        "confidence": service.confidence.value,
        "rung": service.rung.value,
        "risk": risk_part(rated.risk),
        "facts": dict(service.facts),
        "evidence": [turn_part(turn) for turn in service.evidence],
        "others": list(service.others),
        "note": service.note,
        "at": iso_time(service.at),
    }


def finding_line(run: str, finding: Finding) -> FindingLine:
    """A finding as a line."""
    return {
        "v": 1,
        "type": "finding",
        "run": run,
        "check": finding.check,
        "id": finding.id,
        **place_part(finding.endpoint, finding.name),
        "severity": finding.severity.value,
        "confidence": finding.confidence.value,
        "risk": risk_part(finding.risk) if finding.risk else None,
        "title": finding.title,
        "evidence": dict(finding.evidence),
        "remedy": finding.remedy,
        "attack": list(finding.attack),
        "references": list(finding.references),
    }


def held_back_line(run: str, held: HeldBack) -> HeldBackLine:
    """An endpoint that was not spoken to, and why."""
    return {
        "v": 1,
        "type": "held-back",
        "run": run,
        **place_part(held.endpoint),
        "kind": held.kind,
        "because": held.because,
        "source": held.source,
    }


def summary_line(run: str, summary: Summary) -> SummaryLine:
    """The last line of a run."""
    return {
        "v": 1,
        "type": "summary",
        "run": run,
        "state": summary.state,
        "probes": summary.probes,
        "measured": summary.measured,
        "open": summary.open,
        "closed": summary.closed,
        "filtered": summary.filtered,
        "unreachable": summary.unreachable,
        "open_filtered": summary.open_filtered,
        "retransmitted": summary.retransmitted,
        "loss": summary.loss,
        "recall_estimate": None if summary.recall_estimate is None else list(summary.recall_estimate),
        "seconds": round(summary.seconds, 3),
    }


def result_lines(result: RunResult) -> Iterator[Line]:
    """A whole run as lines, in the order in which a live scan prints them."""
    run = result.head.id
    yield run_line(result.head)
    yield from (observation_line(run, o) for o in result.observations)
    yield from (held_back_line(run, h) for h in result.held_back)
    yield from (service_line(run, s) for s in result.services)
    yield from (finding_line(run, f) for f in result.findings)
    yield summary_line(run, result.summary)


def result_document(result: RunResult) -> str:
    """The same objects as one JSON document, grouped by kind."""
    groups: dict[str, Any] = {"v": 1, "observations": [], "held_back": [], "services": [], "findings": []}
    place = {"observation": "observations", "held-back": "held_back", "service": "services", "finding": "findings"}
    for line in result_lines(result):
        if group := place.get(line["type"]):
            groups[group].append(line)
        else:
            groups[line["type"]] = line
    return json_text(groups, indent=1)


def risk_part(risk: Risk) -> RiskPart:
    """A score with its factors."""
    factors: list[FactorPart] = [
        {"name": f.name, "points": f.points, "because": f.because, "source": f.source} for f in risk.factors
    ]
    return {"score": risk.score, "rating": risk.rating, "factors": factors}


def turn_part(turn: Turn) -> TurnPart:
    """One turn of a dialogue, cut to `KEPT` bytes."""
    return {
        "probe": turn.probe,
        "sent": bytes_text(turn.sent[:KEPT]),
        "received": bytes_text(turn.received[:KEPT]),
        "ms": round(turn.ms, 1),
        "tls": turn.tls,
        "truncated": turn.truncated or len(turn.received) > KEPT or len(turn.sent) > KEPT,
    }


def place_part(endpoint: Endpoint, name: str | None = None) -> PlacePart:
    """The fields of a line that say which endpoint it is about."""
    place: PlacePart = {"ip": endpoint.ip, "port": endpoint.port, "transport": "udp" if endpoint.transport == "udp" else "tcp"}
    if name:
        place["name"] = name
    return place


def dump_lines(lines: Iterable[Line]) -> Iterator[str]:
    """Text of many lines, each with its line feed."""
    return (dump_line(line) + "\n" for line in lines)
