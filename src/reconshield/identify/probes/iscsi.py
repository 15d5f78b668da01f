"""iSCSI (RFC 7143 §11.12, §11.13): the first step of a discovery login, which agrees on how to log in and opens nothing.

Offered "None" and "CHAP", the target picks: a target that picks None shows its disks to whoever comes.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

LOGIN, LOGIN_ANSWER, REJECT = 0x43, 0x23, 0x3F
KEYS = b"InitiatorName=iqn.2026-01.invalid.reconshield:probe\0SessionType=Discovery\0AuthMethod=CHAP,None\0"
INITIATOR = bytes([0x80, 0, 0, 0x52, 0x53, 0])
CLASSES = {0: "accepted", 1: "redirected", 2: "refused", 3: "server error"}
HEADER = 48


def run() -> Dialogue:
    answer = yield Ask(write_login(), until=_whole)
    if len(answer) < HEADER or answer[0] & 0x3F not in (LOGIN_ANSWER, REJECT):
        return None
    if answer[0] == REJECT:
        # a reject repeats the header that it does not like (§11.17)
        return Match("iscsi", facts={"status": "rejected"}) if answer[HEADER : HEADER + 1] == bytes([LOGIN]) else None
    if answer[8:14] != INITIATOR or answer[36] not in CLASSES:
        return None
    facts: dict[str, Any] = {"status": CLASSES[answer[36]], "auth": "unknown"}
    keys = _read_keys(answer)
    if "AuthMethod" in keys:
        facts |= {"method": keys["AuthMethod"], "auth": "none" if keys["AuthMethod"] == "None" else "required"}
    elif answer[36] == 2 and answer[37] in (1, 2):
        facts["auth"] = "required"
    return Match("iscsi", facts=facts)


def write_login() -> bytes:
    """Immediate, stage 0 (security negotiation) without the wish to leave it; task 1, connection 0."""
    header = struct.pack("!BBBBB", LOGIN, 0, 0, 0, 0) + len(KEYS).to_bytes(3, "big") + INITIATOR
    header += struct.pack("!HIHHII", 0, 1, 0, 0, 1, 0) + bytes(16)
    return header + KEYS + bytes(-len(KEYS) % 4)


def _whole(data: bytes) -> bool:
    return len(data) >= HEADER and len(data) >= HEADER + int.from_bytes(data[5:8], "big")


def _read_keys(answer: bytes) -> dict[str, str]:
    size = int.from_bytes(answer[5:8], "big")
    pairs = (part.partition("=") for part in answer[HEADER : HEADER + size].decode("latin-1").split("\0")[:64])
    return {key: value for key, equals, value in pairs if equals}


PROBE = Probe("iscsi", ports=(3260,), run=run)
