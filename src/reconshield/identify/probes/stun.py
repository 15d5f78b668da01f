"""STUN (RFC 8489) over UDP and TCP: a binding request, answered with our own address and often with the software's name."""

from __future__ import annotations

import re
import struct

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

COOKIE = 0x2112A442
TRANSACTION = b"reconshield1"
BINDING, SUCCESS, ERROR = 0x0001, 0x0101, 0x0111
SOFTWARE = 0x8022
REQUEST = struct.pack("!HHI", BINDING, 0, COOKIE) + TRANSACTION

PRODUCTS: tuple[tuple[str, str], ...] = (
    (r"Coturn-(\d[\w.]*)", "coturn"),
    (r"restund v?(\d[\w.]*)", "restund"),
    (r"Vovida\.org (\d[\w.]*)", "Vovida stund"),
)


def run() -> Dialogue:
    answer = yield Ask(REQUEST, until=prefixed(2, at=2, extra=16))
    if len(answer) < 20:
        return None
    kind, length, cookie = struct.unpack_from("!HHI", answer)
    if kind not in (SUCCESS, ERROR) or cookie != COOKIE or answer[8:20] != TRANSACTION or len(answer) != 20 + length:
        return None
    software = _read_software(answer[20:])
    facts = {"software": software} if software else {}
    for pattern, product in PRODUCTS:
        found = re.match(pattern, software)
        if found:
            return Match("stun", product, found[1], facts)
    return Match("stun", facts=facts)


def _read_software(rest: bytes) -> str:
    """Attributes are type, length, value, padded to four bytes (§14)."""
    while len(rest) >= 4:
        kind, size = struct.unpack_from("!HH", rest)
        if kind == SOFTWARE:
            return rest[4 : 4 + size].decode("utf-8", "replace").rstrip("\0 ")
        rest = rest[4 + size + -size % 4 :]
    return ""


PROBE = Probe("stun", ports=(3478, 5349), run=run)
UDP = Probe("stun", ports=(3478,), run=run, transport="udp")
