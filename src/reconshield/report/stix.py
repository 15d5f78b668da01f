"""Detections as a STIX 2.1 bundle (OASIS): what was observed, the pattern that it follows, the sighting of it, the technique.

A detection becomes addresses, network traffic, observed data, an indicator of that traffic, a sighting of the indicator that
holds the arithmetic, and `indicates` a technique of ATT&CK. Ids are UUIDs of version 5: those of addresses and traffic as the
standard makes them (section 2.9), the others over the conversation, so the same flows give the same bundle, byte by byte.
`modified` is the last flow: more flows make a newer version of the same objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from reconshield.detection import Detection
from reconshield.report.detected import (
    DetectionReport,
    evidence_text,
    ip_version,
    live,
    own_uuid,
    times_of,
    title_of,
)
from reconshield.report.detections import detection_id
from reconshield.text import iso_time, json_text

Object = dict[str, Any]

STANDARD = UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""The name space that the standard sets for ids of observables."""
MOST = 999_999_999
"""The largest count that the standard allows."""
CONFIDENCE = {"low": 15, "medium": 50, "high": 85, "critical": 85}
"""Low, Med and High of the standard's scale (appendix A)."""
NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
BORN = "2026-01-01T00:00:00.000Z"
"""When the identity of this program and the techniques were made: they do not change."""


def stix_text(report: DetectionReport) -> Iterator[str]:
    """The bundle in pieces, an object a line."""
    yield from bundle_text(list(bundle_objects(report)))


def bundle_text(objects: list[Object]) -> Iterator[str]:
    name = own_uuid("bundle", *(f"{each['id']} {each.get('modified', '')}" for each in objects))
    yield f'{{"type":"bundle","id":"bundle--{name}","objects":[\n'
    for number, each in enumerate(objects):
        yield json_text(each) + (",\n" if number + 1 < len(objects) else "\n")
    yield "]}\n"


def bundle_objects(report: DetectionReport) -> Iterator[Object]:
    """Every object once."""
    seen: set[str] = set()
    for each in [identity(), *(part for found in report.detections for part in detection_objects(found, report))]:
        if each["id"] not in seen:
            seen.add(each["id"])
            yield each


def identity() -> Object:
    return domain("identity", "reconshield", BORN, BORN) | {"name": "ReconShield", "identity_class": "system"}


def domain(kind: str, key: str, created: str, modified: str) -> Object:
    """What every domain object and relationship begins with."""
    made = {"type": kind, "spec_version": "2.1", "id": f"{kind}--{own_uuid(kind, key)}"}
    if kind != "identity":
        made["created_by_ref"] = f"identity--{own_uuid('identity', 'reconshield')}"
    return made | {"created": created, "modified": modified}


def detection_objects(found: Detection, report: DetectionReport) -> Iterator[Object]:
    """Everything that stands for one detection."""
    first, last = times_of(found, report.made)
    begin, end = iso_time(first), iso_time(last)
    key = f"{detection_id(found)} {begin}"
    ends = [address(found.src), address(found.dst)]
    traffic = network_traffic(found, ends[0]["id"], ends[1]["id"], first, last)
    observed = domain("observed-data", key, begin, end) | {
        "first_observed": begin,
        "last_observed": end,
        "number_observed": max(1, min(found.flows, MOST)),
        "object_refs": list(dict.fromkeys([traffic["id"], ends[0]["id"], ends[1]["id"]])),
    }
    indicator = domain("indicator", key, begin, end) | indicator_part(found, begin)
    sighting = domain("sighting", key, begin, end) | {
        "description": evidence_text(found),
        "first_seen": begin,
        "last_seen": end,
        "count": max(1, min(found.flows, MOST)),
        "sighting_of_ref": indicator["id"],
        "observed_data_refs": [observed["id"]],
        "where_sighted_refs": [identity()["id"]],
    }
    yield from (*ends, traffic, observed, indicator, sighting)
    yield relationship("based-on", indicator, observed, begin, end)
    for technique in found.attack:
        named = attack_pattern(technique, report.techniques.get(technique, technique))
        yield named
        yield relationship("indicates", indicator, named, begin, end)


def indicator_part(found: Detection, begin: str) -> Object:
    known = any(entry.kind == "indicator" for entry in found.evidence)
    labels = [f"rating:{found.grade.rating}", f"score:{found.grade.score}"]
    if live(found.suppressed):
        labels.append("suppressed")
    return {
        "name": title_of(found),
        "description": f"Confirmed or refuted by: {found.refuted}. Next: {found.following}.",
        "indicator_types": ["malicious-activity" if known else "anomalous-activity"],
        "pattern": pattern(found),
        "pattern_type": "stix",
        "pattern_version": "2.1",
        "valid_from": begin,
        "confidence": CONFIDENCE.get(found.grade.rating, 15),
        "labels": labels,
    }


def pattern(found: Detection) -> str:
    """The conversation as a STIX pattern. Addresses and numbers only, so nothing in it needs escaping."""
    parts = [f"network-traffic:src_ref.value = '{found.src}'", f"network-traffic:dst_ref.value = '{found.dst}'"]
    if found.port:
        parts.append(f"network-traffic:dst_port = {found.port}")
    parts.append(f"network-traffic:protocols[*] = '{transport_name(found)}'")
    return f"[{' AND '.join(parts)}]"


def transport_name(found: Detection) -> str:
    return f"ip-proto-{found.transport}" if found.transport.isdecimal() else found.transport


def address(text: str) -> Object:
    return observable(f"ipv{ip_version(text)}-addr", {"value": text})


def network_traffic(found: Detection, src: str, dst: str, first: float, last: float) -> Object:
    names = [f"ipv{ip_version(found.dst)}", transport_name(found)]
    names += [name for name in found.app.split(",") if NAME.fullmatch(name) and name not in names]
    parts: Object = {"start": exact_time(first), "end": exact_time(last), "src_ref": src, "dst_ref": dst}
    if found.port:
        parts["dst_port"] = found.port
    made = observable("network-traffic", parts | {"protocols": names})
    return made | {"is_active": False, "src_byte_count": found.sent, "dst_byte_count": found.received}


def observable(kind: str, parts: Object) -> Object:
    """An observable, whose id follows from what identifies it: canonical JSON (RFC 8785) of these properties."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{uuid5(STANDARD, canonical)}", **parts}


def exact_time(at: float) -> str:
    """A time without the zeros at its end, as canonical JSON needs one spelling."""
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def attack_pattern(technique: str, name: str) -> Object:
    url = f"https://attack.mitre.org/techniques/{technique.replace('.', '/')}/"
    return domain("attack-pattern", technique, BORN, BORN) | {
        "name": name,
        "external_references": [{"source_name": "mitre-attack", "external_id": technique, "url": url}],
    }


def relationship(kind: str, source: Object, target: Object, begin: str, end: str) -> Object:
    key = f"{source['id']} {kind} {target['id']}"
    return domain("relationship", key, begin, end) | {
        "relationship_type": kind,
        "source_ref": source["id"],
        "target_ref": target["id"],
    }
