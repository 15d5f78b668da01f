"""The cookies of a scan: what a packet carries so that its answer can be known without remembering that it was asked.

    hash = SipHash-1-3(key of the scan, address, port, transport)
    sequence number = its low half; source port = one of ours, chosen by its high half and how often the endpoint was asked

A SYN-ACK or RST acknowledges the sequence number and comes to the source port, an ICMP error quotes both. Who does not see
our packets must guess 32 bits for each endpoint, so a forged or stray packet is never a result; and an answer says which of
several attempts it belongs to, so round trips and losses are counted exactly.

SipHash is a keyed hash made for this purpose (Aumasson and Bernstein 2012); one round a word and three at the end, as in the
hash tables of Rust and Python. Here it works on whole columns. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reconshield.scan.order import CHUNK
from reconshield.scan.space import U64

U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]

KEY_BYTES = 16
LEAST_PORTS = 16
"""Source ports at least: an attempt is told by them, and there are fewer than 16 attempts."""

_CONSTANTS = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_LOW32 = np.uint64(0xFFFF_FFFF)
_16, _32, _48, _56 = (np.uint64(bits) for bits in (16, 32, 48, 56))
_V4_LENGTH, _V6_LENGTH = np.uint64(7 << 56), np.uint64(19 << 56)


@dataclass(frozen=True, slots=True)
class Cookies:
    """The secret of one scan: 16 random bytes."""

    key: bytes = field(repr=False)

    def of(self, hi: U64, lo: U64, port: U16, transport: int, *, is_v4: bool) -> U64:
        """The hash of each endpoint. All are of one family; of an IPv4 address only the four bytes count."""
        last = port.astype(np.uint64)
        if is_v4:
            last <<= _32
            last |= lo & _LOW32
            last |= np.uint64(transport << 48) | _V4_LENGTH
            return siphash(self.key, [last])
        last |= np.uint64(transport << 16) | _V6_LENGTH
        return siphash(self.key, [hi, lo, last])


@dataclass(frozen=True, slots=True, eq=False)
class SourcePorts:
    """Our ports, a power of two of them, as a table and its inverse."""

    table: U16
    _place: NDArray[np.int32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = self.table.size
        if size < LEAST_PORTS or size & (size - 1):
            raise ValueError(f"{size} source ports are not a power of two from {LEAST_PORTS} on")
        place = np.full(65536, -1, dtype=np.int32)
        place[self.table] = np.arange(size, dtype=np.int32)
        object.__setattr__(self, "_place", place)

    @property
    def first(self) -> int:
        return int(self.table.min())

    @property
    def last(self) -> int:
        return int(self.table.max())

    def choose(self, hashes: U64, attempt: NDArray[np.uint8]) -> U16:
        """The source port of each endpoint's attempt with this number."""
        place = hashes >> _32
        place += attempt
        place &= np.uint64(self.table.size - 1)
        chosen: U16 = self.table[place]
        return chosen

    def attempt_of(self, hashes: U64, port: U16) -> NDArray[np.int32]:
        """The number of the attempt to which an answer came at this port of ours; -1 for a port that is none of ours."""
        place = self._place[port]
        began = (hashes >> _32).astype(np.int32) & (self.table.size - 1)
        return np.where(place < 0, np.int32(-1), (place - began) & np.int32(self.table.size - 1))


def sequences(hashes: U64) -> U32:
    """The sequence number of each endpoint."""
    return hashes.astype(np.uint32)


def siphash(key: bytes, words: list[U64]) -> U64:
    """SipHash-1-3 of messages given as columns of words. The last word has the length in its top byte, as the padding has."""
    first, second = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:KEY_BYTES], "little")
    start = [np.uint64(c ^ k) for c, k in zip(_CONSTANTS, (first, second, first, second), strict=True)]
    result = np.empty(words[0].size, dtype=np.uint64)
    for at in range(0, result.size, CHUNK):
        part = [word[at : at + CHUNK] for word in words]
        result[at : at + CHUNK] = _siphash(start, part)
    return result


def _siphash(start: list[np.uint64], words: list[U64]) -> U64:
    size = words[0].size
    v0, v1, v2, v3 = (np.full(size, value, dtype=np.uint64) for value in start)
    spare = np.empty(size, dtype=np.uint64)
    for word in words:
        v3 ^= word
        _mix(v0, v1, v2, v3, spare)
        v0 ^= word
    v2 ^= np.uint64(0xFF)
    for _ in range(3):
        _mix(v0, v1, v2, v3, spare)
    v0 ^= v1
    v0 ^= v2
    v0 ^= v3
    return v0


def _mix(v0: U64, v1: U64, v2: U64, v3: U64, spare: U64) -> None:
    """One SipRound, in place."""
    v0 += v1
    v2 += v3
    _rotate(v1, 13, spare)
    _rotate(v3, 16, spare)
    v1 ^= v0
    v3 ^= v2
    _rotate(v0, 32, spare)
    v2 += v1
    v0 += v3
    _rotate(v1, 17, spare)
    _rotate(v3, 21, spare)
    v1 ^= v2
    v3 ^= v0
    _rotate(v2, 32, spare)


def _rotate(value: U64, bits: int, spare: U64) -> None:
    np.right_shift(value, np.uint64(64 - bits), out=spare)
    np.left_shift(value, np.uint64(bits), out=value)
    value |= spare
