"""A generator of captures and logs with known answers: packets are made here by hand, byte by byte."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Frame:
    """A captured frame: when, its bytes, and how long it was on the wire (0: as long as its bytes)."""

    at: float
    data: bytes
    wire: int = 0


def tcp(sport: int, dport: int, flags: int, payload: bytes = b"", sequence: int = 0) -> bytes:
    return struct.pack("!HHIIBBHHH", sport, dport, sequence, 0, 0x50, flags, 8192, 0, 0) + payload


def udp(sport: int, dport: int, payload: bytes = b"") -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload


def ipv4(src: str, dst: str, protocol: int, body: bytes, *, ident: int = 0, offset: int = 0, more: bool = False) -> bytes:
    word = offset >> 3 | (0x2000 if more else 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, word, 64, protocol, 0)
    return head + socket.inet_aton(src) + socket.inet_aton(dst) + body


def ipv6(src: str, dst: str, following: int, body: bytes) -> bytes:
    head = struct.pack("!IHBB", 6 << 28, len(body), following, 64)
    return head + socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + body


def ethernet(packet: bytes, *tags: int) -> bytes:
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return bytes(12) + b"".join(struct.pack("!HH", 0x8100, tag) for tag in tags) + struct.pack("!H", kind) + packet


def conversation(
    at: float, src: str, sport: int, dst: str, dport: int, said: Iterable[tuple[str, bytes]] = (), *, ends: int = FIN
) -> list[Frame]:
    """A whole TCP connection: handshake, what `client` and `server` say, and how it ends."""
    make = ipv6 if ":" in src else ipv4
    steps = [("client", SYN, b""), ("server", SYN | ACK, b""), ("client", ACK, b"")]
    steps += [(side, PSH | ACK, payload) for side, payload in said]
    steps += [("client", ends | ACK, b""), ("server", ends | ACK, b"")]
    frames = []
    for number, (side, flags, payload) in enumerate(steps):
        a, ap, b, bp = (src, sport, dst, dport) if side == "client" else (dst, dport, src, sport)
        frames.append(Frame(at + number / 1000, ethernet(make(a, b, 6, tcp(ap, bp, flags, payload, int(at))))))
    return frames


def pcap(frames: Iterable[Frame], *, order: str = "<", nano: bool = False, link: int = 1) -> bytes:
    scale = 1_000_000_000 if nano else 1_000_000
    out = [struct.pack(f"{order}IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, 65535, link)]
    for frame in frames:
        ticks = round(frame.at * scale)
        out.append(struct.pack(f"{order}IIII", ticks // scale, ticks % scale, len(frame.data), frame.wire or len(frame.data)))
        out.append(frame.data)
    return b"".join(out)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + length + body + length


def pcapng(frames: Iterable[Frame], *, order: str = "<", link: int = 1, resolution: int = 6) -> bytes:
    option = struct.pack(f"{order}HHB3x", 9, 1, resolution) + bytes(4)
    out = [
        block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1)),
        block(order, 1, struct.pack(f"{order}HHI", link, 0, 0) + option),
    ]
    for frame in frames:
        ticks = round(frame.at * 10**resolution)
        head = struct.pack(f"{order}IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame.data), frame.wire or len(frame.data))
        out.append(block(order, 6, head + frame.data))
    return b"".join(out)


ZEEK_FIELDS = [
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration"),
    *("orig_bytes", "resp_bytes", "conn_state", "missed_bytes", "orig_pkts", "resp_pkts"),
]


def zeek_conn(rows: Iterable[dict[str, object]], fields: list[str] = ZEEK_FIELDS) -> bytes:
    """A conn.log of Zeek with these rows; what a row does not say is unset."""
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn"]
    head.append("\t".join(["#fields", *fields]))
    lines = ["\t".join(str(row.get(field, "-")) for field in fields) for row in rows]
    return "\n".join([*head, *lines, "#close\t2026-11-27-00-00-00"]).encode() + b"\n"


def zeek_row(at: float, src: str, dst: str, port: int, **more: object) -> dict[str, object]:
    row = {"ts": f"{at:.6f}", "uid": "C1", "id.orig_h": src, "id.orig_p": 50_000, "id.resp_h": dst, "id.resp_p": port}
    return row | {"proto": "tcp", "conn_state": "SF", "duration": "1.0", "orig_bytes": 200, "resp_bytes": 400} | more
