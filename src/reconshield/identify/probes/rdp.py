"""RDP: how the server wants to be spoken to ([MS-RDPBCGR] §2.2.1.1 and §2.2.1.2), and its certificate. No user is named.

The first connection offers everything and takes the certificate; the second offers nothing but the old security of RDP itself,
and the refusal tells what is required: network level authentication (NLA), or TLS alone.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Reconnect, StartTls, prefixed

STANDARD, TLS, HYBRID, HYBRID_EX = 0, 1, 2, 8
NAMES = {STANDARD: "rdp", TLS: "tls", HYBRID: "nla", HYBRID_EX: "nla"}
RESPONSE, FAILURE = 2, 3
FAILURES = {
    1: "tls required",
    2: "tls not allowed",
    3: "no certificate",
    4: "inconsistent",
    5: "nla required",
    6: "tls with user",
}

whole_packet = prefixed(2, at=2, extra=-4)
"""TPKT (RFC 1006 §6): version 3, reserved, the length of all in two bytes."""


def run() -> Dialogue:
    # asked for RDSTLS (4) too, xrdp hangs up
    answer = yield Ask(write_request(TLS | HYBRID | HYBRID_EX), until=whole_packet)
    reply = read_confirm(answer)
    if reply is None:
        return None
    kind, value = reply
    facts: dict[str, Any] = {"security": NAMES.get(value, str(value)) if kind == RESPONSE else "rdp"}
    if kind == FAILURE:
        facts["failure"] = FAILURES.get(value, str(value))
    if kind == RESPONSE and value:
        facts["starttls"] = "offered"
        upgraded = yield StartTls()
        facts |= {"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded}
        facts |= yield from _ask_for_old()
    return Match("rdp", facts=facts)


def _ask_for_old() -> Any:
    """Whether the old security is still accepted, and if not, whether TLS is enough."""
    if not (yield Reconnect()):
        return {}
    reply = read_confirm((yield Ask(write_request(STANDARD), until=whole_packet)))
    if reply is None:
        return {}
    kind, value = reply
    if kind != FAILURE:
        return {"standard_security": True, "nla_required": False}
    facts: dict[str, Any] = {"standard_security": False, "starttls": "required"}
    return facts | ({"nla_required": value == 5} if value in (1, 5) else {})


def write_request(protocols: int) -> bytes:
    """An X.224 connection request (class 0, no cookie) with RDP_NEG_REQ: type 1, flags 0, length 8, protocols."""
    negotiation = struct.pack("<BBHI", 1, 0, 8, protocols)
    body = struct.pack("!BHHB", 0xE0, 0, 0, 0) + negotiation
    return struct.pack("!BBHB", 3, 0, 5 + len(body), len(body)) + body


def read_confirm(data: bytes) -> tuple[int, int] | None:
    """What a connection confirm (X.224 §13.4) negotiates: (response or failure, value). Without one it is the old security."""
    if len(data) < 11 or data[:2] != b"\x03\0" or int.from_bytes(data[2:4], "big") != len(data):
        return None
    if data[4] != len(data) - 5 or data[5] & 0xF0 != 0xD0:
        return None
    if len(data) == 11:
        return RESPONSE, STANDARD
    kind, _, length, value = struct.unpack("<BBHI", data[11:19].ljust(8, b"\0"))
    return (kind, value) if kind in (RESPONSE, FAILURE) and length == 8 else None


PROBE = Probe("rdp", ports=(3389,), run=run)
