"""Mumble's server over UDP: the ping of its server list (Mumble protocol documentation, "Ping"). It states the version."""

from __future__ import annotations

import struct

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe

IDENTITY = b"recnshld"
REQUEST = bytes(4) + IDENTITY


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    if len(answer) != 24 or answer[4:12] != IDENTITY or answer[0]:
        return None
    users, most, bandwidth = struct.unpack_from("!III", answer, 12)
    version = f"{answer[1]}.{answer[2]}.{answer[3]}"
    facts = {"users": users, "users_allowed": most, "bandwidth": bandwidth}
    return Match("mumble", "Mumble server", version, facts, (name_cpe("mumble", "mumble", version),))


PROBE = Probe("mumble", ports=(64738,), run=run, transport="udp")
