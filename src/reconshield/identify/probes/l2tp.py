"""L2TP (RFC 2661 §6): a tunnel is asked for, the server tells who it is, and the tunnel is called off at once. No session."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Tell

CONTROL = 0xC802
"""Control message with length and sequence numbers, version 2."""
OUR_TUNNEL = 0x5253
MESSAGE_TYPE, RESULT_CODE, PROTOCOL, FRAMING, HOST_NAME, VENDOR, TUNNEL = 0, 1, 2, 3, 7, 8, 9
START, REPLY, STOP = 1, 2, 4


def run() -> Dialogue:
    question = _message(
        0,
        0,
        0,
        _pair(MESSAGE_TYPE, struct.pack("!H", START)),
        _pair(PROTOCOL, b"\x01\x00"),
        _pair(FRAMING, struct.pack("!I", 3)),
        _pair(HOST_NAME, b"reconshield"),
        _pair(TUNNEL, struct.pack("!H", OUR_TUNNEL)),
    )
    answer = yield Ask(question)
    if len(answer) < 12:
        return None
    flags, length, tunnel = struct.unpack_from("!HHH", answer)
    pairs = _read_pairs(answer[12:length])
    kind = int.from_bytes(pairs.get(MESSAGE_TYPE, b""), "big")
    if flags != CONTROL or tunnel != OUR_TUNNEL or kind not in (REPLY, STOP):
        return None
    facts: dict[str, Any] = {"protocol": "L2TPv2", "accepted": kind == REPLY} | _describe(pairs)
    if kind == REPLY and len(pairs.get(TUNNEL, b"")) == 2:
        theirs = int.from_bytes(pairs[TUNNEL], "big")
        end = (_pair(MESSAGE_TYPE, struct.pack("!H", STOP)), _pair(TUNNEL, struct.pack("!H", OUR_TUNNEL)))
        yield Tell(_message(theirs, 1, 1, *end, _pair(RESULT_CODE, b"\0\x01")))
    return Match("l2tp", facts=facts)


def _message(tunnel: int, sent: int, received: int, *pairs: bytes) -> bytes:
    body = b"".join(pairs)
    return struct.pack("!HHHHHH", CONTROL, 12 + len(body), tunnel, 0, sent, received) + body


def _pair(kind: int, value: bytes) -> bytes:
    """An attribute that must be understood: flags and length, vendor 0, kind, value (§4.1)."""
    return struct.pack("!HHH", 0x8000 | 6 + len(value), 0, kind) + value


def _read_pairs(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 6 <= len(data) and len(found) < 64:
        flags, vendor, kind = struct.unpack_from("!HHH", data, at)
        size = flags & 0x03FF
        if size < 6:
            break
        if not vendor and not flags & 0x4000:  # hidden values need the secret
            found.setdefault(kind, data[at + 6 : at + size])
        at += size
    return found


def _describe(pairs: Mapping[int, bytes]) -> dict[str, str]:
    texts = {"hostname": pairs.get(HOST_NAME, b""), "vendor": pairs.get(VENDOR, b"")}
    return {key: raw.decode("latin-1").strip("\0 ")[:100] for key, raw in texts.items() if raw}


PROBE = Probe("l2tp", ports=(1701,), run=run, transport="udp")
