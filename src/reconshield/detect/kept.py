"""The first so many of things that come in several lots, each in its order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

Rank = tuple[int, int]
Told = TypeVar("Told")


class Kept(Generic[Told]):
    """Keeps at most `most` descriptions, those of the lowest rank, and counts all. A rank is never given twice."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[Rank, Told]] = []
        self.count = 0

    def add(self, numbers: NDArray[Any], ranks: NDArray[Any], describe: Callable[[int, int], Told]) -> None:
        """Take in a lot, in the order of its ranks (two columns). `describe` is asked only for what is kept as yet, with the
        place that it has among what is kept.
        """
        self.count += int(numbers.size)
        last = self._kept[-1][0] if len(self._kept) == self._most else None
        fresh = []
        for number, rank in zip(numbers[: self._most].tolist(), map(tuple, ranks[: self._most].tolist()), strict=True):
            if last is not None and rank > last:
                break
            fresh.append((rank, number))
        held = [rank for rank, _ in self._kept]
        for place, (rank, number) in enumerate(fresh):
            before = bisect_left(held, rank)
            if place + before < self._most:
                self._kept.append((rank, describe(number, place + before)))
        self._kept.sort(key=lambda each: each[0])
        del self._kept[self._most :]

    def all(self) -> list[Told]:
        return [told for _, told in self._kept]
