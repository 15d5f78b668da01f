"""UDP questions as packets, checked as a receiver checks them, and datagrams read back as columns."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.scan.batch import join_address, split_address
from reconshield.scan.packets import Asked, ethernet, shape_udp
from reconshield.scan.udp_replies import read_udp

MAC, OWN_MAC = bytes.fromhex("02aabbccddee"), bytes.fromhex("021122334455")


def number(text: str) -> int:
    return int(ip_address(text)) | (0xFFFF << 32 if "." in text else 0)


def build(
    payload: bytes, source: str, *goals: tuple[str, int, int], link: bytes = b"", mac: bytes | None = None
) -> list[bytes]:
    """One packet for each goal: address, port, our port."""
    hi, lo = np.array([split_address(number(address)) for address, _, _ in goals], dtype=np.uint64).T
    port, port_from = np.array([(port, own) for _, port, own in goals], dtype=np.uint16).T
    shape = shape_udp(link, number(source), payload)
    rows = np.empty((len(goals), shape.frame.size), dtype=np.uint8)
    rows[:] = shape.frame
    macs = None if mac is None else np.frombuffer(mac * len(goals), dtype=np.uint8).reshape(-1, 6)
    shape.fill_udp(rows, Asked(hi, lo, port, port_from, np.zeros(len(goals), dtype=np.uint32), macs))
    return [row.tobytes() for row in rows]


def add_up(data: bytes) -> int:
    """The one's complement sum of 16-bit words (RFC 1071), word by word."""
    data += b"\0" * (len(data) % 2)
    total = 0
    for (word,) in struct.iter_unpack("!H", data):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def check(packet: bytes, source: str, target: str, port: int, port_from: int, payload: bytes) -> None:
    """A receiver's checks, by the RFCs."""
    if "." in source:
        assert packet[0] == 0x45
        assert int.from_bytes(packet[2:4]) == len(packet)
        assert add_up(packet[:20]) == 0xFFFF
        assert (packet[8], packet[9]) == (64, 17)
        assert (packet[12:16], packet[16:20]) == (ip_address(source).packed, ip_address(target).packed)
        pseudo, udp = packet[12:20] + struct.pack("!HH", 17, len(packet) - 20), packet[20:]
    else:
        assert packet[0] >> 4 == 6
        assert int.from_bytes(packet[4:6]) == len(packet) - 40
        assert (packet[6], packet[7]) == (17, 64)
        assert (packet[8:24], packet[24:40]) == (ip_address(source).packed, ip_address(target).packed)
        pseudo, udp = packet[8:40] + struct.pack("!II", len(packet) - 40, 17), packet[40:]
    assert struct.unpack("!HHH", udp[:6]) == (port_from, port, len(udp))
    assert udp[6:8] != b"\0\0"
    assert add_up(pseudo + udp) == 0xFFFF
    assert udp[8:] == payload


addresses4 = st.integers(0, 2**32 - 1).map(lambda n: str(ip_address(n)))
addresses6 = st.integers(2**64, 2**128 - 1).map(lambda n: str(ip_address(n)))
goals4 = st.lists(st.tuples(addresses4, st.integers(1, 65535), st.integers(1, 65535)), min_size=1, max_size=5)
goals6 = st.lists(st.tuples(addresses6, st.integers(1, 65535), st.integers(1, 65535)), min_size=1, max_size=5)


@given(st.one_of(st.tuples(addresses4, goals4), st.tuples(addresses6, goals6)), st.binary(max_size=1400))
def test_packets_pass_a_receivers_checks(both: tuple[str, list[tuple[str, int, int]]], payload: bytes) -> None:
    source, goals = both
    for packet, (target, port, port_from) in zip(build(payload, source, *goals), goals, strict=True):
        check(packet, source, target, port, port_from, payload)


@pytest.mark.parametrize("source", ["10.1.2.3", "fd00::3"])
def test_a_link_layer_header_stands_before(source: str) -> None:
    target = "10.1.2.4" if "." in source else "fd00::4"
    link = ethernet(bytes(6), OWN_MAC, number(source))
    [bare], [frame] = (
        build(b"hello", source, (target, 53, 40_000), link=before, mac=mac) for before, mac in ((b"", None), (link, MAC))
    )
    assert frame[:14] == MAC + OWN_MAC + (b"\x08\x00" if "." in source else b"\x86\xdd")
    assert frame[14:] == bare


def rows(*packets: bytes, width: int = 128) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.uint8]], list[int]]:
    matrix = np.zeros((len(packets), width), dtype=np.uint8)
    for at, packet in enumerate(packets):
        cut = packet[:width]
        matrix[at, : len(cut)] = np.frombuffer(cut, dtype=np.uint8)
    return matrix, [len(packet) for packet in packets]


def test_answers_are_read_back() -> None:
    [four] = build(b"answer", "10.1.2.4", ("10.1.2.3", 40_000, 53))
    [six] = build(b"", "fd00::4", ("fd00::3", 40_001, 161))
    longer = bytes([0x46, *four[1:20], 1, 1, 1, 1]) + four[20:]  # with an option
    fragment = four[:6] + b"\x00\x05" + four[8:]
    first = four[:6] + b"\x20\x00" + four[8:]
    matrix, lengths = rows(four, six, longer, fragment, first, four[:27], six[:47], b"", four[:9] + b"\x06" + four[10:])
    found = read_udp(matrix, np.array(lengths))
    assert found["port"].tolist() == [53, 53, 53, 161]
    assert found["port_to"].tolist() == [40_000] * 3 + [40_001]
    assert [join_address(one["hi"], one["lo"]) for one in found] == [number("10.1.2.4")] * 3 + [number("fd00::4")]
    assert found["row"].tolist() == [0, 2, 4, 1]
    assert found["ttl"].tolist() == [64] * 4


@given(st.integers(0, 2**32), st.integers(0, 140))
def test_noise_is_read_without_an_error(seed: int, length: int) -> None:
    chance = random.Random(seed)
    noise = [bytes([chance.choice([0x45, 0x4F, 0x40, 0x60]), *chance.randbytes(length)])[:length] for _ in range(4)]
    read_udp(*(np.asarray(part) for part in rows(*noise)))
