"""Detections as one MISP event: a `netflow` object for each, tagged with techniques; to be imported, not published.

`to_ids` asks the receiver to block or alert on a value. It is set for an address outside that a detection of High or more leads
to, and never where the policy suppresses it: an address of one's own, or one that is merely unusual, is no indicator.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from reconshield.detection import Detection
from reconshield.report.detected import (
    DetectionReport,
    evidence_text,
    live,
    own_uuid,
    times_of,
    title_of,
)
from reconshield.report.detections import detection_id
from reconshield.text import iso_time, json_text, plural

NETFLOW = {
    "name": "netflow",
    "meta-category": "network",
    "template_uuid": "bf148c58-3e7e-414e-8de8-5d96379ca77e",
    "template_version": "2",
}
THREAT = {"critical": "1", "high": "1", "medium": "2", "low": "3"}
UNDEFINED, INITIAL, OWN_ORGANISATION, INHERIT = "4", "0", "0", "5"


def misp_text(report: DetectionReport) -> Iterator[str]:
    """The event, an object a line."""
    event = event_head(report)
    yield f'{{"Event":{json_text(event)[:-1]},"Object":[\n'
    for number, found in enumerate(report.detections):
        yield json_text(misp_object(found, report, event["uuid"])) + (",\n" if number + 1 < len(report.detections) else "\n")
    yield "]}}\n"


def event_head(report: DetectionReport) -> dict[str, Any]:
    ratings = [found.grade.rating for found in report.detections if not live(found.suppressed)]
    worst = next((rating for rating in THREAT if rating in ratings), "")
    begin = min((times_of(found, report.made)[0] for found in report.detections), default=report.made)
    techniques = sorted({technique for found in report.detections for technique in found.attack})
    files = ", ".join(note.file for note in report.inputs)
    return {
        "uuid": own_uuid("misp", *(detection_id(found) for found in report.detections), str(begin)),
        "info": f"ReconShield: {plural(len(report.detections), 'detection', 'detections')} in {files}"[:500],
        "date": datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%d"),
        "timestamp": str(int(report.made)),
        "threat_level_id": THREAT.get(worst, UNDEFINED),
        "analysis": INITIAL,
        "distribution": OWN_ORGANISATION,
        "published": False,
        "Tag": [{"name": "reconshield:detection"}, *(attack_tag(uid, report) for uid in techniques)],
        "Attribute": [],
    }


def attack_tag(uid: str, report: DetectionReport) -> dict[str, str]:
    return {"name": f'misp-galaxy:mitre-attack-pattern="{report.techniques.get(uid, uid)} - {uid}"'}


def misp_object(found: Detection, report: DetectionReport, event: str) -> dict[str, Any]:
    first, last = times_of(found, report.made)
    key, stamp = (event, detection_id(found)), str(int(report.made))
    attributes = []
    for relation, kind, value in parts_of(found, first, last):
        network = kind in {"ip-src", "ip-dst", "port"}
        attributes.append(
            {
                "uuid": own_uuid("misp attribute", *key, relation),
                "object_relation": relation,
                "type": kind,
                "category": "Network activity" if network else "Other",
                "value": value,
                "to_ids": relation == "ip-dst" and is_indicator(found),
                "disable_correlation": not network,
                "distribution": INHERIT,
                "timestamp": stamp,
                "comment": "",
                "Tag": [attack_tag(uid, report) for uid in found.attack] if relation == "ip-dst" else [],
            }
        )
    return NETFLOW | {
        "uuid": own_uuid("misp object", *key),
        "description": title_of(found),
        "comment": f"{found.grade.score} {found.grade.rating}: {evidence_text(found)}",
        "timestamp": stamp,
        "distribution": INHERIT,
        "first_seen": iso_time(first),
        "last_seen": iso_time(last),
        "Attribute": attributes,
    }


def parts_of(found: Detection, first: float, last: float) -> Iterator[tuple[str, str, str]]:
    """The parts of the template: relation, type, value."""
    yield "ip-src", "ip-src", found.src
    yield "ip-dst", "ip-dst", found.dst
    if found.port:
        yield "dst-port", "port", str(found.port)
    yield "protocol", "text", found.transport.upper()
    yield "flow-count", "counter", str(found.flows)
    yield "byte-count", "counter", str(found.sent + found.received)
    yield "first-packet-seen", "datetime", iso_time(first)
    yield "last-packet-seen", "datetime", iso_time(last)
    if found.direction in {"in", "out"}:
        yield "direction", "text", "Ingress" if found.direction == "in" else "Egress"


def is_indicator(found: Detection) -> bool:
    """Whether others should look for the destination too."""
    return found.direction == "out" and THREAT.get(found.grade.rating) == "1" and not live(found.suppressed)
