"""Detections as lines of the Common Event Format, version 0, for whatever reads syslog; `text.cef_line` escapes."""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.detection import Detection
from reconshield.report.detected import (
    DetectionReport,
    evidence_text,
    ip_version,
    live,
    reason_of,
    sum_text,
    times_of,
    title_of,
)
from reconshield.report.detections import detection_id
from reconshield.text import cef_line

SEVERITY = {"low": 3, "medium": 5, "high": 8, "critical": 10}
DIRECTION = {"in": 0, "out": 1}
LONGEST = {"msg": 1023, "reason": 1023, "cs": 4000}
"""What the dictionary of the format allows."""


def cef_text(report: DetectionReport) -> Iterator[str]:
    for found in report.detections:
        yield cef_of(found, report) + "\n"


def cef_of(found: Detection, report: DetectionReport) -> str:
    first, last = (round(at * 1000) for at in times_of(found, report.made))
    head = (
        "ReconShield",
        "ReconShield",
        report.version,
        "detection",
        title_of(found)[:512],
        str(SEVERITY.get(found.grade.rating, 1)),
    )
    pairs: dict[str, object] = {
        "rt": round(report.made * 1000),
        "start": first,
        "end": last,
        "externalId": detection_id(found),
        "act": "suppressed" if live(found.suppressed) else "observed",
        **addresses(found),
        "dpt": found.port or None,
        "proto": found.transport.upper(),
        "app": found.app or None,
        "deviceDirection": DIRECTION.get(found.direction),
        "cnt": found.flows,
        "out": found.sent,
        "in": found.received,
        "reason": reason_of(found)[: LONGEST["reason"]],
        "msg": evidence_text(found)[: LONGEST["msg"]],
        **labelled("cn1", "score", found.grade.score),
        **labelled("cs1", "rating", found.grade.rating),
        **labelled("cs2", "attack", ",".join(found.attack)),
        **labelled("cs3", "zone", found.zone),
        **labelled("cs4", "sum", sum_text(found)[: LONGEST["cs"]]),
        **labelled("cs5", "next", found.following),
        **labelled("cs6", "sample", ", ".join(found.sample)[: LONGEST["cs"]]),
    }
    return cef_line(head, pairs)


def addresses(found: Detection) -> dict[str, object]:
    """`src` and `dst` are IPv4 in the dictionary of CEF; IPv6 has fields of its own."""
    pairs: dict[str, object] = {}
    for name, number, label, value in (("src", 2, "Source", found.src), ("dst", 3, "Destination", found.dst)):
        if ip_version(value) == 4:
            pairs[name] = value
        else:
            pairs |= labelled(f"c6a{number}", f"{label} IPv6 Address", value)
    return pairs


def labelled(name: str, label: str, value: object) -> dict[str, object]:
    """A field of one's own with its label; nothing where there is no value."""
    return {} if value in {"", None} else {name: value, f"{name}Label": label}
