"""Erlang distribution: a node introduces itself and is told the other's name (Erlang documentation, "Distribution Handshake").

The challenge that comes with the name is left unanswered, so the shared cookie is not tried.
"""

from __future__ import annotations

import re
import struct

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

FLAGS = 0x0000000D_07DF7FBD
"""What an OTP 25 node can do; older ones refuse a peer that can less."""
NAME = b"reconshield@reconshield.invalid"
HELLO = b"N" + struct.pack("!QIH", FLAGS, 1, len(NAME)) + NAME


def run() -> Dialogue:
    answer = yield Ask(struct.pack("!H", len(HELLO)) + HELLO, until=_both)
    status, challenge = _split(answer)
    if not re.fullmatch(rb"s(?:ok|ok_simultaneous|nok|not_allowed|alive)", status):
        return None
    facts: dict[str, object] = {"status": status[1:].decode("ascii"), "auth": "required"}
    name = _read_name(challenge)
    if name:
        facts |= {"node": name, "hostname": name.split("@", 1)[1]}
    return Match("erlang-distribution", facts=facts)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The first two messages, each led by its length."""
    size = int.from_bytes(data[:2], "big")
    rest = data[2 + size :]
    return data[2 : 2 + size], rest[2 : 2 + int.from_bytes(rest[:2], "big")]


def _both(data: bytes) -> bool:
    status, challenge = _split(data)
    return status not in (b"sok", b"sok_simultaneous") or bool(challenge)


def _read_name(challenge: bytes) -> str | None:
    """`N`, flags (8), challenge (4), creation (4), length (2), name.

    Before OTP 23 it was `n`, version (2), flags (4), challenge (4), name.
    """
    raw = challenge[19:] if challenge[:1] == b"N" else challenge[11:] if challenge[:1] == b"n" else b""
    name = raw.decode("latin-1")
    return name if re.fullmatch(r"[\w.-]{1,100}@[\w.:-]{1,253}", name) else None


PROBE = Probe("erlang-distribution", ports=(25672,), run=run)
