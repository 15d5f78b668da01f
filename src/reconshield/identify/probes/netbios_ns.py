"""NetBIOS name service (RFC 1002 §4.2.17): the node status of "*", a list of names and the hardware address."""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

IDENTITY = 0x5253
STATUS = 0x0021
NAME = b"\x20CK" + b"A" * 30 + b"\0"
"""The name "*", first-level encoded."""
REQUEST = struct.pack("!6H", IDENTITY, 0, 1, 0, 0, 0) + NAME + struct.pack("!2H", STATUS, 1)


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    # a DNS server reads the question as one for SRV and repeats it; a node answers with one record and no question
    if len(answer) < 57 or answer[:2] != REQUEST[:2] or not answer[2] & 0x80 or answer[4:8] != b"\0\0\0\x01":
        return None
    if answer[12:46] != NAME or answer[46:48] != struct.pack("!H", STATUS):
        return None
    names, rest = _read_names(answer[56:])
    facts: dict[str, Any] = {"names": names, "request_bytes": len(REQUEST), "answer_bytes": len(answer)}
    host = next((name["name"] for name in names if name["suffix"] == 0 and not name["group"]), None)
    if host:
        facts["hostname"] = host
    domain = next((name["name"] for name in names if name["suffix"] == 0 and name["group"]), None)
    if domain:
        facts["domain"] = domain
    if len(rest) >= 6 and any(rest[:6]):
        facts["mac"] = rest[:6].hex(":")
    # Windows puts its hardware address there, Samba zeros (its nmbd has none to give for all interfaces)
    samba = len(rest) >= 6 and not any(rest[:6]) and bool(names)
    return Match("netbios-ns", "Samba nmbd" if samba else None, facts=facts)


def _read_names(data: bytes) -> tuple[list[dict[str, Any]], bytes]:
    """A count and as many names of 15 characters, a suffix and flags (highest bit: a group)."""
    end = min(len(data) - 17, 1 + 18 * data[0])
    found = [
        {
            "name": data[at : at + 15].decode("latin-1").rstrip(),
            "suffix": data[at + 15],
            "group": bool(data[at + 16] & 0x80),
        }
        for at in range(1, end, 18)
    ]
    return found, data[1 + 18 * data[0] :]


PROBE = Probe("netbios-ns", ports=(137,), run=run, transport="udp")
