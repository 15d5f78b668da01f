"""Which zone an address belongs to: the most specific one, `wan` if none.

Zones may lie inside each other; two that overlap in part, or that are equal somewhere, have no most specific one there and are
refused (`find_overlaps`). The rest is painting: the address space is cut where any target begins or ends, the widest target
paints its pieces first, and narrower ones paint over it. A look-up is a binary search in the cuts.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconshield.addresses import AddressSet

NONE = -1


@dataclass(frozen=True, slots=True)
class ZoneMap:
    """`starts[i]` begins a piece of the address space that belongs to zone number `owners[i]` (-1: to none)."""

    starts: tuple[int, ...] = ()
    owners: tuple[int, ...] = ()

    def find(self, address: int) -> int:
        """The number of the zone of an address, -1 for none."""
        at = bisect_right(self.starts, address) - 1
        return self.owners[at] if at >= 0 else NONE

    def area_of(self, number: int) -> AddressSet:
        """The addresses that belong to a zone, without those of zones inside it."""
        ends = (*self.starts[1:], 0)  # the last piece belongs to nobody
        pieces = zip(self.starts, ends, self.owners, strict=True)
        return AddressSet(tuple((first, following - 1) for first, following, owner in pieces if owner == number))


def map_zones(areas: Sequence[AddressSet]) -> ZoneMap:
    """Paint zones, given by number, widest target first."""
    ranges = [(first, last, number) for number, area in enumerate(areas) for first, last in area.ranges]
    starts = sorted({bound for first, last, _ in ranges for bound in (first, last + 1)})
    owners = [NONE] * len(starts)
    for first, last, number in sorted(ranges, key=lambda found: found[0] - found[1]):
        begin, end = bisect_left(starts, first), bisect_left(starts, last + 1)
        owners[begin:end] = [number] * (end - begin)
    return ZoneMap(tuple(starts), tuple(owners))


def find_overlaps(areas: Sequence[AddressSet]) -> Iterator[tuple[int, int, AddressSet]]:
    """Pairs of zones (earlier number first) that are equal or overlap in part, once each, with what they share first."""
    told: set[tuple[int, int]] = set()
    ranges = [(first, last, number) for number, area in enumerate(areas) for first, last in area.ranges]
    around: list[tuple[int, int, int]] = []
    for first, last, number in sorted(ranges, key=lambda found: (found[0], -found[1])):
        while around and around[-1][1] < first:
            around.pop()
        if around:
            outer_first, outer_last, outer = around[-1]
            pair = (min(outer, number), max(outer, number))
            if ((outer_first, outer_last) == (first, last) or outer_last < last) and pair not in told:
                told.add(pair)
                yield *pair, AddressSet(((first, min(last, outer_last)),))
        around.append((first, last, number))
