"""Detections as NDJSON in the Elastic Common Schema: what it has fields for, in them; the arithmetic under `reconshield`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconshield.detection import Detection
from reconshield.report.detected import (
    DetectionReport,
    evidence_text,
    ip_version,
    live,
    protocol_number,
    reason_of,
    times_of,
    title_of,
)
from reconshield.report.detections import detection_id
from reconshield.text import iso_time, json_text

VERSION = "9.0.0"
SEVERITY = {"low": 21, "medium": 47, "high": 73, "critical": 99}
"""The numbers that Elastic's own rules give to these words."""
DIRECTION = {"in": "inbound", "out": "outbound", "within": "internal", "outside": "external"}


def ecs_text(report: DetectionReport) -> Iterator[str]:
    for found in report.detections:
        yield json_text(ecs_document(found, report)) + "\n"


def ecs_document(found: Detection, report: DetectionReport) -> dict[str, Any]:
    """One document. What is not known is left out."""
    first, last = times_of(found, report.made)
    document: dict[str, Any] = {
        "@timestamp": iso_time(last),
        "ecs": {"version": VERSION},
        "message": title_of(found),
        "event": event_part(found, report, first, last),
        "source": {"ip": found.src, "bytes": found.sent},
        "destination": {"ip": found.dst, "bytes": found.received} | ({"port": found.port} if found.port else {}),
        "network": network_part(found),
        "related": {"ip": sorted({found.src, found.dst})},
        "rule": {"id": "reconshield-detect", "name": reason_of(found), "ruleset": "reconshield"},
        "observer": {"vendor": "ReconShield", "product": "ReconShield", "version": report.version, "type": "flow-analysis"},
        "reconshield": own_part(found),
    }
    if found.attack:
        document["threat"] = {
            "framework": "MITRE ATT&CK",
            "technique": {
                "id": list(found.attack),
                "name": [report.techniques.get(uid, uid) for uid in found.attack],
            },
        }
    return document


def event_part(found: Detection, report: DetectionReport, first: float, last: float) -> dict[str, Any]:
    return {
        "kind": "event" if live(found.suppressed) else "alert",
        "category": ["network", "intrusion_detection"],
        "type": ["info"],
        "module": "reconshield",
        "dataset": "reconshield.detection",
        "provider": "detect",
        "id": detection_id(found),
        "created": iso_time(report.made),
        "start": iso_time(first),
        "end": iso_time(last),
        "risk_score": found.grade.score,
        "severity": SEVERITY.get(found.grade.rating, 1),
        "reason": evidence_text(found),
    }


def network_part(found: Detection) -> dict[str, Any]:
    part: dict[str, Any] = {
        "type": f"ipv{ip_version(found.dst)}",
        "transport": found.transport,
        "bytes": found.sent + found.received,
    }
    if (number := protocol_number(found.transport)) is not None:
        part["iana_number"] = str(number)
    if found.direction in DIRECTION:
        part["direction"] = DIRECTION[found.direction]
    if found.app:
        part["protocol"] = found.app
    return part


def own_part(found: Detection) -> dict[str, Any]:
    part: dict[str, Any] = {
        "score": found.grade.score,
        "rating": found.grade.rating,
        "held": found.grade.held,
        "evidence": [
            {"class": str(e.kind), "points": e.points, "because": e.because, "source": e.source} for e in found.evidence
        ],
        "flows": found.flows,
        "zone": found.zone,
        "exposure": found.exposure,
        "sample": list(found.sample),
        "refuted": found.refuted,
        "next": found.following,
        "suppressed": live(found.suppressed),
    }
    if found.interval is not None:
        part["interval_s"] = found.interval
    return part
