"""Arrays of endpoints, a million at a time: keys to compare and sort them by, and which addresses lie between which bounds.

An array has the columns `hi` and `lo` (the two halves of an address, IPv4 v4-mapped), `port` and `transport` (IP protocol
number), as observations do. Not imported with the package, for NumPy is slow to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
HALF = 1 << 64


def endpoint_keys(*arrays: Array) -> tuple[Array, ...]:
    """One sortable 64-bit number an endpoint, equal in all arrays for equal endpoints.

    40 bits stand for the address, 16 for the port, 8 for the transport. An IPv4 address is its own number; IPv6 addresses are
    numbered above them, by rank among all that occur.
    """
    hi, lo = (np.concatenate([array[name] for array in arrays]) for name in ("hi", "lo"))
    number = lo & np.uint64(0xFFFFFFFF)
    wide = (hi != 0) | (lo >> np.uint64(32) != 0xFFFF)
    if wide.any():
        number[wide] = rank_pairs(hi[wide], lo[wide]) + np.uint64(1 << 32)
    keys = number << np.uint64(24)
    for name, shift in (("port", 8), ("transport", 0)):
        keys |= np.concatenate([array[name] for array in arrays]).astype(np.uint64) << np.uint64(shift)
    return tuple(np.split(keys, np.cumsum([len(array) for array in arrays])[:-1]))


def rank_pairs(hi: Array, lo: Array) -> Array:
    """For each pair of halves the number of different smaller pairs."""
    order = np.lexsort([lo, hi])
    steps = np.zeros(len(order), np.uint64)
    steps[1:] = (np.diff(hi[order]) != 0) | (np.diff(lo[order]) != 0)
    ranks = np.empty_like(steps)
    ranks[order] = np.cumsum(steps)
    return ranks


def find_keys(keys: Array, among: Array) -> Array:
    """For each key its place in the sorted `among`, -1 for none."""
    if len(among) == 0:
        return np.full(len(keys), -1)
    at = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    return np.where(among[at] == keys, at, -1)


def count_bounds(bounds: Sequence[int], hi: Array, lo: Array) -> Array:
    """For each address how many of the sorted bounds are not above it: the number of the piece that it lies in."""
    low = np.array([bound for bound in bounds if bound < HALF], np.uint64)
    counts = np.searchsorted(low, lo, side="right")
    wide = hi != 0
    if wide.any():
        high = [divmod(bound, HALF) for bound in bounds if HALF <= bound < HALF * HALF]  # 2^128 is above every address
        first = np.concatenate([np.array([pair[0] for pair in high], np.uint64), hi[wide]])
        second = np.concatenate([np.array([pair[1] for pair in high], np.uint64), lo[wide]])
        is_row = np.arange(len(first)) >= len(high)
        order = np.lexsort([is_row, second, first])  # a bound stands before an address that equals it
        passed = np.empty(len(first), np.int64)
        passed[order] = np.cumsum(~is_row[order])
        counts[wide] = len(low) + passed[len(high) :]
    return counts
