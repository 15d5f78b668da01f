"""Packets byte by byte, and their checksums against a slow reference."""

from __future__ import annotations

import socket
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.addresses import parse_address
from reconshield.scan.batch import split_address
from reconshield.scan.packets import Asked, Shape, ethernet, shape_reset, shape_syn

OUR_MAC, NEXT_HOP = bytes.fromhex("020000000001"), bytes.fromhex("0200000000fe")
V4, V6 = parse_address("192.0.2.1"), parse_address("2001:db8::1")


def make(shape: Shape, target: str, port: int, port_from: int, sequence: int, mac: bytes | None = None) -> bytes:
    """One packet."""
    hi, lo = split_address(parse_address(target))
    asked = Asked(
        np.array([hi], dtype=np.uint64),
        np.array([lo], dtype=np.uint64),
        np.array([port], dtype=np.uint16),
        np.array([port_from], dtype=np.uint16),
        np.array([sequence], dtype=np.uint32),
        None if mac is None else np.frombuffer(mac, dtype=np.uint8).reshape(1, 6),
    )
    rows = np.zeros((1, 128), dtype=np.uint8)
    rows[:, : shape.frame.size] = shape.frame
    shape.fill(rows, asked)
    return rows[0, : shape.frame.size].tobytes()


def slow_sum(data: bytes) -> int:
    """RFC 1071 §1, word by word; 0 for a header or packet whose checksum is right."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def is_right_v4(packet: bytes) -> bool:
    pseudo = packet[12:20] + struct.pack("!HH", 6, len(packet) - 20)
    return slow_sum(packet[:20]) == 0 and slow_sum(pseudo + packet[20:]) == 0


def is_right_v6(packet: bytes) -> bool:
    pseudo = packet[8:40] + struct.pack("!II", len(packet) - 40, 6)
    return slow_sum(pseudo + packet[40:]) == 0


def test_syn_over_ethernet_byte_by_byte() -> None:
    shape = shape_syn(ethernet(bytes(6), OUR_MAC, V4), V4)
    frame = make(shape, "198.51.100.7", 110, 61_440, 0x01020304, NEXT_HOP)
    assert frame[:14] == NEXT_HOP + OUR_MAC + bytes.fromhex("0800")
    assert frame[14:24] == bytes.fromhex("45 00 002c 0000 4000 40 06")
    assert frame[26:34] == socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.7")
    assert frame[34:50] == bytes.fromhex("f000 006e 01020304 00000000 60 02 faf0")
    assert frame[52:] == bytes.fromhex("0000 020405b4")
    assert is_right_v4(frame[14:])


def test_syn_with_a_vlan_tag_and_without_a_link_header() -> None:
    tagged = make(shape_syn(ethernet(bytes(6), OUR_MAC, V6, vlan=100), V6), "2001:db8::7", 22, 61_000, 5, NEXT_HOP)
    assert tagged[:18] == NEXT_HOP + OUR_MAC + bytes.fromhex("8100 0064 86dd")
    bare = make(shape_syn(b"", V6), "2001:db8::7", 22, 61_000, 5)
    assert bare == tagged[18:]
    assert bare[:8] == bytes.fromhex("60000000 0018 06 40")
    assert bare[8:40] == socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    assert bare[-4:] == bytes.fromhex("020405a0")
    assert is_right_v6(bare)


def test_reset_carries_the_number_that_the_other_side_expects() -> None:
    packet = make(shape_reset(b"", V4), "198.51.100.7", 80, 61_000, 0xFFFFFFFF)
    assert len(packet) == 40
    assert packet[20:36] == bytes.fromhex("ee48 0050 ffffffff 00000000 50 04 0000")
    assert is_right_v4(packet)


@given(
    source=st.integers(0, 2**32 - 1),
    target=st.integers(0, 2**32 - 1),
    port=st.integers(0, 65535),
    port_from=st.integers(0, 65535),
    sequence=st.integers(0, 2**32 - 1),
)
def test_checksums_v4(source: int, target: int, port: int, port_from: int, sequence: int) -> None:
    shape = shape_syn(b"", 0xFFFF << 32 | source)
    assert is_right_v4(make(shape, str(target_text(target)), port, port_from, sequence))


def target_text(number: int) -> str:
    return socket.inet_ntoa(number.to_bytes(4))


@given(
    source=st.binary(min_size=16, max_size=16),
    target=st.binary(min_size=16, max_size=16),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    sequence=st.integers(0, 2**32 - 1),
)
def test_checksums_v6(source: bytes, target: bytes, ports: tuple[int, int], sequence: int) -> None:
    if source[:12] == bytes(10) + b"\xff\xff" or target[:12] == bytes(10) + b"\xff\xff":
        return  # IPv4-mapped: never on the wire as IPv6
    shape = shape_syn(b"", int.from_bytes(source))
    packet = make(shape, socket.inet_ntop(socket.AF_INET6, target), *ports, sequence)
    assert is_right_v6(packet)


def test_many_packets_at_once_are_the_same_as_one_by_one() -> None:
    shape = shape_syn(ethernet(bytes(6), OUR_MAC, V4), V4)
    size = 300
    random = np.random.default_rng(7)
    lo = np.uint64(0xFFFF << 32) | random.integers(0, 2**32, size, dtype=np.uint64)
    port, port_from = (random.integers(0, 65536, size).astype(np.uint16) for _ in range(2))
    sequence = random.integers(0, 2**32, size).astype(np.uint32)
    rows = np.zeros((size, 128), dtype=np.uint8)
    rows[:, : shape.frame.size] = shape.frame
    mac = np.broadcast_to(np.frombuffer(NEXT_HOP, dtype=np.uint8), (size, 6))
    shape.fill(rows, Asked(np.zeros(size, dtype=np.uint64), lo, port, port_from, sequence, mac))
    for at in range(size):
        one = make(shape, target_text(int(lo[at]) & 0xFFFFFFFF), int(port[at]), int(port_from[at]), int(sequence[at]), NEXT_HOP)
        assert rows[at, : shape.frame.size].tobytes() == one


@pytest.mark.parametrize("vlan", [None, 5])
def test_the_header_of_a_frame_names_the_family(vlan: int | None) -> None:
    assert ethernet(NEXT_HOP, OUR_MAC, V4, vlan)[-2:] == b"\x08\x00"
    assert ethernet(NEXT_HOP, OUR_MAC, V6, vlan)[-2:] == b"\x86\xdd"
