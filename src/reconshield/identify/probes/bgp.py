"""BGP (RFC 4271 §4): some routers open, or refuse, a session with anybody who connects. Nothing is said to them."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

from reconshield.identify.probe import Dialogue, Match, Probe, Read, prefixed

MARKER = b"\xff" * 16
OPEN, NOTIFICATION = 1, 3
CODES = {2: "open message", 4: "hold timer", 5: "state machine", 6: "cease"}


def run() -> Dialogue:
    hello = yield Read(until=prefixed(2, at=16, extra=-18))
    if len(hello) < 21 or not hello.startswith(MARKER):
        return None
    length, kind = struct.unpack_from("!HB", hello, 16)
    if kind == NOTIFICATION and length <= len(hello):
        return Match("bgp", facts={"protocol": "BGP-4", "refused": CODES.get(hello[19], str(hello[19]))})
    if kind != OPEN or length < 29 or len(hello) < 29 or hello[19] != 4:
        return None
    facts: dict[str, Any] = {"protocol": "BGP-4", "as": int.from_bytes(hello[20:22], "big")}
    facts |= {"hold_seconds": int.from_bytes(hello[22:24], "big"), "router_id": str(IPv4Address(hello[24:28]))}
    return Match("bgp", facts=facts)


PROBE = Probe("bgp", ports=(179,), run=run, speaks_first=True)
