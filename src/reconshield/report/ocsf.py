"""Detections as OCSF 1.8 events of class Detection Finding (2004), one JSON object a line.

The ends of the conversation and the way it went are `evidences`; each piece of evidence with its points is in their `data`, for
OCSF has no place for arithmetic. A suppressed detection has the status Suppressed and is no alert.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconshield.detection import Detection
from reconshield.report.detected import (
    DetectionReport,
    evidence_text,
    ip_version,
    live,
    own_uuid,
    protocol_number,
    reason_of,
    times_of,
    title_of,
)
from reconshield.report.detections import detection_id
from reconshield.text import json_text

VERSION = "1.8.0"
CLASS, CREATE = 2004, 1
SEVERITY = {"low": (2, "Low"), "medium": (3, "Medium"), "high": (4, "High"), "critical": (5, "Critical")}
CONFIDENCE = {"low": (1, "Low"), "medium": (2, "Medium"), "high": (3, "High"), "critical": (3, "High")}
RISK = {"low": (1, "Low"), "medium": (2, "Medium"), "high": (3, "High"), "critical": (4, "Critical")}
DIRECTION = {"in": (1, "Inbound"), "out": (2, "Outbound"), "within": (3, "Lateral")}
NEW, SUPPRESSED = (1, "New"), (3, "Suppressed")


def ocsf_text(report: DetectionReport) -> Iterator[str]:
    for found in report.detections:
        yield json_text(ocsf_event(found, report)) + "\n"


def ocsf_event(found: Detection, report: DetectionReport) -> dict[str, Any]:
    """One event. Times are milliseconds since 1970: `time` is that of the finding, the others those of the flows."""
    first, last = (round(at * 1000) for at in times_of(found, report.made))
    event: dict[str, Any] = {
        "activity_id": CREATE,
        "activity_name": "Create",
        "category_uid": CLASS // 1000,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + CREATE,
        "type_name": "Detection Finding: Create",
        "time": round(report.made * 1000),
        "start_time": first,
        "end_time": last,
        "count": found.flows,
        **judgement_part(found),
        "message": title_of(found),
        "metadata": {
            "version": VERSION,
            "uid": own_uuid("ocsf", detection_id(found), str(first), str(last)),
            "logged_time": round(report.made * 1000),
            "product": {"name": "ReconShield", "vendor_name": "ReconShield", "version": report.version},
        },
        "finding_info": finding_info(found, report, first, last),
        "evidences": [evidence_part(found)],
        "remediation": {"desc": found.following or "ask who runs the source"},
        "observables": [
            {"name": f"evidences[].{end}_endpoint.ip", "type_id": 2, "type": "IP Address", "value": value}
            for end, value in (("src", found.src), ("dst", found.dst))
        ],
    }
    return event | ({"status_detail": found.suppressed.because} if found.suppressed else {})


def judgement_part(found: Detection) -> dict[str, Any]:
    """How bad, how sure, and whether it is looked at already: numbers with the words that OCSF has for them."""
    hidden, rating = live(found.suppressed), found.grade.rating
    words = {
        "severity": SEVERITY.get(rating, (1, "Informational")),
        "status": SUPPRESSED if hidden else NEW,
        "confidence": CONFIDENCE.get(rating, (0, "Unknown")),
        "risk_level": RISK.get(rating, (0, "Info")),
    }
    part: dict[str, Any] = {"is_alert": not hidden, "risk_score": found.grade.score}
    for name, (number, word) in words.items():
        part |= {f"{name}_id": number, name: word}
    return part


def finding_info(found: Detection, report: DetectionReport, first: int, last: int) -> dict[str, Any]:
    info: dict[str, Any] = {
        "uid": detection_id(found),
        "title": title_of(found),
        "desc": evidence_text(found),
        "types": [str(entry.kind) for entry in found.evidence if entry.points > 0],
        "created_time": round(report.made * 1000),
        "first_seen_time": first,
        "last_seen_time": last,
        "data_sources": [note.file for note in report.inputs],
        "analytic": {
            "uid": "reconshield-detect",
            "name": "ReconShield detect",
            "version": report.version,
            "type_id": 2,
            "type": "Behavioral",
            "desc": reason_of(found),
        },
    }
    if found.attack:
        info["attacks"] = [
            {"version": report.attack_version, "technique": {"uid": uid, "name": report.techniques.get(uid, uid)}}
            for uid in found.attack
        ]
    return info


def evidence_part(found: Detection) -> dict[str, Any]:
    direction = DIRECTION.get(found.direction, (0, "Unknown"))
    connection: dict[str, Any] = {
        "direction_id": direction[0],
        "direction": direction[1],
        "protocol_ver_id": ip_version(found.dst),
        "protocol_name": found.transport,
    }
    if (number := protocol_number(found.transport)) is not None:
        connection["protocol_num"] = number
    target: dict[str, Any] = {"ip": found.dst}
    if found.port:
        target["port"] = found.port
    if found.app:
        target["svc_name"] = found.app
    return {
        "src_endpoint": {"ip": found.src},
        "dst_endpoint": target,
        "connection_info": connection,
        "data": {
            "evidence": [
                {"class": str(e.kind), "points": e.points, "because": e.because, "source": e.source} for e in found.evidence
            ],
            "held": found.grade.held,
            "flows": found.flows,
            "sent_bytes": found.sent,
            "received_bytes": found.received,
            "interval_s": found.interval,
            "zone": found.zone,
            "exposure": found.exposure,
            "sample": list(found.sample),
            "refuted": found.refuted,
        },
    }
