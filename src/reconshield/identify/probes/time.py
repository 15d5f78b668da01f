"""Time (RFC 868): the seconds since 1900 as four bytes, and no more. Four bytes prove little, so only its own port counts."""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, Where, at_least

NUDGE = b"\n"
YEAR_2000 = 3_155_673_600
"""Seconds from 1900 to 2000: a clock that shows less was never set."""


def run() -> Dialogue:
    if (yield Where()).port not in PROBE.ports:
        return None
    return _match((yield Read(until=at_least(4))))


def run_udp() -> Dialogue:
    if (yield Where()).port not in PROBE.ports:
        return None
    return _match((yield Ask(NUDGE)))


def _match(data: bytes) -> Match | None:
    if len(data) != 4 or int.from_bytes(data, "big") < YEAR_2000:
        return None
    return Match("time", facts={"auth": "none", "seconds": int.from_bytes(data, "big")})


PROBE = Probe("time", ports=(37,), run=run, speaks_first=True)
UDP = Probe("time", ports=(37,), run=run_udp, transport="udp")
