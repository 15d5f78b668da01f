"""SLP (RFC 2608 §10.1) over UDP and TCP: which types of service are known here. One question, to one address."""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

TYPE_REQUEST, TYPE_REPLY = 9, 10
IDENTITY = 0x5253
LANGUAGE, SCOPE = b"en", b"default"
ALL_AUTHORITIES = 0xFFFF
REPLY_AT = 14 + len(LANGUAGE)


def write_request() -> bytes:
    """Version, function, length (3), flags, extension (3), id, language; no responders, all authorities, the scope."""
    body = struct.pack("!HHH", 0, ALL_AUTHORITIES, len(SCOPE)) + SCOPE
    length = 14 + len(LANGUAGE) + len(body)
    head = bytes([2, TYPE_REQUEST]) + length.to_bytes(3, "big") + bytes(5) + struct.pack("!HH", IDENTITY, len(LANGUAGE))
    return head + LANGUAGE + body


def run() -> Dialogue:
    answer = yield Ask(write_request(), until=prefixed(3, at=2, extra=-5))
    if len(answer) < REPLY_AT + 2 or answer[0] != 2 or answer[1] != TYPE_REPLY:
        return None
    if answer[10:REPLY_AT] != struct.pack("!HH", IDENTITY, len(LANGUAGE)) + LANGUAGE:
        return None
    error = int.from_bytes(answer[REPLY_AT : REPLY_AT + 2], "big")
    facts: dict[str, Any] = {"protocol": "SLPv2", "error": error}
    size = int.from_bytes(answer[REPLY_AT + 2 : REPLY_AT + 4], "big")
    listed = answer[REPLY_AT + 4 : REPLY_AT + 4 + size].decode("utf-8", "replace")
    if not error:
        facts |= {"auth": "none", "services": [name[:100] for name in listed.split(",") if name][:64]}
    return Match("slp", facts=facts | {"request_bytes": len(write_request()), "answer_bytes": len(answer)})


PROBE = Probe("slp", ports=(427,), run=run)
UDP = Probe("slp", ports=(427,), run=run, transport="udp")
