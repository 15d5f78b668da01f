"""Microsoft SQL Server: the PRELOGIN message of TDS ([MS-TDS] §2.2.6.5), which tells version and encryption before any login.

We say that we cannot encrypt: a server that insists then says so, and one that does not would take the password as it comes.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

PRELOGIN, ANSWER = 0x12, 0x04
VERSION, ENCRYPTION, END = 0, 1, 0xFF
ENCRYPTIONS = {0: "off", 1: "on", 2: "not supported", 3: "required"}
NOT_SUPPORTED = 2

whole_packet = prefixed(2, at=2, extra=-4)


def run() -> Dialogue:
    answer = yield Ask(write_prelogin(), until=whole_packet)
    if len(answer) < 16 or answer[0] != ANSWER or answer[1] != 1 or int.from_bytes(answer[2:4], "big") != len(answer):
        return None
    options = read_options(answer[8:])
    version = options.get(VERSION, b"")
    encryption = options.get(ENCRYPTION, b"")
    if len(version) != 6 or len(encryption) != 1 or encryption[0] not in ENCRYPTIONS:
        return None
    major, minor, build = struct.unpack_from("!BBH", version)
    insists = encryption[0] in (1, 3)
    facts: dict[str, Any] = {"encryption": ENCRYPTIONS[encryption[0]], "login_clear": "refused" if insists else "offered"}
    if not major:
        return Match("mssql", facts=facts)
    return Match("mssql", "Microsoft SQL Server", f"{major}.{minor}.{build}", facts)


def write_prelogin() -> bytes:
    """Two options, each `token, offset, length`, then their data; the packet header says type, last, length, and four zeros."""
    table = struct.pack("!BHH", VERSION, 11, 6) + struct.pack("!BHH", ENCRYPTION, 17, 1) + bytes([END])
    body = table + bytes(6) + bytes([NOT_SUPPORTED])
    return struct.pack("!BBHHBB", PRELOGIN, 1, 8 + len(body), 0, 0, 0) + body


def read_options(body: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    for at in range(0, min(len(body) - 4, 5 * 16), 5):
        if body[at] == END:
            break
        offset, size = struct.unpack_from("!HH", body, at + 1)
        options[body[at]] = body[offset : offset + size]
    return options


PROBE = Probe("mssql", ports=(1433, 1434), run=run)
