"""MISP events: attributes for detection (`to_ids`), alone and in objects. MISP gives them no end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconshield.detect.feeds.record import Record
from reconshield.detect.flows import Bad

KINDS = {
    "ip-dst": "",
    "ip-src": "",
    "ip-dst|port": "",
    "ip-src|port": "",
    "domain": "domain",
    "hostname": "domain",
    "url": "url",
    "ja3-fingerprint-md5": "ja3",
    "x509-fingerprint-sha256": "certificate",
    "user-agent": "user-agent",
}


def find_events(found: Any) -> list[dict[str, Any]] | None:
    """The events of an export: one alone, or many in `response` or a list. None where there are none."""
    if isinstance(found, dict):
        found = found.get("response", [found])
    if not isinstance(found, list):
        return None
    events = [each["Event"] for each in found if isinstance(each, dict) and isinstance(each.get("Event"), dict)]
    return events or None


def read(events: list[dict[str, Any]]) -> Iterator[Record | Bad]:
    for number, event in enumerate(events, 1):
        groups = [event, *(each for each in listed(event, "Object") if isinstance(each, dict))]
        attributes = [each for group in groups for each in listed(group, "Attribute")]
        for place, attribute in enumerate(attributes, 1):
            where = f"event {number} attribute {place}"
            if isinstance(attribute, dict):
                yield read_attribute(where, attribute, str(event.get("info") or ""))
            else:
                yield Bad(where, "this is no attribute")


def listed(group: dict[str, Any], name: str) -> list[Any]:
    """What stands under a name; what is no list as its only item, so that it is named as bad."""
    found = group.get(name)
    return found if isinstance(found, list) else [] if found is None else [found]


def read_attribute(where: str, attribute: dict[str, Any], info: str) -> Record:
    kind, value = str(attribute.get("type") or ""), str(attribute.get("value") or "")
    label = str(attribute.get("comment") or info)
    if attribute.get("deleted"):
        return Record(where, value, unused="deleted")
    if not attribute.get("to_ids"):
        return Record(where, value, unused="not for detection (to_ids)")
    if kind == "domain|ip":
        return Record(where, value.partition("|")[0], label, kind="domain")
    if kind not in KINDS:
        return Record(where, value, unused=f"{kind} is nothing that flows show")
    return Record(where, bracketed(value) if "|" in value else value, label, kind=KINDS[kind])


def bracketed(value: str) -> str:
    """`address|port` as `address:port`."""
    host, _, port = value.rpartition("|")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
