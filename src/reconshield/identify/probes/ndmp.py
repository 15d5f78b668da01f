"""NDMP, backup of file servers: the server greets with NOTIFY_CONNECTED (NDMP v4 §2.3.1) in ONC RPC records."""

from __future__ import annotations

import struct

from reconshield.identify.probe import Dialogue, Match, Probe, Read, prefixed

NOTIFY_CONNECTED = 0x0502


def run() -> Dialogue:
    """Record mark; sequence, time, kind 0 (request), message, reply to 0, no error; reason, version, text."""
    hello = yield Read(until=prefixed(4, extra=-0x80000000))
    if len(hello) < 36:
        return None
    mark, _, _, kind, message, reply, error, reason, version = struct.unpack_from("!9I", hello)
    if mark != 0x80000000 | len(hello) - 4 or (kind, message, reply, error) != (0, NOTIFY_CONNECTED, 0, 0) or version > 9:
        return None
    return Match("ndmp", facts={"protocol": f"NDMP v{version}", "connected": reason == 0})


PROBE = Probe("ndmp", ports=(10000,), run=run, speaks_first=True)
