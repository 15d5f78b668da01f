"""Tarantool: its greeting of 128 bytes (Tarantool documentation, "Binary protocol"): name and version, then a salt."""

from __future__ import annotations

import re

from reconshield.identify.probe import Dialogue, Match, Probe, Read, at_least, name_cpe


def run() -> Dialogue:
    hello = yield Read(until=at_least(128))
    found = re.match(rb"Tarantool (\d[\w.-]{1,40}) \((Binary|Lua console)\)", hello)
    if not found:
        return None
    version = found[1].decode("ascii")
    facts = {"protocol": found[2].decode("ascii")} | ({"auth": "none"} if found[2] == b"Lua console" else {})
    return Match("tarantool", "Tarantool", version, facts, (name_cpe("tarantool", "tarantool", version),))


PROBE = Probe("tarantool", ports=(3301,), run=run, speaks_first=True)
