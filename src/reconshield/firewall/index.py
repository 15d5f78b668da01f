"""Which steps of a long chain can concern a region at all, without looking at each of them.

One bit stands for one step. For each indexed field the number line is cut where a step's ranges begin or end, and between two
cuts the set of steps that match is one integer; so the candidates of a region are the AND of a few integers. Only every 64th
integer is kept, those between are made from it by flipping the bits that change, and what begins or ends within a range is
kept for blocks of 64 cuts; so the memory grows as steps × steps / 128 bytes: 800 kB for 10,000 steps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from reconshield.addresses.intervals import Ranges
from reconshield.firewall.regions import Region
from reconshield.firewall.ruleset import Box, Field, everything

FIELDS = (Field.PROTOCOL, Field.PORT, Field.SOURCE, Field.DESTINATION)
KEPT = 64
"""Every so manieth integer is kept."""


class Axis:
    """The steps along one field."""

    def __init__(self, field: Field, boxes: Sequence[Box]) -> None:
        self.everything = everything(field)
        self.free = 0
        cuts: list[tuple[int, int]] = []
        for at, box in enumerate(boxes):
            ranges = next((ranges for own, ranges in box if own is field), None)
            if ranges is None:
                self.free |= 1 << at
                continue
            for first, last in ranges:
                cuts += [(first, at), (last + 1, at)]
        cuts.sort()
        self.places = [place for place, _ in cuts]
        self.steps = [step for _, step in cuts]
        self.kept = self._keep()
        self.blocks = [self._bits(at, at + KEPT) for at in range(0, len(self.steps), KEPT)]
        self.known: dict[Ranges, int] = {}

    def _keep(self) -> list[int]:
        kept, mask = [self.free], self.free
        for at, step in enumerate(self.steps, 1):
            mask ^= 1 << step
            if at % KEPT == 0:
                kept.append(mask)
        return kept

    def _bits(self, first: int, last: int) -> int:
        """The steps that begin or end at the cuts from `first` to before `last`."""
        mask = 0
        for step in self.steps[first:last]:
            mask |= 1 << step
        return mask

    def _between(self, first: int, last: int) -> int:
        """The same for any number of cuts, by whole blocks where they are whole."""
        begin, end = -(-first // KEPT), last // KEPT
        if begin >= end:
            return self._bits(first, last)
        mask = self._bits(first, begin * KEPT) | self._bits(end * KEPT, last)
        for block in self.blocks[begin:end]:
            mask |= block
        return mask

    def at(self, value: int) -> int:
        """The steps whose ranges hold a value."""
        end = bisect_right(self.places, value)
        mask = self.kept[end // KEPT]
        for step in self.steps[end - end % KEPT : end]:
            mask ^= 1 << step
        return mask

    def meeting(self, ranges: Ranges) -> int:
        """The steps whose ranges meet these."""
        if (known := self.known.get(ranges)) is not None:
            return known
        mask = 0
        for first, last in ranges:
            mask |= self.at(first)
            if last > first:
                mask |= self._between(bisect_right(self.places, first), bisect_left(self.places, last + 1))
        if len(self.known) < 10_000:
            self.known[ranges] = mask
        return mask


class Index:
    """The candidates among the steps of one chain."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.all = (1 << len(boxes)) - 1
        self.axes = tuple((field, Axis(field, boxes)) for field in FIELDS) if len(boxes) > 8 else ()

    def candidates(self, region: Region) -> int:
        """A bit for each step that may match a part of the region; every step that does is among them."""
        mask = self.all
        for field, axis in self.axes:
            if region[field] != axis.everything:
                mask &= axis.meeting(region[field])
        return mask
