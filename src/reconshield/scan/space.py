"""Sets of addresses and ports as numbered rows: the n-th member, and the number of a member, for whole arrays at once.

A set of ranges is numbered from 0 in ascending order without listing it; the tables hold one row per range. This is what lets a
`plan` treat a pair of address and port as one number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, PortSet
from reconshield.model import Transport
from reconshield.scan.batch import split_address

V4_FIRST = 0xFFFF_0000_0000
V4_LAST = 0xFFFF_FFFF_FFFF

U64 = NDArray[np.uint64]


class AddressSpace:
    """The addresses of a set, numbered from 0. The set must have fewer than 2^63 members."""

    __slots__ = ("_hi", "_lo", "_size", "_starts", "count_v6")

    def __init__(self, addresses: AddressSet) -> None:
        sizes = [last - first + 1 for first, last in addresses.ranges]
        firsts = [split_address(first) for first, _ in addresses.ranges]
        self._hi = np.array([hi for hi, _ in firsts], dtype=np.uint64)
        self._lo = np.array([lo for _, lo in firsts], dtype=np.uint64)
        self._size = np.array(sizes, dtype=np.uint64)
        ends = np.cumsum(self._size, dtype=np.uint64)
        self._starts = ends - self._size
        self.count_v6 = addresses.count - (addresses & AddressSet(((V4_FIRST, V4_LAST),))).count

    def at(self, numbers: U64) -> tuple[U64, U64]:
        """The high and low halves of the addresses with these numbers."""
        if self._starts.size == 1:
            hi, lo = self._hi[0], self._lo[0] + numbers
            first = self._lo[0]
        else:
            row = np.searchsorted(self._starts, numbers, side="right") - 1
            hi, first = self._hi[row], self._lo[row]
            lo = first + (numbers - self._starts[row])
        return hi + (lo < first).astype(np.uint64), lo

    def find(self, hi: U64, lo: U64) -> NDArray[np.int64]:
        """The number of each address; -1 if it is not in the set."""
        if not self._starts.size:
            return np.full(hi.shape, -1, dtype=np.int64)
        row = self._row_of(hi, lo)
        first_lo = self._lo[row]
        offset = lo - first_lo
        # The distance fits 64 bits when the high halves agree, or differ by the carry of the low halves.
        near = (hi - self._hi[row]) == (lo < first_lo)
        inside = near & (offset < self._size[row])
        numbers = (self._starts[row] + offset).astype(np.int64)
        return np.where(inside, numbers, np.int64(-1))

    def _row_of(self, hi: U64, lo: U64) -> NDArray[np.intp]:
        """The last range that starts at or before each address (row 0 for those before all): bisection of whole columns."""
        below = np.zeros(hi.shape, dtype=np.intp)
        if self._hi.size == 1:
            return below
        above = np.full(hi.shape, self._hi.size, dtype=np.intp)
        for _ in range(self._hi.size.bit_length()):
            middle = (below + above) // 2
            starts_hi, starts_lo = self._hi[middle], self._lo[middle]
            reached = (starts_hi < hi) | ((starts_hi == hi) & (starts_lo <= lo))
            below = np.where(reached, middle, below)
            above = np.where(reached, above, np.maximum(middle, below + 1))
        return below


class PortSpace:
    """The TCP ports of a set, then its UDP ports, numbered from 0: two tables of at most 131,072 rows."""

    __slots__ = ("_number", "_port", "_transport")

    def __init__(self, ports: PortSet) -> None:
        columns = [_list_ports(ports.tcp, Transport.TCP), _list_ports(ports.udp, Transport.UDP)]
        self._port = np.concatenate([port for port, _ in columns])
        self._transport = np.concatenate([transport for _, transport in columns])
        self._number = np.full(2 * 65536, -1, dtype=np.int64)
        self._number[_row_of_port(self._port, self._transport)] = np.arange(self._port.size)

    def at(self, numbers: U64) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
        """The ports and IP protocol numbers with these numbers."""
        return self._port[numbers], self._transport[numbers]

    def find(self, port: NDArray[np.uint16], transport: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The number of each port; -1 if it is not in the set."""
        known = (transport == Transport.TCP) | (transport == Transport.UDP)
        numbers: NDArray[np.int64] = np.where(known, self._number[_row_of_port(port, transport)], np.int64(-1))
        return numbers


def _list_ports(ranges: tuple[tuple[int, int], ...], transport: Transport) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    parts = [np.arange(first, last + 1, dtype=np.uint16) for first, last in ranges]
    port = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint16)
    return port, np.full(port.size, transport, dtype=np.uint8)


def _row_of_port(port: NDArray[np.uint16], transport: NDArray[np.uint8]) -> NDArray[np.int64]:
    return port.astype(np.int64) + np.where(transport == Transport.UDP, np.int64(65536), np.int64(0))
