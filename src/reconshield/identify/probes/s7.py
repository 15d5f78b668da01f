"""Siemens S7: a connection over ISO-on-TCP (RFC 1006, X.224), the agreement on sizes, and the list that names the module.

Only reading (user data function "read SZL", list 0x0011) of what the device says about itself; sent to machines only where the
user asked for that. The S7 messages are known from the free dissectors; Siemens has not published them.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

CONNECT = bytes.fromhex("11e00000000100c0010ac1020100c2020102")
"""X.224 connection request: class 0, 1024 bytes, from 01.00 to 01.02 (rack 0, slot 2)."""
CONFIRM = 0xD0
DATA = b"\x02\xf0\x80"
SETUP = bytes.fromhex("3201000000000008 0000f0000001000101e0")
READ_MODULE = bytes.fromhex("320700000000000800080001120411440100ff09000400110001")
SETUP_ACK, USER_DATA = 3, 7

whole_packet = prefixed(2, at=2, extra=-4)


def run() -> Dialogue:
    answer = yield Ask(_packet(CONNECT), until=whole_packet)
    if _read(answer)[1:2] != bytes([CONFIRM]):
        return None
    message = _read((yield Ask(_packet(DATA + SETUP), until=whole_packet)))
    if message[:5] != DATA + bytes([0x32, SETUP_ACK]):
        return None
    facts: dict[str, Any] = {"protocol": "S7comm", "auth": "none"}
    message = _read((yield Ask(_packet(DATA + READ_MODULE), until=whole_packet)))
    module = re.search(rb"6[A-Z]{2}\d [\w-]{8,16}", message) if message[3:5] == bytes([0x32, USER_DATA]) else None
    if module:
        facts["module"] = module[0].decode("ascii").strip()
    return Match("s7", facts.get("module"), facts=facts)


def _packet(message: bytes) -> bytes:
    return struct.pack("!BBH", 3, 0, 4 + len(message)) + message


def _read(data: bytes) -> bytes:
    """What is inside one TPKT; empty when this is none."""
    return data[4:] if len(data) >= 6 and data[:2] == b"\x03\0" and int.from_bytes(data[2:4], "big") == len(data) else b""


PROBE = Probe("s7", ports=(102,), run=run, touches_ot=True)
