"""Packets as columns: a frame that is the same for all targets is laid out once, what differs is written for thousands.

    shape = shape_syn(link, source)            link: the bytes before the IP header (Ethernet, VLAN tag, or none)
    rows[:] = shape.frame                      once for each slot of a ring
    shape.fill(rows, asked)                    destination, ports, sequence number and checksums of every row

The checksum of a packet is that of the constant part plus the words that differ. It is a sum modulo 2^16-1, in which 2^16
counts as 1, so 32-bit words can be added as they are and folded at the end (RFC 1071 §2).

Sequence number and source port come from `cookies`. Addresses are columns of two 64-bit halves, IPv4 v4-mapped. Pure.
RFC 791, RFC 8200, RFC 9293; options: maximum segment size alone, as of a small stack.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconshield.model import Transport
from reconshield.scan.space import U64, V4_FIRST, V4_LAST

U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]

ETH_IPV4, ETH_IPV6, ETH_VLAN = 0x0800, 0x86DD, 0x8100
HOP_LIMIT = 64
DONT_FRAGMENT = 0x4000
WINDOW = 64_240
SYN, RST = 0x02, 0x04
MSS_V4, MSS_V6 = 1460, 1440
SYN_BYTES = 24
"""A TCP header with the one option."""

_LOW16, _16 = np.uint64(0xFFFF), np.uint64(16)
_LOW32, _32 = np.uint64(0xFFFF_FFFF), np.uint64(32)


class Asked(NamedTuple):
    """One packet a row: to whom, from which of our ports, with which sequence number; `mac` of the next hop on Ethernet."""

    hi: U64
    lo: U64
    port: U16
    port_from: U16
    sequence: U32
    mac: U8 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What all packets of one kind from one source have in common. `at` is where the IP header begins.

    `ip_sum` and `sum` are those of the constant words of the IP header, and of the transport header with its pseudo header.
    """

    frame: U8
    at: int
    is_v4: bool
    ip_sum: np.uint64
    sum: np.uint64

    @property
    def transport_at(self) -> int:
        return self.at + (20 if self.is_v4 else 40)

    def fill(self, rows: U8, asked: Asked) -> None:
        """Write what differs into rows that hold the frame. `rows` has shape (packets, at least the size of the frame)."""
        if asked.mac is not None:
            rows[:, :6] = asked.mac
        total = self._fill_address(rows, asked)
        total += asked.sequence
        total += asked.port_from
        total += asked.port
        tcp = self.transport_at
        _column(rows, tcp, ">u2")[:] = asked.port_from
        _column(rows, tcp + 2, ">u2")[:] = asked.port
        _column(rows, tcp + 4, ">u4")[:] = asked.sequence
        _column(rows, tcp + 16, ">u2")[:] = finish_sum(total)

    def fill_udp(self, rows: U8, asked: Asked) -> None:
        """The same for a shape of `shape_udp`, which has no sequence number."""
        if asked.mac is not None:
            rows[:, :6] = asked.mac
        total = self._fill_address(rows, asked)
        total += asked.port_from
        total += asked.port
        udp = self.transport_at
        _column(rows, udp, ">u2")[:] = asked.port_from
        _column(rows, udp + 2, ">u2")[:] = asked.port
        checksum = finish_sum(total)
        checksum[checksum == 0] = 0xFFFF  # 0 means "not computed" (RFC 768)
        _column(rows, udp + 6, ">u2")[:] = checksum

    def _fill_address(self, rows: U8, asked: Asked) -> U64:
        """Write the destination (and the IPv4 checksum). Gives the sum so far: of the destination and all constant words."""
        if self.is_v4:
            address = asked.lo & _LOW32
            _column(rows, self.at + 16, ">u4")[:] = address
            _column(rows, self.at + 10, ">u2")[:] = finish_sum(address + self.ip_sum)
            return address + self.sum
        _column(rows, self.at + 24, ">u8")[:] = asked.hi
        _column(rows, self.at + 32, ">u8")[:] = asked.lo
        total = asked.hi & _LOW32
        total += asked.hi >> _32
        total += asked.lo & _LOW32
        total += asked.lo >> _32
        total += self.sum
        return total


def shape_syn(link: bytes, source: int) -> Shape:
    """A TCP SYN from `source` (a 128-bit number)."""
    mss = MSS_V4 if is_v4_number(source) else MSS_V6
    tcp = struct.pack("!HHIIBBHHH", 0, 0, 0, 0, SYN_BYTES // 4 << 4, SYN, WINDOW, 0, 0) + struct.pack("!BBH", 2, 4, mss)
    return shape_packet(link, source, Transport.TCP, tcp)


def shape_reset(link: bytes, source: int) -> Shape:
    """A TCP RST; it is in the window when its sequence number is what the other side has acknowledged (RFC 9293 §3.5.2)."""
    tcp = struct.pack("!HHIIBBHHH", 0, 0, 0, 0, 5 << 4, RST, 0, 0, 0)
    return shape_packet(link, source, Transport.TCP, tcp)


def shape_udp(link: bytes, source: int, payload: bytes) -> Shape:
    """A UDP datagram."""
    return shape_packet(link, source, Transport.UDP, struct.pack("!HHHH", 0, 0, 8 + len(payload), 0) + payload)


def shape_packet(link: bytes, source: int, transport: Transport, body: bytes) -> Shape:
    """A packet with `body`, a transport header whose ports, sequence number and checksum are 0, and what follows it."""
    is_v4 = is_v4_number(source)
    packed = (source - V4_FIRST).to_bytes(4) if is_v4 else source.to_bytes(16)
    if is_v4:
        total = 20 + len(body)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, DONT_FRAGMENT, HOP_LIMIT, transport, 0, packed, bytes(4))
    else:
        ip = struct.pack("!IHBB16s16s", 6 << 28, len(body), transport, HOP_LIMIT, packed, bytes(16))
    return Shape(
        frame=np.frombuffer(link + ip + body, dtype=np.uint8),
        at=len(link),
        is_v4=is_v4,
        ip_sum=np.uint64(_sum_words(ip) if is_v4 else 0),
        sum=np.uint64(_sum_words(packed) + _sum_words(body) + transport + len(body)),
    )


def ethernet(target: bytes, source: bytes, source_address: int, vlan: int | None = None) -> bytes:
    """The header before an IP packet from `source_address`; with a VLAN tag (IEEE 802.1Q) where the device does not add it."""
    kind = ETH_IPV4 if is_v4_number(source_address) else ETH_IPV6
    tag = b"" if vlan is None else struct.pack("!HH", ETH_VLAN, vlan)
    return target + source + tag + struct.pack("!H", kind)


def is_v4_number(address: int) -> bool:
    return V4_FIRST <= address <= V4_LAST


def finish_sum(total: U64) -> U16:
    """The checksum that belongs to sums below 2^48: folded to 16 bits and turned round. Changes its argument."""
    for _ in range(3):
        carry = total >> _16
        total &= _LOW16
        total += carry
    return (~total).astype(np.uint16)


def _sum_words(data: bytes) -> int:
    return sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))


def _column(rows: U8, at: int, kind: str) -> NDArray[np.generic]:
    """One field of every row, most significant byte first; may be assigned to."""
    size = int(kind[2])
    column: NDArray[np.generic] = rows[:, at : at + size].view(kind)[:, 0]
    return column
