"""AFP, Apple's file sharing: DSIGetStatus (AFP reference, "Data Stream Interface"), answered before any session or login."""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

REQUEST_FLAG, REPLY_FLAG, GET_STATUS, IDENTITY = 0, 1, 3, 0x5253
REQUEST = struct.pack("!BBHIII", REQUEST_FLAG, GET_STATUS, IDENTITY, 0, 0, 0)
NO_LOGIN = "No User Authent"
CLEAR = "Cleartxt Passwrd"


def run() -> Dialogue:
    answer = yield Ask(REQUEST, until=prefixed(4, at=8, extra=4))
    if len(answer) < 16 + 12:
        return None
    flag, command, identity, error, length = struct.unpack_from("!BBHII", answer)
    status = answer[16 : 16 + length]
    if (flag, command, identity, error) != (REPLY_FLAG, GET_STATUS, IDENTITY, 0) or len(status) < 12:
        return None
    machine_at, versions_at, methods_at = struct.unpack_from("!HHH", status)
    methods = _read_list(status, methods_at)
    facts: dict[str, Any] = {"machine": _read_text(status, machine_at), "versions": _read_list(status, versions_at)}
    if not any(version.startswith("AFP") for version in facts["versions"]):
        return None
    facts |= {"hostname": _read_text(status, 10), "mechanisms_clear": methods, "anonymous": NO_LOGIN in methods}
    facts["login_clear"] = "offered" if CLEAR in methods else "not offered"
    product = "Netatalk" if facts["machine"].startswith("Netatalk") else None
    version = facts["machine"].removeprefix("Netatalk").strip() if product else ""
    return Match("afp", product, version or None, facts)


def _read_text(data: bytes, at: int) -> str:
    """A text led by its length in one byte."""
    return data[at + 1 : at + 1 + data[at]].decode("utf-8", "replace") if at < len(data) else ""


def _read_list(data: bytes, at: int) -> list[str]:
    """A count in one byte, and as many texts."""
    found: list[str] = []
    for _ in range(min(data[at] if at < len(data) else 0, 32)):
        at += 1 if not found else 1 + len(found[-1].encode("utf-8"))
        found.append(_read_text(data, at))
    return found


PROBE = Probe("afp", ports=(548,), run=run)
