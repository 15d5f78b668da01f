"""TFTP (RFC 1350): a file that cannot exist is asked for, and the server says so, from a port of its own. Nothing else."""

from __future__ import annotations

from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

READ, ERROR = 1, 5
REQUEST = bytes([0, READ]) + b"reconshield.invalid\0octet\0"
CODES = {0: "other", 1: "not found", 2: "access violation", 3: "disk full", 4: "illegal operation", 5: "unknown id"}


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    if len(answer) < 5 or answer[:2] != bytes([0, ERROR]) or answer[-1] or answer.count(0, 4) != 1:
        return None
    code = int.from_bytes(answer[2:4], "big")
    if code > 8:
        return None
    facts: dict[str, Any] = {
        "auth": "none",
        "error": CODES.get(code, str(code)),
        "message": answer[4:-1].decode("latin-1")[:200],
    }
    return Match("tftp", facts=facts)


PROBE = Probe("tftp", ports=(69,), run=run, transport="udp")
