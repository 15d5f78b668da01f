"""masscan's JSON (`-oJ`) and its newer form with one object a line (`-oD`).

    {"ip": "192.0.2.7", "timestamp": "1795000000", "ports": [{"port": 80, "proto": "tcp", "status": "open", "ttl": 57}]},
    {"ip":"192.0.2.7","timestamp":"1795000000","port":80,"proto":"tcp","rec_type":"status","data":{"status":"open", …}}

A banner comes as a record of its own and proves that the port is open. What was asked and stayed silent is not in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconshield.intake.objects import read_objects
from reconshield.intake.reading import (
    Bad,
    Chunks,
    Claim,
    Faulty,
    Intake,
    Item,
    Origin,
    Reading,
    read_endpoint,
    read_reason,
    read_state,
    read_time,
)
from reconshield.model import Observation, Reason, State

SHAPE = re.compile(rb'^\s*[\[,\s]*\{\s*"ip"\s*:\s*"[^"]*"\s*,\s*"timestamp"\s*:\s*"[^"]*"\s*,\s*"(?:ports|port)"\s*:')
OTHER_BANNERS = {"title", "unknown", "X509", "http.server", "vuln"}
"""Kinds of banner that name no protocol."""


def recognises(head: bytes) -> bool:
    return bool(SHAPE.match(head))


def read(chunks: Chunks) -> Iterator[Item]:
    """Every port of every record."""
    yield Origin("masscan")
    for placed in read_objects(chunks):
        if isinstance(placed, Bad):
            yield placed
            continue
        where, record = placed
        if "finished" in record:
            continue
        for port in ports_of(record):
            try:
                yield read_port(record, port)
            except Faulty as fault:
                yield Bad(where, str(fault))


def ports_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The ports of a record in the older form; a record of the newer form is one port, its `data` beside it."""
    if "ports" in record:
        listed = record["ports"]
        return [port if isinstance(port, dict) else {} for port in listed] if isinstance(listed, list) else [{}]
    data = record.get("data")
    inner = data if isinstance(data, dict) else {}
    banner = {"service": {"name": inner.get("service_name"), "banner": inner.get("banner")}}
    return [{"port": record.get("port"), "proto": record.get("proto")} | (inner if "status" in inner else banner)]


def read_port(record: Mapping[str, Any], port: Mapping[str, Any]) -> Reading:
    endpoint = read_endpoint(record.get("ip"), port.get("port"), port.get("proto"))
    at = read_time(record.get("timestamp"))
    service = port.get("service")
    if isinstance(service, dict):
        return Reading(Observation(endpoint, State.OPEN, Reason.IMPORTED, at), claim_of(service))
    ttl = port.get("ttl")
    kept = ttl if isinstance(ttl, int) and 0 < ttl < 256 else None
    return Reading(Observation(endpoint, read_state(port.get("status")), read_reason(port.get("reason")), at, kept))


def claim_of(service: Mapping[str, Any]) -> Claim:
    """What a banner says. masscan names the kind of banner, which is not always a protocol."""
    name = str(service.get("name") or "unknown")
    named = "unknown" if name in OTHER_BANNERS else name
    return Claim(named, True, tls=name == "X509", banner=str(service.get("banner") or "").encode("utf-8", "replace"))


INTAKE = Intake("masscan-json", "masscan", recognises, read)
