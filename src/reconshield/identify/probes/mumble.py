"""Mumble's server: the ping of its server list over UDP, and the message by which it introduces itself over TLS.

Both state the version (Mumble protocol documentation, "Ping" and "Establishing a connection"). A message is its type in two
bytes, its length in four, and a protobuf; of type 0 field 2 is the release as text. Nobody joins.
"""

from __future__ import annotations

import re
import struct

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, name_cpe, prefixed

IDENTITY = b"recnshld"
REQUEST = bytes(4) + IDENTITY


INTRODUCTION = re.compile(
    rb"\x00\x00\x00\x00\x00.(?:\x08[\x80-\xff]{0,9}[\x00-\x7f])?(?:\x28[\x80-\xff]{0,9}[\x00-\x7f])?\x12[\x01-\x40](\d{1,3}\.\d{1,3}\.\d{1,3})",
    re.DOTALL,
)


def run() -> Dialogue:
    """Over TLS, where the server speaks first."""
    found = INTRODUCTION.match((yield Read(until=prefixed(4, at=2))))
    if not found:
        return None
    version = found[1].decode("ascii")
    return Match("mumble", "Mumble server", version, {}, (name_cpe("mumble", "mumble", version),))


def run_udp() -> Dialogue:
    answer = yield Ask(REQUEST)
    if len(answer) != 24 or answer[4:12] != IDENTITY or answer[0]:
        return None
    users, most, bandwidth = struct.unpack_from("!III", answer, 12)
    version = f"{answer[1]}.{answer[2]}.{answer[3]}"
    facts = {"users": users, "users_allowed": most, "bandwidth": bandwidth}
    return Match("mumble", "Mumble server", version, facts, (name_cpe("mumble", "mumble", version),))


PROBE = Probe("mumble", ports=(64738,), run=run, speaks_first=True)
UDP = Probe("mumble", ports=(64738,), run=run_udp, transport="udp")
