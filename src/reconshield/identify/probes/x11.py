"""The X Window System: the connection set-up without a cookie (X11 protocol §8). What is let in may watch and type.

A display that accepts it tells its maker and release; nothing is asked after that.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe

SET_UP = struct.pack("<BxHHHHxx", 0x6C, 11, 0, 0, 0)
"""Little endian, protocol 11.0, no authorisation."""
FAILED, SUCCESS, AUTHENTICATE = 0, 1, 2


def run() -> Dialogue:
    answer = yield Ask(SET_UP, until=_whole)
    if len(answer) < 8 or not _whole(answer) or answer[0] > AUTHENTICATE:
        return None
    major, minor = struct.unpack_from("<HH", answer, 2)
    if answer[0] != AUTHENTICATE and major != 11:
        return None
    facts: dict[str, Any] = {"protocol": f"X{major}.{minor}", "auth": "none" if answer[0] == SUCCESS else "required"}
    if answer[0] != SUCCESS:
        reason = answer[8 : 8 + answer[1]] if answer[0] == FAILED else answer[8:200]
        if not reason.isascii():
            return None
        return Match("x11", facts=facts | {"refused": reason.decode("ascii").strip("\0\n ")})
    return _read_success(answer, facts) if len(answer) >= 40 else None


def _whole(data: bytes) -> bool:
    """Eight bytes of which the last two count what follows in units of four."""
    return len(data) >= 8 and len(data) >= 8 + 4 * int.from_bytes(data[6:8], "little")


def _read_success(answer: bytes, facts: dict[str, Any]) -> Match:
    release = int.from_bytes(answer[8:12], "little")
    size = int.from_bytes(answer[24:26], "little")
    vendor = answer[40 : 40 + size].decode("latin-1")
    facts |= {"vendor": vendor, "release": release}
    if vendor != "The X.Org Foundation":
        return Match("x11", vendor or None, facts=facts)
    version = read_release(release)
    return Match("x11", "X.Org", version, facts, (name_cpe("x.org", "x_server", version),))


def read_release(release: int) -> str:
    """X.Org packs 1.20.4 as 12004000 and 21.1.7, which counts as 1.21.1.7, as 12101007 (its configure script)."""
    minor, patch, snap = release // 100_000 % 100, release // 1000 % 100, release % 1000
    numbers = [minor, patch, snap] if minor >= 21 else [release // 10_000_000, minor, patch, *([snap] if snap else [])]
    return ".".join(map(str, numbers))


PROBE = Probe("x11", ports=(6000, 6001, 6002), run=run)
