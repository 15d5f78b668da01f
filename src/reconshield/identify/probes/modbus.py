"""Modbus/TCP: Read Device Identification (Modbus application protocol v1.1b3 §6.21), the one function that only says who it is.

Sent to machines only where the user asked for that, since a wrong function code can write to a process.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

IDENTITY, UNIT = 0x5253, 0xFF
READ_IDENTIFICATION, ENCAPSULATED, BASIC = 0x2B, 0x0E, 1
REQUEST = struct.pack("!HHHBBBBB", IDENTITY, 0, 5, UNIT, READ_IDENTIFICATION, ENCAPSULATED, BASIC, 0)
OBJECTS = {0: "vendor", 1: "product_code", 2: "revision"}


def run() -> Dialogue:
    answer = yield Ask(REQUEST, until=prefixed(2, at=4))
    if len(answer) < 9 or struct.unpack_from("!HHH", answer) != (IDENTITY, 0, len(answer) - 6):
        return None
    function = answer[7]
    if function == READ_IDENTIFICATION | 0x80:
        return Match("modbus", facts={"protocol": "Modbus/TCP", "exception": answer[8], "auth": "none"})
    if function != READ_IDENTIFICATION or answer[8] != ENCAPSULATED or len(answer) < 14 or answer == REQUEST:
        return None
    facts: dict[str, Any] = {"protocol": "Modbus/TCP", "auth": "none"} | _read_objects(answer[14:], answer[13])
    return Match("modbus", facts.get("product_code"), facts.get("revision"), facts)


def _read_objects(data: bytes, count: int) -> dict[str, str]:
    """Each object: its number, a length, text."""
    found: dict[str, str] = {}
    at = 0
    for _ in range(min(count, 16)):
        if at + 2 > len(data):
            break
        number, size = data[at], data[at + 1]
        text = data[at + 2 : at + 2 + size].decode("latin-1").strip("\0 ")
        if number in OBJECTS and text:
            found[OBJECTS[number]] = text
        at += 2 + size
    return found


PROBE = Probe("modbus", ports=(502, 802), run=run, touches_ot=True)
