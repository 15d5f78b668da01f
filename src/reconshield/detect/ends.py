"""The addresses of many conversations, each once and in order, so that a question about a set is a question about a few ranges.

ends = Ends(conversations); ends.within(addresses)[ends.src]      which conversations began inside `addresses`
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet, parse_address, text_of

Array = NDArray[Any]
LOW = 2**64 - 1


class Addresses:
    """Different addresses, in order: their high and low halves."""

    def __init__(self, hi: Array, lo: Array) -> None:
        self.hi, self.lo = hi, lo
        self._texts: dict[int, str] = {}

    def __len__(self) -> int:
        return int(self.hi.size)

    def text(self, number: int) -> str:
        found = self._texts.get(number)
        if found is None:
            found = self._texts[number] = text_of(int(self.hi[number]) << 64 | int(self.lo[number]))
        return found

    def find(self, text: str) -> int | None:
        """The number of an address, None where no conversation has it."""
        address = parse_address(text)
        at = self._place(address)
        here = at < len(self) and (int(self.hi[at]) << 64 | int(self.lo[at])) == address
        return at if here else None

    def within(self, area: AddressSet) -> NDArray[np.bool_]:
        """Which of the addresses are in `area`."""
        found = np.zeros(len(self), bool)
        for first, last in area.ranges:
            found[self._place(first) : self._place(last + 1)] = True
        return found

    def _place(self, address: int) -> int:
        """How many of the addresses are lower than this one."""
        hi, lo = address >> 64, address & LOW
        if hi > LOW:
            return len(self)
        begin, end = (int(np.searchsorted(self.hi, np.uint64(hi), side=side)) for side in ("left", "right"))
        return begin + int(np.searchsorted(self.lo[begin:end], np.uint64(lo)))


class Ends(Addresses):
    """Different addresses in order; `src` and `dst` say which of them the two sides of each conversation are."""

    def __init__(self, conversations: Array) -> None:
        hi = np.concatenate([conversations["src_hi"], conversations["dst_hi"]])
        lo = np.concatenate([conversations["src_lo"], conversations["dst_lo"]])
        order = order_of(hi, lo)
        hi, lo = hi[order], lo[order]
        first = np.ones(order.size, bool)
        first[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
        number = np.empty(order.size, np.int64)
        number[order] = np.cumsum(first) - 1
        super().__init__(hi[first], lo[first])
        self.src, self.dst = number[: conversations.size], number[conversations.size :]


def order_of(hi: Array, lo: Array) -> NDArray[np.int64]:
    """The places of addresses in their order. Those of one family and network often share the high half."""
    return np.argsort(lo) if not hi.size or (hi == hi[0]).all() else np.lexsort([lo, hi])
