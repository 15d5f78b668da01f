"""Network block device: its greeting (NBD protocol, "proto.md"). No export is asked for below level 4, none is opened ever."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, Tell, at_least

MAGIC, NEW_STYLE, OLD_STYLE = b"NBDMAGIC", b"IHAVEOPT", bytes.fromhex("00420281861253")
REPLY_MAGIC = bytes.fromhex("0003e889045565a9")
FIXED, NO_ZEROES, TLS_REQUIRED = 1, 2, 0x80000005
ABORT, LIST = 2, 3
ACK, SERVER = 1, 2


def run() -> Dialogue:
    hello = yield Read(until=at_least(18))
    if not hello.startswith(MAGIC):
        return None
    if hello[8:16] == NEW_STYLE and len(hello) >= 18:
        return Match("nbd", facts={"protocol": "newstyle", "fixed": bool(hello[17] & FIXED)})
    if hello[9:16] == OLD_STYLE and len(hello) >= 24:
        return Match("nbd", facts={"protocol": "oldstyle", "auth": "none", "bytes": int.from_bytes(hello[16:24], "big")})
    return None


def assess(match: Match) -> Dialogue:
    """The names of the exports, where the server gives them to anybody."""
    if not match.facts.get("fixed"):
        return match
    yield Read(until=at_least(18))
    question = struct.pack("!I", FIXED | NO_ZEROES) + NEW_STYLE + struct.pack("!II", LIST, 0)
    answer = yield Ask(question, until=lambda data: struct.pack("!III", LIST, ACK, 0) in data or len(data) > 8192)
    yield Tell(NEW_STYLE + struct.pack("!II", ABORT, 0))
    exports, refused = _read_list(answer)
    if exports is None and refused is None:
        return match
    facts: dict[str, Any] = {"auth": "required" if refused == TLS_REQUIRED else "none" if exports else "unknown"}
    return replace(match, facts=dict(match.facts) | facts | ({"exports": exports} if exports is not None else {}))


def _read_list(data: bytes) -> tuple[list[str] | None, int | None]:
    """Replies: magic, option, kind, length, data. The names up to the acknowledgement, or the error."""
    names: list[str] = []
    at = 0
    while at + 20 <= len(data) and data[at : at + 8] == REPLY_MAGIC and len(names) < 64:
        _, kind, length = struct.unpack_from("!III", data, at + 8)
        body = data[at + 20 : at + 20 + length]
        if kind == ACK:
            return names, None
        if kind & 0x80000000:
            return None, kind
        if kind == SERVER:
            names.append(body[4 : 4 + int.from_bytes(body[:4], "big")].decode("utf-8", "replace")[:200])
        at += 20 + length
    return None, None


PROBE = Probe("nbd", ports=(10809,), run=run, speaks_first=True, assess=assess)
