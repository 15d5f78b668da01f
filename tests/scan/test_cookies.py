"""SipHash against its published vector and a slow reference; ports and attempts there and back."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconshield.scan.cookies import Cookies, SourcePorts, sequences, siphash
from reconshield.scan.source_ports import choose_source_ports

MASK = 2**64 - 1
KEY = bytes(range(16))


def slow_siphash(key: bytes, message: bytes, rounds: int = 1, final: int = 3) -> int:
    """SipHash as its paper writes it (Aumasson and Bernstein 2012, §2), one number at a time."""
    k0, k1 = struct.unpack("<QQ", key)
    v: list[int] = [0x736F6D6570736575 ^ k0, 0x646F72616E646F6D ^ k1, 0x6C7967656E657261 ^ k0, 0x7465646279746573 ^ k1]

    def turn(value: int, bits: int) -> int:
        return (value << bits | value >> (64 - bits)) & MASK

    def mix() -> None:
        v[0] = (v[0] + v[1]) & MASK
        v[2] = (v[2] + v[3]) & MASK
        v[1], v[3] = turn(v[1], 13) ^ v[0], turn(v[3], 16) ^ v[2]
        v[0] = turn(v[0], 32)
        v[2] = (v[2] + v[1]) & MASK
        v[0] = (v[0] + v[3]) & MASK
        v[1], v[3] = turn(v[1], 17) ^ v[2], turn(v[3], 21) ^ v[0]
        v[2] = turn(v[2], 32)

    padded = message + bytes(7 - len(message) % 8) + bytes([len(message) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        for _ in range(rounds):
            mix()
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(final):
        mix()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def test_the_reference_gives_the_published_vector() -> None:
    """SipHash-2-4 of the bytes 0 to 14 under the key 0 to 15 (the paper's appendix A)."""
    assert slow_siphash(KEY, bytes(range(15)), 2, 4) == 0xA129CA6149BE45E5


@given(st.binary(min_size=16, max_size=16), st.lists(st.binary(min_size=7, max_size=7), min_size=1, max_size=20))
def test_short_messages(key: bytes, messages: list[bytes]) -> None:
    words = np.array([int.from_bytes(m, "little") | 7 << 56 for m in messages], dtype=np.uint64)
    assert siphash(key, [words]).tolist() == [slow_siphash(key, message) for message in messages]


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_the_message_of_an_ipv4_endpoint(address: int, port: int) -> None:
    cookies = Cookies(KEY)
    lo = np.array([0xFFFF << 32 | address], dtype=np.uint64)
    found = cookies.of(np.zeros(1, dtype=np.uint64), lo, np.array([port], dtype=np.uint16), 6, is_v4=True)
    assert found.tolist() == [slow_siphash(KEY, struct.pack("<IHB", address, port, 6))]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 65535))
def test_the_message_of_an_ipv6_endpoint(hi: int, lo: int, port: int) -> None:
    columns = np.array([hi], dtype=np.uint64), np.array([lo], dtype=np.uint64)
    found = Cookies(KEY).of(*columns, np.array([port], dtype=np.uint16), 17, is_v4=False)
    assert found.tolist() == [slow_siphash(KEY, struct.pack("<QQHB", hi, lo, port, 17))]


def test_more_than_a_chunk() -> None:
    words = np.arange(20_000, dtype=np.uint64) | np.uint64(7 << 56)
    found = siphash(KEY, [words])
    for at in (0, 8191, 8192, 19_999):
        assert int(found[at]) == slow_siphash(KEY, at.to_bytes(7, "little"))
    assert len(set(sequences(found).tolist())) > 19_990


@given(st.integers(0, 2**64 - 1), st.integers(0, 15))
def test_an_attempt_is_told_by_its_port(number: int, attempt: int) -> None:
    sources = SourcePorts(np.arange(61_000, 61_064, dtype=np.uint16))
    hashes = np.array([number], dtype=np.uint64)
    port = sources.choose(hashes, np.array([attempt], dtype=np.uint8))
    assert sources.attempt_of(hashes, port).tolist() == [attempt]


def test_foreign_ports_are_no_attempt() -> None:
    sources = SourcePorts(np.arange(61_000, 61_016, dtype=np.uint16))
    assert sources.attempt_of(np.zeros(2, dtype=np.uint64), np.array([80, 61_016], dtype=np.uint16)).tolist() == [-1, -1]


@pytest.mark.parametrize("size", [8, 17, 100])
def test_odd_tables_of_ports_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        SourcePorts(np.arange(1024, 1024 + size, dtype=np.uint16))


def test_source_ports_avoid_the_kernels_range_and_those_in_use() -> None:
    sources = choose_source_ports({65_000, 65_535}, (32_768, 60_999))
    assert sources.table.size == 4096
    assert sources.first > 60_999
    assert not {65_000, 65_535} & set(sources.table.tolist())


def test_source_ports_below_where_the_range_reaches_the_top() -> None:
    assert choose_source_ports((), (10_000, 65_535)).last == 9_999


def test_source_ports_within_the_range_where_it_is_everything() -> None:
    assert choose_source_ports((), (1024, 65_535)).table.size == 4096
