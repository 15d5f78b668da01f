"""zgrab2's JSON Lines: what each module (a protocol) learned of one address.

    {"ip":"192.0.2.7","domain":"mx.example.org","data":{"ssh":{"status":"success","protocol":"ssh","port":22,"result":{…},"timestamp":"…"}}}

A module that got an answer, also an answer in another protocol, proves that the port is open; only `connection-refused` says
that it is closed. The other statuses do not tell a closed port from a broken dialogue, and say nothing here. Older versions do
not write the port; such a record cannot be used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reconshield.intake.lines import split_lines
from reconshield.intake.objects import read_json_lines
from reconshield.intake.reading import Bad, Chunks, Claim, Faulty, Intake, Item, Origin, Reading, read_endpoint, read_moment
from reconshield.model import Observation, Reason, State

MEANINGS = {
    "success": State.OPEN,
    "protocol-error": State.OPEN,
    "application-error": State.OPEN,
    "connection-refused": State.CLOSED,
}
UDP_MODULES = {"ntp", "bacnet", "ike", "snmp", "dns"}
BANNERS = ("banner", "raw", "server_id")
"""Keys of a result that hold what the server said."""


def recognises(head: bytes) -> bool:
    """The first line, or as much of it as there is, names an address and data."""
    first = next((line for _, line in split_lines([head])), b"")
    return first.startswith(b"{") and b'"data":{' in first.replace(b" ", b"") and b'"status":' in first and is_record(first)


def is_record(first: bytes) -> bool:
    """A whole first line is an object whose data are objects; one that is too long is believed."""
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return len(first) >= 60_000
    data = record.get("data") if isinstance(record, dict) else None
    return isinstance(data, dict) and all(isinstance(part, dict) for part in data.values())


def read(chunks: Chunks) -> Iterator[Item]:
    """Every module of every line."""
    yield Origin("zgrab2")
    for placed in read_json_lines(chunks):
        if isinstance(placed, Bad):
            yield placed
            continue
        where, record = placed
        data = record.get("data")
        for module, answer in data.items() if isinstance(data, dict) else [("", None)]:
            try:
                yield read_answer(record, module, answer)
            except Faulty as fault:
                yield Bad(where, str(fault))


def read_answer(record: Mapping[str, Any], module: str, answer: object) -> Reading:
    if not isinstance(answer, dict):
        raise Faulty("the record has no data of a module")
    status = str(answer.get("status"))
    if status not in MEANINGS:
        raise Faulty(f"the status {status[:30]!r} does not say whether the port is open")
    if "port" not in answer:
        raise Faulty("the record does not say which port was asked")
    protocol = str(answer.get("protocol") or module)
    endpoint = read_endpoint(record.get("ip"), answer["port"], "udp" if protocol in UDP_MODULES else "tcp")
    state, at = MEANINGS[status], read_moment(answer.get("timestamp"))
    domain = record.get("domain")
    name = domain if isinstance(domain, str) and domain else None
    if state is State.CLOSED:
        return Reading(Observation(endpoint, state, Reason.CONN_REFUSED, at, name=name))
    result = answer.get("result")
    claim = claim_of(protocol, status, result if isinstance(result, dict) else {})
    return Reading(Observation(endpoint, state, Reason.IMPORTED, at, name=name), claim)


def claim_of(protocol: str, status: str, result: Mapping[str, Any]) -> Claim | None:
    """What a module learned: it names the protocol only where it met it."""
    said = next((value for key in BANNERS if isinstance(value := result.get(key), str)), "")
    if status != "success":
        return Claim("unknown", True, banner=said.encode(), note=f"zgrab2 asked for {protocol}: {status}") if said else None
    named = "unknown" if protocol in {"banner", "tls"} else protocol
    return Claim(named, True, tls="tls" in result or protocol == "tls", banner=said.encode())


INTAKE = Intake("zgrab2", "zgrab2", recognises, read)
