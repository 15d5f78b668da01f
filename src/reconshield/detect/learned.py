"""What the conversations of a zone come to for each direction and port, in memory that does not grow with them.

    learned = Learned(policy); learned.add(scene, directions, chosen) for each part; learned.uses(apps)

How many hosts began something is counted exactly: beyond `MOST` the hosts of each port go to a temporary file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.expected import TRANSPORTS, zone_numbers
from reconshield.detect.scene import Scene
from reconshield.detect.shelves import Shelves
from reconshield.detect.sums import first_of_each
from reconshield.detect.tally import mixed
from reconshield.policy import Policy
from reconshield.rows import join

Array = NDArray[Any]

DIRECTIONS = ("in", "out", "within")
IN, OUT, WITHIN = range(3)
NAMED = 20
"""So many addresses outside are told one by one."""
MOST = 1_000_000
"""Addresses in memory (24 bytes each) before each is kept once, and before more than half as many hosts go to a file."""
SHELVES = 64
PAIR = np.dtype([("group", "u8"), ("hi", "u8"), ("lo", "u8")])
"""An address and the group that it belongs to: direction, port and transport in one number."""


@dataclass(frozen=True, slots=True)
class Use:
    """What was seen on a port in one direction. `hosts` began it, `apps` was spoken; peers are `zones` by their names, and
    `strangers`, which are in no zone (None: more than `NAMED`).
    """

    direction: str
    port: int
    transport: str
    flows: int
    hosts: int
    apps: tuple[str, ...]
    zones: tuple[str, ...]
    strangers: tuple[int, ...] | None


class Learned:
    """The uses of all conversations added so far. Closing it frees its temporary file."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._flows: dict[int, int] = {}
        self._apps: dict[int, set[int]] = {}
        self._zones: dict[int, set[int]] = {}
        self._hosts = Hosts()
        self._strangers = Strangers()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._hosts.close()

    def add(self, scene: Scene, directions: Array, chosen: Array) -> None:
        """Take in chosen conversations of a part; `directions` are places in `DIRECTIONS`."""
        rows, ends, direction = scene.rows.take(chosen), scene.ends, directions[chosen]
        src, dst = ends.src[chosen], ends.dst[chosen]
        group = direction << 24 | rows["dport"].astype(np.int64) << 8 | rows["transport"]
        different, which = np.unique(group, return_inverse=True)
        flows = np.bincount(which.reshape(-1), weights=rows["flows"], minlength=different.size)
        for number, more in zip(different.tolist(), flows.tolist(), strict=True):
            self._flows[number] = self._flows.get(number, 0) + int(more)
        put_together(self._apps, group, rows["app"].astype(np.int64))
        self._hosts.add(pairs_of(scene, group, src))
        outer = direction != WITHIN
        group, peers = group[outer], np.where(direction == IN, src, dst)[outer]
        zones = zone_numbers(self._policy, ends)[peers]
        known = zones >= 0
        put_together(self._zones, group[known], zones[known])
        self._strangers.add(pairs_of(scene, group[~known], peers[~known]))

    def uses(self, apps: tuple[str, ...]) -> Iterator[Use]:
        """All of them, by direction, port and transport. `apps` are the names of protocols."""
        hosts = self._hosts.counts()
        strangers = self._strangers.addresses()
        for group in sorted(self._flows):
            outside = strangers.get(group, [])
            yield Use(
                DIRECTIONS[group >> 24],
                group >> 8 & 0xFFFF,
                TRANSPORTS[group & 0xFF],
                self._flows[group],
                hosts[group],
                tuple(sorted({apps[number] for number in self._apps[group]} - {""})),
                tuple(sorted(self._policy.zones[number].name for number in self._zones.get(group, ()))),
                tuple(outside) if len(outside) <= NAMED else None,
            )


def put_together(sets: dict[int, set[int]], group: Array, values: Array) -> None:
    """Add to the set of each group the values that it has, from 0 to 2^32 - 1."""
    for key in np.unique(group << 32 | values).tolist():
        sets.setdefault(key >> 32, set()).add(key & 0xFFFF_FFFF)


def pairs_of(scene: Scene, group: Array, end: Array) -> Array:
    """Each address of a group once; `end` are places among the addresses of the scene."""
    keys = np.unique(group << 32 | end)
    found = np.empty(keys.size, PAIR)
    found["group"], end = keys >> 32, keys & 0xFFFF_FFFF
    found["hi"], found["lo"] = scene.ends.hi[end], scene.ends.lo[end]
    return found


class Strangers:
    """The addresses of each group, as far as they may be told one by one."""

    def __init__(self) -> None:
        self._held: list[Array] = []
        self._size, self._limit = 0, MOST

    def add(self, pairs: Array) -> None:
        self._held.append(pairs)
        self._size += pairs.size
        if self._size > self._limit:
            self._limit = max(MOST, 2 * self._merge().size)

    def _merge(self) -> Array:
        """Each address once, at most one more in a group than can be told."""
        pairs = distinct(self._held)
        first = first_of_each(pairs["group"])
        place = np.arange(pairs.size) - np.repeat(first, np.diff(first, append=pairs.size))
        pairs = pairs.compress(place <= NAMED)
        self._held, self._size = [pairs], pairs.size
        return pairs

    def addresses(self) -> dict[int, list[int]]:
        """The addresses of each group in order, one more than `NAMED` where there are more."""
        found: dict[int, list[int]] = {}
        for group, hi, lo in self._merge().tolist():
            found.setdefault(group, []).append(hi << 64 | lo)
        return found


class Hosts:
    """How many different addresses each group has."""

    def __init__(self) -> None:
        self._held: list[Array] = []
        self._size = 0
        self._shelves: Shelves | None = None

    def close(self) -> None:
        if self._shelves is not None:
            self._shelves.close()

    def add(self, pairs: Array) -> None:
        self._held.append(pairs)
        self._size += pairs.size
        if self._size > MOST:
            self._held = [distinct(self._held)]
            self._size = self._held[0].size
            if self._size > MOST // 2:
                self._put()

    def _put(self) -> None:
        self._shelves = self._shelves or Shelves(PAIR, SHELVES)
        pairs = join(self._held)
        shelf = (mixed(pairs["lo"] ^ mixed(pairs["hi"] ^ pairs["group"])) % np.uint64(SHELVES)).astype(np.int64)
        order = np.argsort(shelf, kind="stable")
        self._shelves.put(pairs, shelf[order], order)
        self._held, self._size = [], 0

    def counts(self) -> dict[int, int]:
        if self._shelves is None:
            return count_groups(distinct(self._held))
        self._put()
        found: Counter[int] = Counter()
        for shelf in range(SHELVES):
            found.update(count_groups(distinct(list(self._shelves.take(shelf, shelf)))))
        return found


def count_groups(pairs: Array) -> dict[int, int]:
    groups, counts = np.unique(pairs["group"], return_counts=True)
    return dict(zip(groups.tolist(), counts.tolist(), strict=True))


def distinct(parts: list[Array]) -> Array:
    """Each pair once, in order."""
    pairs = join([np.empty(0, PAIR), *parts])
    pairs = pairs.take(np.lexsort([pairs["lo"], pairs["hi"], pairs["group"]]))
    return pairs.take(first_of_each(pairs))
