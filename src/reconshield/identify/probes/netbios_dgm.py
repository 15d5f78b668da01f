"""NetBIOS datagram service (RFC 1002 §4.4): the local master browser is asked for its backups ([MS-BRWS] §2.2.2).

The datagram must be addressed to the name under which that browser is known, its workgroup's, so nothing is sent before a
neighbour (the name service on port 137) has told it: then it comes as the name of the place. Nothing is announced or changed.
"""

from __future__ import annotations

import re
import struct

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Where

DIRECT_UNIQUE, FIRST, IDENTITY = 0x10, 0x02, 0x5253
MASTER_BROWSER, WORKSTATION = 0x1D, 0x00
SLOT = b"\\MAILSLOT\\BROWSE\0"
TRANSACTION = b"\xffSMB\x25" + bytes(27)
ASK_BACKUPS, BACKUPS = 9, 10
TOKEN = struct.pack("<I", IDENTITY)


def run() -> Dialogue:
    name = (yield Where()).host
    if not re.fullmatch(r"[A-Z0-9!@#$%^&()_-]{1,15}", name):
        return None
    answer = yield Ask(write_question(name.encode("ascii")))
    at = answer.find(SLOT)
    told = answer[at + len(SLOT) :]
    if len(answer) < 82 or answer[0] not in (0x10, 0x11, 0x12) or at < 0 or TRANSACTION[:5] not in answer[:at]:
        return None
    if told[:1] != bytes([BACKUPS]) or told[2:6] != TOKEN:
        return None
    browsers = [text.decode("latin-1") for text in told[6:].split(b"\0") if text][:16]
    return Match("netbios-dgm", facts={"browsers": browsers, "workgroup": name})


def write_question(workgroup: bytes) -> bytes:
    """A datagram from RECONSHIELD to the master browser: an SMB transaction on the browsers' mailslot."""
    message = bytes([ASK_BACKUPS, 4]) + TOKEN
    data_at = len(TRANSACTION) + 1 + 34 + 2 + len(SLOT)
    words = struct.pack("<HHHHBBHIHHHHHBB", 0, len(message), 0, 0, 0, 0, 0, 0, 0, 0, 0, len(message), data_at, 3, 0)
    smb = TRANSACTION + bytes([17]) + words + struct.pack("<HHH", 1, 1, 2)
    smb += struct.pack("<H", len(SLOT) + len(message)) + SLOT + message
    body = write_name(b"RECONSHIELD", WORKSTATION) + write_name(workgroup, MASTER_BROWSER) + smb
    return struct.pack("!BBH4sHHH", DIRECT_UNIQUE, FIRST, IDENTITY, bytes(4), 0, len(body), 0) + body


def write_name(name: bytes, suffix: int) -> bytes:
    """First-level encoding (RFC 1001 §14.1): each half of a byte as a letter from A on."""
    padded = name.ljust(15) + bytes([suffix])
    return b"\x20" + bytes(letter for byte in padded for letter in (0x41 + (byte >> 4), 0x41 + (byte & 15))) + b"\0"


PROBE = Probe("netbios-dgm", ports=(138,), run=run, transport="udp")
