"""JSON Lines, version 1: one object a line, `type` says which.

The objects are declared in `line_types`; the functions here make them from the records of a run, one function a kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from reconshield.model import Endpoint, Finding, Observation, Risk, Turn
from reconshield.report.result import Doubt, HeldBack, RatedService, RunHead, RunResult, Summary
from reconshield.text import bytes_text, iso_time, json_text

if TYPE_CHECKING:
    from reconshield.report.line_types import (
        DoubtLine,
        FactorPart,
        FindingLine,
        HeldBackLine,
        Line,
        ObservationLine,
        PlacePart,
        RiskPart,
        RunLine,
        ServiceLine,
        SummaryLine,
        TurnPart,
    )

KEPT = 4096
"""At most so many bytes of one answer go into a line."""


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
        "not_measured": list(head.dropped),
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


def doubt_line(run: str, doubt: Doubt) -> DoubtLine:
    """A host or port that is hard to believe."""
    return {
        "v": 1,
        "type": "doubt",
        "run": run,
        "ip": doubt.ip,
        "port": doubt.port,
        "measured": doubt.measured,
        "open": doubt.open,
        "confirmed": doubt.confirmed,
        "because": doubt.because,
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
        "rates": [list(point) for point in summary.rates],
        "seconds": round(summary.seconds, 3),
    }


def result_lines(result: RunResult) -> Iterator[Line]:
    """A whole run as lines, in the order in which a live scan prints them."""
    yield from all_lines(result.head, result.observations, result.held_back, result.services, result.findings, result.summary)


def all_lines(
    head: RunHead,
    observations: Iterable[Observation],
    held_back: Iterable[HeldBack],
    services: Iterable[RatedService],
    findings: Iterable[Finding],
    summary: Summary,
) -> Iterator[Line]:
    """The same from its parts, which may come one by one."""
    run = head.id
    yield run_line(head)
    yield from (observation_line(run, o) for o in observations)
    yield from (held_back_line(run, h) for h in held_back)
    yield from (service_line(run, s) for s in services)
    yield from (finding_line(run, f) for f in findings)
    yield from (doubt_line(run, doubt) for doubt in summary.doubts)
    yield summary_line(run, summary)


def result_document(result: RunResult) -> str:
    """The same objects as one JSON document, grouped by kind."""
    groups: dict[str, Any] = {"v": 1, "observations": [], "held_back": [], "services": [], "findings": [], "doubts": []}
    place = {
        "observation": "observations",
        "held-back": "held_back",
        "service": "services",
        "finding": "findings",
        "doubt": "doubts",
    }
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
