"""Synergy, Barrier and Input Leap, which share keyboard and mouse: the greeting with the name and version of their protocol."""

from __future__ import annotations

import struct

from reconshield.identify.probe import Dialogue, Match, Probe, Read, prefixed

NAMES = (b"Synergy", b"Barrier")


def run() -> Dialogue:
    hello = yield Read(until=prefixed(4))
    name = next((name for name in NAMES if hello[4 : 4 + len(name)] == name), None)
    if name is None or int.from_bytes(hello[:4], "big") != len(name) + 4 or len(hello) != len(name) + 8:
        return None
    major, minor = struct.unpack("!HH", hello[-4:])
    return Match("barrier", facts={"protocol": f"{name.decode('ascii')} {major}.{minor}"})


PROBE = Probe("barrier", ports=(24800,), run=run, speaks_first=True)
