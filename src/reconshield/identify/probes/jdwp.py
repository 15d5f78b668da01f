"""JDWP (Java Debug Wire Protocol): its handshake, and with it the one command that only asks for the version.

The handshake sends back what it was sent, so the version request goes along with it: its reply tells a debugger from an echo.
Packets are length, id, flags, command set, command (JDWP specification, "VirtualMachine.Version"); a reply has flag 0x80.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

HANDSHAKE = b"JDWP-Handshake"
IDENTITY = 0x5253
VERSION_COMMAND = struct.pack("!IIBBB", 11, IDENTITY, 0, 1, 1)


def run() -> Dialogue:
    answer = yield Ask(HANDSHAKE + VERSION_COMMAND, until=prefixed(4, at=len(HANDSHAKE), extra=-4))
    reply = answer[len(HANDSHAKE) :]
    if not answer.startswith(HANDSHAKE) or len(reply) < 11:
        return None
    length, identity, flags, error = struct.unpack_from("!IIBH", reply)
    if identity != IDENTITY or flags != 0x80 or length != len(reply):
        return None
    facts: dict[str, Any] = {"protocol": "JDWP", "auth": "none"}
    description, rest = _read_text(reply[11:]) if not error else ("", b"")
    version, rest = _read_text(rest[8:])
    machine, _ = _read_text(rest)
    facts |= {"description": description.splitlines()[0][:200]} if description else {}
    known = re.fullmatch(r"\d[\w.+-]{0,40}", version)
    return Match("jdwp", machine[:100] or None, known[0] if known else None, facts)


def _read_text(data: bytes) -> tuple[str, bytes]:
    """A string led by its length in four bytes, and what follows."""
    size = int.from_bytes(data[:4], "big")
    return data[4 : 4 + size].decode("utf-8", "replace"), data[4 + size :]


PROBE = Probe("jdwp", ports=(5005, 8787, 9009, 5050), run=run)
