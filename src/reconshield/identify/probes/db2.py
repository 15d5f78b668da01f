"""Db2 and Derby (DRDA): EXCSAT, in which client and server tell each other who they are. No database is named, nobody logs in.

DRDA V4 volume 3 (Open Group C112): a DSS header of length, 0xD0, type and number; then objects of length and code point.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe, prefixed

EXCSAT, EXCSATRD = 0x1041, 0x1443
EXTNAM, SRVNAM, SRVRLSLV, SRVCLSNM, MGRLVLLS, AGENT = 0x115E, 0x116D, 0x115A, 0x1147, 0x1404, 0x1403
NAMES = {SRVNAM: "instance", SRVRLSLV: "release", SRVCLSNM: "class", EXTNAM: "external_name"}

whole_message = prefixed(2, extra=-2)


def run() -> Dialogue:
    answer = yield Ask(write_excsat(), until=whole_message)
    if len(answer) < 10 or answer[2] != 0xD0 or answer[8:10] != struct.pack("!H", EXCSATRD):
        return None
    facts: dict[str, Any] = {"protocol": "DRDA"} | _read_names(answer[10 : int.from_bytes(answer[:2], "big")])
    release = facts.get("release", "")
    if "Derby" in facts.get("instance", "") or "Derby" in facts.get("class", ""):
        stated = re.search(r"CSS\d{5}/(\d[\d.]{2,20})", release)
        version = stated[1] if stated else None
        return Match("db2", "Apache Derby", version, facts, (name_cpe("apache", "derby", version),))
    stated = re.fullmatch(r"SQL(\d\d)(\d\d)(\d)", release)
    if not stated:
        return Match("db2", facts=facts)
    version = f"{int(stated[1])}.{int(stated[2])}.{stated[3]}"
    return Match("db2", "IBM Db2", version, facts, (name_cpe("ibm", "db2", version),))


def write_excsat() -> bytes:
    name = _object(EXTNAM, "reconshield".encode("cp500"))
    managers = _object(MGRLVLLS, struct.pack("!HH", AGENT, 7))
    body = _object(EXCSAT, name + managers)
    return struct.pack("!HBBH", 6 + len(body), 0xD0, 0x01, 1) + body


def _object(code: int, content: bytes) -> bytes:
    return struct.pack("!HH", 4 + len(content), code) + content


def _read_names(data: bytes) -> dict[str, str]:
    """The texts of the answer, in EBCDIC; Derby writes some in ASCII."""
    found: dict[str, str] = {}
    at = 0
    while at + 4 <= len(data):
        size, code = struct.unpack_from("!HH", data, at)
        if size < 4:
            break
        if code in NAMES:
            raw = data[at + 4 : at + size][:200]
            ebcdic = raw.decode("cp500")
            text = ebcdic if ebcdic.isascii() and ebcdic.isprintable() else raw.decode("latin-1")
            found[NAMES[code]] = text.strip(" \0")
        at += size
    return found


PROBE = Probe("db2", ports=(50000, 50001, 446, 1527, 60000), run=run)
