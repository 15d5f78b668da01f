"""The bytes of address resolution: ARP requests and replies, neighbour solicitations and advertisements. Pure.

Packets begin behind the link-layer header, which the kernel adds and takes off. Addresses are 128-bit numbers, IPv4 v4-mapped.
RFC 826, RFC 4861 §4.
"""

from __future__ import annotations

import struct

from reconshield.scan.space import V4_FIRST

ETH_ARP, ETH_IPV6 = 0x0806, 0x86DD
SOLICITATION, ADVERTISEMENT, ICMP6 = 135, 136, 58
NO_MAC = bytes(6)
ARP = struct.Struct("!HHBBH6s4s6s4s")
ETHERNET_IPV4 = (1, 0x0800, 6, 4)
"""Kinds of hardware and protocol, and the sizes of their addresses."""
REQUEST, REPLY = 1, 2
SOURCE_OPTION, TARGET_OPTION = 1, 2


def ask_arp(target: int, source: int, mac: bytes) -> bytes:
    """An ARP packet that asks everybody who has `target`."""
    return ARP.pack(*ETHERNET_IPV4, REQUEST, mac, source.to_bytes(16)[12:], NO_MAC, target.to_bytes(16)[12:])


def solicit(target: int, source: int, mac: bytes) -> bytes:
    """An IPv6 packet that asks for the link-layer address of `target`, to its solicited-node group (RFC 4861 §4.3)."""
    group = bytes.fromhex("ff0200000000000000000001ff") + target.to_bytes(16)[13:]
    body = struct.pack("!BBHI", SOLICITATION, 0, 0, 0) + target.to_bytes(16) + bytes([SOURCE_OPTION, 1]) + mac
    pseudo = source.to_bytes(16) + group + struct.pack("!II", len(body), ICMP6) + body
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~(total + (total >> 16)) & 0xFFFF
    header = struct.pack("!IHBB", 6 << 28, len(body), ICMP6, 255) + source.to_bytes(16) + group
    return header + body[:2] + struct.pack("!H", total) + body[4:]


def read_arp(frame: bytes) -> tuple[int, bytes] | None:
    """The sender of an ARP reply for IPv4 over Ethernet; None for anything else."""
    if len(frame) < ARP.size:
        return None
    hardware, protocol, size, length, operation, mac, address, _, _ = ARP.unpack_from(frame)
    if (hardware, protocol, size, length, operation) != (*ETHERNET_IPV4, REPLY):
        return None
    return V4_FIRST | int.from_bytes(address), mac


def read_advertisement(frame: bytes) -> tuple[int, bytes] | None:
    """The target and link-layer address of a neighbour advertisement (RFC 4861 §7.1.2); None for anything else.

    The hop limit of 255 shows that it comes from this link.
    """
    if len(frame) < 72 or frame[0] >> 4 != 6 or frame[6] != ICMP6 or frame[7] != 255 or frame[40] != ADVERTISEMENT or frame[41]:
        return None
    at, end = 64, min(len(frame), 40 + int.from_bytes(frame[4:6]))
    while at + 8 <= end and frame[at + 1]:
        if frame[at] == TARGET_OPTION and frame[at + 1] == 1:
            return int.from_bytes(frame[48:64]), frame[at + 2 : at + 8]
        at += 8 * frame[at + 1]
    return None
