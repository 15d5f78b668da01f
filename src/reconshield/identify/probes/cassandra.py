"""Cassandra: the OPTIONS of its native protocol (native_protocol_v4.spec §4.1.3), which needs no login.

At level 4 a session is started: the server says at once whether it wants a login (§4.1.1). Where it does not, its version is
read from its own system table.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe, prefixed

VERSION = 4
ERROR, STARTUP, READY, AUTHENTICATE, OPTIONS, SUPPORTED, QUERY, RESULT = 0, 1, 2, 3, 5, 6, 7, 8
RELEASE = b"SELECT release_version FROM system.local"
ONE, ROWS = 1, 2

whole_frame = prefixed(4, at=5)


def run() -> Dialogue:
    answer = yield Ask(write_frame(OPTIONS), until=whole_frame)
    opcode, body = read_frame(answer)
    facts: dict[str, Any] = {"protocol": f"CQL native v{answer[0] & 0x7F}" if answer else "", "auth": "unknown"}
    if opcode == ERROR and b"protocol version" in body:
        return Match("cassandra", facts=facts)
    options = _read_multimap(body) if opcode == SUPPORTED else {}
    if "CQL_VERSION" not in options:
        return None
    facts |= {"cql": options["CQL_VERSION"], "compression": options.get("COMPRESSION", [])}
    scylla = any(key.startswith("SCYLLA_") for key in options)
    return Match("cassandra", "ScyllaDB" if scylla else None, facts=facts)


def assess(match: Match) -> Dialogue:
    answer = yield Ask(write_frame(STARTUP, b"\0\x01" + _string(b"CQL_VERSION") + _string(b"3.0.0")), until=whole_frame)
    opcode, body = read_frame(answer)
    if opcode == AUTHENTICATE:
        name = body[2:].decode("latin-1")[:200]
        return replace(match, facts=dict(match.facts) | {"auth": "required", "authenticator": name})
    if opcode != READY:
        return match
    match = replace(match, facts=dict(match.facts) | {"auth": "none"})
    query = struct.pack("!I", len(RELEASE)) + RELEASE + struct.pack("!HB", ONE, 0)
    opcode, body = read_frame((yield Ask(write_frame(QUERY, query), until=whole_frame)))
    # one text column and one row: the value, led by its length, ends the body
    found = re.search(rb"\0\0\0\x01\0\0\0[\x01-\x40](\d{1,3}\.\d{1,3}[\w.~+-]{0,40})\Z", body)
    if opcode != RESULT or body[:4] != struct.pack("!I", ROWS) or not found:
        return match
    version = found[1].decode("ascii")
    if match.product:
        return replace(match, facts=dict(match.facts) | {"compatible_with": version})
    return replace(match, product="Apache Cassandra", version=version, cpe=(name_cpe("apache", "cassandra", version),))


def write_frame(opcode: int, body: bytes = b"") -> bytes:
    """Version, flags, stream, opcode, length (§2)."""
    return struct.pack("!BBhBI", VERSION, 0, 0x52, opcode, len(body)) + body


def read_frame(data: bytes) -> tuple[int, bytes]:
    """Opcode and body of a response to our stream; opcode -1 when this is none."""
    if len(data) < 9 or not 0x83 <= data[0] <= 0x86:
        return -1, b""
    opcode, length = data[4], int.from_bytes(data[5:9], "big")
    if length != len(data) - 9 or opcode > 0x10 or data[2:4] not in (b"\0\x52", b"\0\0"):
        return -1, b""
    return opcode, data[9:]


def _string(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _read_multimap(data: bytes) -> dict[str, list[str]]:
    """A count; each a name and a list of values (§3)."""
    found: dict[str, list[str]] = {}
    at = 2
    for _ in range(min(int.from_bytes(data[:2], "big"), 64)):
        name, at = _read_string(data, at)
        count, at = int.from_bytes(data[at : at + 2], "big"), at + 2
        values = []
        for _ in range(min(count, 64)):
            value, at = _read_string(data, at)
            values.append(value)
        if at > len(data):
            break
        found[name] = values
    return found


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    size = int.from_bytes(data[at : at + 2], "big")
    return data[at + 2 : at + 2 + size].decode("utf-8", "replace"), at + 2 + size


PROBE = Probe("cassandra", ports=(9042, 9142), run=run, assess=assess)
