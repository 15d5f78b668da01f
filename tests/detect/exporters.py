"""A generator of NetFlow and IPFIX with known answers: packets are made here by hand, octet by octet."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence

BOOT = 1_759_900_000.0
"""When the exporter started; v5 and v9 count their milliseconds from it, in 32 bits."""
AT = 1_760_000_000


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def uptime(at: float) -> int:
    return round((at - BOOT) * 1000) & 0xFFFF_FFFF


def v5_record(
    src: str, dst: str, sport: int, dport: int, *, proto: int = 6, packets: int = 3, octets: int = 180, begin: float = AT,
    end: float = AT + 1, flags: int = 0x1B,
) -> bytes:  # fmt: skip
    return struct.pack(
        "!4s4s4sHHIIIIHHxBBBHHBBxx",
        *(packed(src), packed(dst), packed("192.0.2.1"), 1, 2, packets, octets, uptime(begin), uptime(end), sport, dport),
        *(flags, proto, 0, 0, 0, 24, 24),
    )


def v5(*records: bytes, at: float = AT + 10, sampling: int = 0, count: int | None = None) -> bytes:
    number = len(records) if count is None else count
    head = struct.pack("!HHIIIIBBH", 5, number, uptime(at), int(at), round(at % 1 * 1e9), 0, 0, 0, sampling)
    return head + b"".join(records)


Field = tuple[int, int] | tuple[int, int, int]
"""Element and length, and an enterprise."""


def template(number: int, fields: Sequence[Field]) -> bytes:
    out = struct.pack("!HH", number, len(fields))
    for element, length, *enterprise in fields:
        out += struct.pack("!HH", element | (0x8000 if enterprise else 0), length)
        out += struct.pack("!I", *enterprise) if enterprise else b""
    return out


def a_set(number: int, body: bytes, align: int = 4) -> bytes:
    body += bytes(-len(body) % align)
    return struct.pack("!HH", number, 4 + len(body)) + body


def v9(*sets: bytes, at: float = AT + 10, domain: int = 1, count: int = 1) -> bytes:
    return struct.pack("!HHIIII", 9, count, uptime(at), int(at), 0, domain) + b"".join(sets)


def ipfix(*sets: bytes, at: float = AT + 10, domain: int = 1) -> bytes:
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), int(at), 0, domain) + body


FIELDS: tuple[Field, ...] = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4))
FOUR_UP: tuple[Field, ...] = (*FIELDS, (22, 4), (21, 4))
FOUR_MS: tuple[Field, ...] = (*FIELDS, (152, 8), (153, 8))
SIX_MS: tuple[Field, ...] = ((27, 16), (28, 16), *FOUR_MS[2:])


def four(
    src: str, dst: str, sport: int, dport: int, *, proto: int = 6, packets: int = 3, octets: int = 180, begin: float = AT,
    end: float = AT + 1, flags: int = 0x1B, up: bool = False,
) -> bytes:  # fmt: skip
    """A record of FOUR_UP, FOUR_MS or SIX_MS."""
    out = packed(src) + packed(dst) + struct.pack("!HHBBII", sport, dport, proto, flags, octets, packets)
    if up:
        return out + struct.pack("!II", uptime(begin), uptime(end))
    return out + struct.pack("!QQ", round(begin * 1000), round(end * 1000))


def argus(
    *rows: str, header: str = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,TotPkts,TotBytes,SrcBytes"
) -> bytes:
    return "\n".join([header, *rows]).encode() + b"\n"


V5_TEN = b"".join(
    v5(v5_record("10.0.0.5", "10.0.0.9", 40_000 + at, 80), v5_record("10.0.0.9", "10.0.0.5", 80, 40_000 + at), at=AT + 10 + at)
    for at in range(10)
)
V9_TEN = b"".join(
    v9(
        *([a_set(0, template(256, FOUR_UP))] if at % 5 == 0 else []),
        a_set(256, four("10.0.0.5", "10.0.0.9", 41_000 + at, 80, up=True)),
        at=AT + 10 + at,
    )
    for at in range(10)
)
IPFIX_TEN = b"".join(
    ipfix(a_set(2, template(300, FOUR_MS)), a_set(300, four("10.0.0.5", "10.0.0.9", 40_000 + at, 80), 1), at=AT + 10 + at)
    for at in range(10)
)
WHOLE = {
    "netflow": V5_TEN + V9_TEN,
    "ipfix": IPFIX_TEN,
    "argus": argus(
        *(f"2025/10/09 08:53:{at:02}.5,1.5,tcp,10.0.0.5,{40_000 + at},   ->,10.0.0.9,80,CON,9,900,300" for at in range(20))
    ),
}
"""One whole file for each of these readers."""
