"""Minecraft (Java edition): the server list ping (wiki.vg, "Server List Ping"). Nobody joins the game."""

from __future__ import annotations

import json
import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

HOST = b"reconshield.invalid"
HANDSHAKE = b"\x00\xff\xff\xff\xff\x0f" + bytes([len(HOST)]) + HOST + b"\x63\xdd\x01"
"""Packet 0: version -1 (unknown), the name and port that were dialled, next state 1 (status)."""
REQUEST = bytes([len(HANDSHAKE)]) + HANDSHAKE + b"\x01\x00"


def run() -> Dialogue:
    answer = yield Ask(REQUEST, until=_whole)
    size, at = _read_number(answer, 0)
    if not 4 <= size <= 65536 or answer[at : at + 1] != b"\0":
        return None
    length, at = _read_number(answer, at + 1)
    status = _parse(answer[at : at + length])
    if not isinstance(status, dict) or not isinstance(status.get("version"), dict) or "players" not in status:
        return None
    name = str(status["version"].get("name", ""))[:100]
    facts: dict[str, Any] = {"game_version": name} if name else {}
    if isinstance(status["version"].get("protocol"), int):
        facts["protocol"] = f"Minecraft {status['version']['protocol']}"
    stated = re.fullmatch(r"(?:(?P<product>[A-Za-z]{3,20}) )?(?P<version>\d+\.\d+(?:\.\d+)?)", name)
    return Match("minecraft", (stated and stated["product"]) or None, stated["version"] if stated else None, facts)


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, lowest first, and where it ends."""
    value = shift = 0
    while at < len(data) and shift < 35:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at
    return 0, at


def _whole(data: bytes) -> bool:
    size, at = _read_number(data, 0)
    return size > 0 and len(data) >= at + size


PROBE = Probe("minecraft", ports=(25565,), run=run)
