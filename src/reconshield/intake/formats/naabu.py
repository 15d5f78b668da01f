"""naabu's JSON Lines (`-json`): one open port a line, of which older versions write the port as an object.

{"host":"mx.example.org","ip":"192.0.2.7","timestamp":"2026-11-18T11:06:40Z","port":25,"protocol":"tcp","tls":false}
{"host":"mx.example.org","ip":"192.0.2.7","port":{"Port":25,"Protocol":0,"TLS":false}}

Only open ports are written, so nothing is known of the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from reconshield.intake.lines import split_lines
from reconshield.intake.objects import read_json_lines
from reconshield.intake.reading import Bad, Chunks, Faulty, Intake, Item, Origin, Reading, read_endpoint, read_moment
from reconshield.model import Observation, Reason, State

NUMBERED = {0: "tcp", 1: "udp"}
"""How older versions write the protocol."""


def recognises(head: bytes) -> bool:
    """An object with an address and a port in its first line, and neither masscan's status nor zgrab2's data."""
    first = next((line for _, line in split_lines([head])), b"")
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and {"ip", "port"} <= record.keys() and not {"data", "rec_type"} & record.keys()


def read(chunks: Chunks) -> Iterator[Item]:
    """Every line. naabu says only what is open."""
    yield Origin("naabu")
    for placed in read_json_lines(chunks):
        if isinstance(placed, Bad):
            yield placed
            continue
        where, record = placed
        try:
            yield read_record(record)
        except Faulty as fault:
            yield Bad(where, str(fault))


def read_record(record: Mapping[str, Any]) -> Reading:
    port, transport = record.get("port"), record.get("protocol", "tcp")
    if isinstance(port, dict):
        transport = NUMBERED.get(port.get("Protocol", 0), "another protocol")
        port = port.get("Port")
    endpoint = read_endpoint(record.get("ip"), port, transport)
    host = record.get("host")
    name = host if isinstance(host, str) and host and host != record.get("ip") else None
    reason = Reason.SYN_ACK if endpoint.transport == "tcp" else Reason.UDP_RESPONSE
    return Reading(Observation(endpoint, State.OPEN, reason, read_moment(record.get("timestamp")), name=name))


INTAKE = Intake("naabu", "naabu", recognises, read)
