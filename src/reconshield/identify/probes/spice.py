"""SPICE, the screen of virtual machines: the link message (SPICE protocol 1.0 §11). No ticket is sent, nobody logs in."""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

MAGIC = b"REDQ"
MAIN_CHANNEL = 1
REQUEST = MAGIC + struct.pack("<III", 2, 2, 18) + struct.pack("<IBBIII", 0, MAIN_CHANNEL, 0, 0, 0, 18)
ERRORS = {
    0: "ok",
    1: "error",
    2: "invalid magic",
    3: "invalid data",
    4: "version mismatch",
    5: "tls required",
    6: "tls refused",
}


def run() -> Dialogue:
    answer = yield Ask(REQUEST, until=prefixed(4, at=12, order="little"))
    if len(answer) < 20 or answer[:4] != MAGIC:
        return None
    major, minor, size, error = struct.unpack_from("<IIII", answer, 4)
    if len(answer) != 16 + size or major not in (1, 2) or error > 16 or answer == REQUEST:
        return None
    facts: dict[str, Any] = {"protocol": f"SPICE {major}.{minor}", "link": ERRORS.get(error, str(error))}
    if error == 5:
        facts |= {"tls_expected": True}
    return Match("spice", facts=facts)


PROBE = Probe("spice", ports=(5930, 5931, 3001), run=run)
