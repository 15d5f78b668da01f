"""Sets of whole numbers as sorted, merged, inclusive ranges: the arithmetic under addresses and ports.

Every function takes and returns a tuple of `(first, last)` pairs in ascending order that neither overlap nor touch; only
`merge` accepts any order. The cost grows with the number of ranges, never with the numbers in them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def merge(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sort and join what overlaps or touches. A pair whose end precedes its start is a `ValueError`."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if last < first:
            raise ValueError(f"reversed range {first}-{last}")
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def intersect(left: Ranges, right: Ranges) -> Ranges:
    """What is in both. A short operand beside a long one costs only the part where they meet."""
    if not left or not right:
        return ()
    common: list[tuple[int, int]] = []
    i, j = first_reaching(left, right[0][0]), first_reaching(right, left[0][0])
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            common.append((first, last))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(common)


def subtract(left: Ranges, right: Ranges) -> Ranges:
    """What is in `left` and not in `right`."""
    kept: list[tuple[int, int]] = []
    j = 0
    for start, last in left:
        first = start
        while j < len(right) and right[j][1] < first:
            j += 1
        k = j
        while k < len(right) and right[k][0] <= last:
            if right[k][0] > first:
                kept.append((first, right[k][0] - 1))
            first = right[k][1] + 1
            k += 1
        if first <= last:
            kept.append((first, last))
    return tuple(kept)


def first_reaching(ranges: Ranges, number: int) -> int:
    """The index of the first range that ends at `number` or later."""
    return bisect_left(ranges, number, key=lambda pair: pair[1])


def count(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)


def contains(ranges: Ranges, number: int) -> bool:
    at = bisect_right(ranges, number, key=lambda pair: pair[0]) - 1
    return at >= 0 and number <= ranges[at][1]
