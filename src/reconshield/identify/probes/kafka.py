"""Kafka: ApiVersions, the question every client begins with and every broker answers, with or without a login.

At level 4 the brokers (no topics) are asked for: a broker that wants a login first hangs up. Formats: Kafka protocol guide,
request header v1, ApiVersions v0, Metadata v1.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

METADATA, API_VERSIONS = 3, 18
IDENTITY = 0x52534B46
CLIENT = b"reconshield"
UNSUPPORTED_VERSION = 35

whole_message = prefixed(4)


def run() -> Dialogue:
    answer = yield Ask(write_request(API_VERSIONS, 0), until=whole_message)
    size, identity, error, count = struct.unpack_from("!IIhI", answer) if len(answer) >= 14 else (0, 0, -1, 0)
    if size != len(answer) - 4 or identity != IDENTITY or error not in (0, UNSUPPORTED_VERSION) or not 1 <= count <= 512:
        return None
    rows = [struct.unpack_from("!hhh", answer, at) for at in range(14, min(len(answer) - 5, 14 + 6 * count), 6)]
    if not any(key == API_VERSIONS for key, _, _ in rows) or any(low < 0 or low > high for _, low, high in rows):
        return None
    return Match("kafka", facts={"protocol": "Kafka", "requests": len(rows), "auth": "unknown"})


def assess(match: Match) -> Dialogue:
    """The list of brokers, for an empty list of topics."""
    answer = yield Ask(write_request(METADATA, 1, struct.pack("!i", 0)), until=whole_message)
    if len(answer) < 12 or answer[4:8] != struct.pack("!I", IDENTITY):
        return match
    facts: dict[str, Any] = dict(match.facts) | {"auth": "none", "brokers": _read_brokers(answer[8:])}
    return replace(match, facts=facts)


def write_request(key: int, version: int, body: bytes = b"") -> bytes:
    """Length; request key and version, our number, our name; the body."""
    message = struct.pack("!hhIh", key, version, IDENTITY, len(CLIENT)) + CLIENT + body
    return struct.pack("!I", len(message)) + message


def _read_brokers(data: bytes) -> list[str]:
    """Each broker: id, host, port, rack (a length of -1 for none)."""
    found: list[str] = []
    count = min(int.from_bytes(data[:4], "big"), 64)
    at = 4
    while len(found) < count and at + 6 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 6], "big")
        host = data[at + 6 : at + 6 + size]
        at += 6 + size
        if at + 6 > len(data) or not re.fullmatch(rb"[\w.:-]{1,253}", host):
            break
        port, rack = struct.unpack_from("!ih", data, at)
        found.append(f"{host.decode('ascii')}:{port}")
        at += 6 + max(rack, 0)
    return found


PROBE = Probe("kafka", ports=(9092, 9093, 19092, 29092), run=run, assess=assess)
