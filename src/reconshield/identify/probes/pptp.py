"""PPTP (RFC 2637 §2.1): the start of a control connection, and its orderly end. No call is placed."""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Tell, at_least

COOKIE = 0x1A2B3C4D
START, STARTED, STOP = 1, 2, 3
LENGTH = 156


def run() -> Dialogue:
    answer = yield Ask(write_start(), until=at_least(LENGTH))
    if len(answer) < LENGTH:
        return None
    length, kind, cookie, control, _, version, result = struct.unpack_from("!HHIHHHB", answer)
    if (length, kind, cookie, control) != (LENGTH, 1, COOKIE, STARTED):
        return None
    yield Tell(struct.pack("!HHIHHBBH", 16, 1, COOKIE, STOP, 0, 1, 0, 0))
    facts: dict[str, Any] = {"protocol": f"PPTP {version >> 8}.{version & 255}", "result": result}
    facts["firmware"] = int.from_bytes(answer[26:28], "big")
    facts |= {key: text for key, raw in (("hostname", answer[28:92]), ("vendor", answer[92:156])) if (text := _read_text(raw))}
    return Match("pptp", facts=facts)


def write_start() -> bytes:
    """Version 1.0, both framings, both bearers, no channels, firmware 0, our name, no vendor."""
    head = struct.pack("!HHIHHHH", LENGTH, 1, COOKIE, START, 0, 0x0100, 0)
    return head + struct.pack("!IIHH", 3, 3, 0, 0) + b"reconshield".ljust(64, b"\0") + bytes(64)


def _read_text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("latin-1").strip()


PROBE = Probe("pptp", ports=(1723,), run=run)
