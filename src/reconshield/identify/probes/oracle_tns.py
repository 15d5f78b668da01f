"""Oracle's listener (TNS): a connection that names no database and asks for the listener's version.

The listener refuses or accepts it with its version as one number: `(VSNNUM=318767104)` is 19.0.0.0.0, eight bits for the
release, then 4, 8, 4 and 8 for what follows the dots. The packets are described in Oracle's "Net Services Reference" by name
and in many free drivers by byte; nobody logs in and no database is touched.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe, prefixed

CONNECT, ACCEPT, REFUSE, REDIRECT, RESEND = 1, 2, 4, 5, 11
DATA = b"(CONNECT_DATA=(COMMAND=version))"
DATA_AT = 58

whole_packet = prefixed(2, extra=-2)


def run() -> Dialogue:
    answer = yield Ask(write_connect(), until=whole_packet)
    if _kind(answer) == RESEND:
        answer = yield Ask(write_connect(), until=whole_packet)
    kind = _kind(answer)
    text = answer[12:].decode("latin-1")
    known = "(DESCRIPTION=" in text or "(VSNNUM=" in text or "TNSLSNR" in text
    if kind not in (ACCEPT, REFUSE, REDIRECT) or (not known and kind != ACCEPT) or (kind == ACCEPT and len(answer) < 24):
        return None
    facts: dict[str, Any] = {"answer": {ACCEPT: "accepted", REFUSE: "refused", REDIRECT: "redirected"}[kind]}
    error = re.search(r"\(ERR=(\d{1,6})\)", text)
    facts |= {"error": int(error[1])} if error else {}
    number = re.search(r"\(VSNNUM=(\d{1,10})\)", text)
    version = read_version(int(number[1])) if number else None
    stated = re.search(r"TNSLSNR for ([^:]{1,60}): Version (\d[\d.]{4,20})", text)
    if stated:
        facts["os"] = stated[1]
        version = stated[2]
    cpe = (name_cpe("oracle", "database_server", version),) if version else ()
    return Match("oracle-tns", "Oracle TNS listener" if known else None, version, facts, cpe)


def write_connect() -> bytes:
    """Length, checksum, type; version 312 down to 300, options, sizes, where the data is; the data."""
    head = struct.pack("!10H", 312, 300, 0x0C41, 0x2000, 0x7FFF, 0x7F08, 0, 1, len(DATA), DATA_AT)
    rest = struct.pack("!IBB", 0, 0x41, 0x41)
    body = (head + rest).ljust(DATA_AT - 8, b"\0") + DATA
    return struct.pack("!HHBBH", 8 + len(body), 0, CONNECT, 0, 0) + body


def _kind(data: bytes) -> int:
    """The packet's type; 0 when lengths and reserved fields are not those of a packet."""
    if len(data) < 8 or int.from_bytes(data[:2], "big") != len(data) or data[2:4] != b"\0\0" or data[5] & 0x20:
        return 0
    return data[4]


def read_version(number: int) -> str | None:
    if not 0x07000000 <= number <= 0x7FFFFFFF:
        return None
    return f"{number >> 24}.{number >> 20 & 15}.{number >> 12 & 255}.{number >> 8 & 15}.{number & 255}"


PROBE = Probe("oracle-tns", ports=(1521, 1526, 2483, 2484), run=run)
