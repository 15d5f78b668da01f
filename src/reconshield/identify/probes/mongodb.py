"""MongoDB: `isMaster` in the old form that every server answers, then `buildInfo`, which needs no login either.

Neither says whether a login is needed. At level 4 `listDatabases` with names only shows it. Formats: MongoDB documentation,
"Wire Protocol", and bsonspec.org.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe, prefixed

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
UNAUTHORISED = 13
FIXED = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16}
"""Sizes of BSON's types of fixed length."""

whole_message = prefixed(4, extra=-4, order="little")


def run() -> Dialogue:
    hello = read_reply((yield Ask(write_query(b"isMaster"), until=whole_message)))
    if "maxWireVersion" not in hello and "ismaster" not in hello:
        return None
    facts: dict[str, Any] = {"protocol": f"wire {hello.get('maxWireVersion', 0)}"}
    if isinstance(hello.get("setName"), str):
        facts["replica_set"] = hello["setName"]
    if isinstance(hello.get("me"), str):
        facts["hostname"] = hello["me"].rsplit(":", 1)[0]
    write = write_message if _is_modern(facts["protocol"]) else write_query
    return _name(read_reply((yield Ask(write(b"buildInfo"), until=whole_message))), facts)


def assess(match: Match) -> Dialogue:
    """Is a question answered that needs a login?"""
    write = write_message if _is_modern(match.facts["protocol"]) else write_query
    names = read_reply((yield Ask(write(b"listDatabases", b"\x08nameOnly\0\x01"), until=whole_message)))
    refused = names.get("code") == UNAUTHORISED
    auth = "none" if names.get("ok") == 1 else "required" if refused else "unknown"
    return replace(match, facts=dict(match.facts) | {"auth": auth})


def _is_modern(protocol: str) -> bool:
    """OP_MSG is spoken from wire version 6 on (MongoDB 3.6)."""
    number = protocol.removeprefix("wire ")
    return number.isdigit() and int(number) >= 6


def _name(build: dict[str, Any], facts: dict[str, Any]) -> Match:
    version = build.get("version")
    if not isinstance(version, str) or not re.fullmatch(r"\d+\.\d+[\w.-]{0,30}", version):
        return Match("mongodb", facts=facts)
    if any(key.lower().startswith("ferretdb") for key in build):
        return Match("mongodb", "FerretDB", facts=facts | {"compatible_with": version})
    return Match("mongodb", "MongoDB", version, facts, (name_cpe("mongodb", "mongodb", version),))


def _document(*parts: bytes) -> bytes:
    body = b"".join(parts) + b"\0"
    return struct.pack("<i", len(body) + 4) + body


def write_query(command: bytes, extra: bytes = b"") -> bytes:
    """OP_QUERY on admin.$cmd: flags, collection, skip, one answer, the command."""
    body = struct.pack("<I", 0) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1)
    body += _document(b"\x10" + command + b"\0" + struct.pack("<i", 1), extra)
    return struct.pack("<iiii", 16 + len(body), 1, 0, OP_QUERY) + body


def write_message(command: bytes, extra: bytes = b"") -> bytes:
    """OP_MSG: flags, one section of kind 0, the command with its database."""
    database = b"\x02$db\0" + struct.pack("<i", 6) + b"admin\0"
    body = struct.pack("<IB", 0, 0) + _document(b"\x10" + command + b"\0" + struct.pack("<i", 1), extra, database)
    return struct.pack("<iiii", 16 + len(body), 1, 0, OP_MSG) + body


def read_reply(data: bytes) -> dict[str, Any]:
    """The plain values of the answer's document; empty when this is none."""
    if len(data) < 26 or int.from_bytes(data[:4], "little") != len(data) or data[8:12] != struct.pack("<i", 1):
        return {}
    kind = int.from_bytes(data[12:16], "little")
    if kind == OP_REPLY:
        return read_document(data[36:])
    return read_document(data[21:]) if kind == OP_MSG and data[20] == 0 else {}


def read_document(data: bytes) -> dict[str, Any]:
    """Numbers, text and truth values of the top level; what is nested is passed over by its length."""
    found: dict[str, Any] = {}
    at = 4
    while at + 1 < len(data) and data[at] and len(found) < 256:
        kind = data[at]
        end = data.find(b"\0", at + 1)
        if end < 0:
            break
        name, at = data[at + 1 : end].decode("utf-8", "replace"), end + 1
        size = _measure(kind, data, at)
        if size is None or at + size > len(data):
            break
        found[name] = _read_value(kind, data[at : at + size])
        at += size
    return found


def _measure(kind: int, data: bytes, at: int) -> int | None:
    if kind in FIXED:
        return FIXED[kind]
    length = int.from_bytes(data[at : at + 4], "little")
    return {0x02: 4 + length, 0x03: length, 0x04: length, 0x05: 5 + length}.get(kind)


def _read_value(kind: int, raw: bytes) -> Any:
    if kind == 0x01:
        return struct.unpack("<d", raw)[0]
    if kind == 0x02:
        return raw[4:-1].decode("utf-8", "replace")
    if kind == 0x08:
        return raw == b"\x01"
    return int.from_bytes(raw, "little", signed=True) if kind in (0x10, 0x12) else None


PROBE = Probe("mongodb", ports=(27017, 27018), run=run, assess=assess)
