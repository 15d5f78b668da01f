"""Flows in, one row for each conversation out: (source, destination, port, transport), with all that the evidence needs.

    tally = Tally(); tally.add(batch) ...; tally.conversations, tally.moments(numbers)     all at once
                                           tally.groups()                                   in parts that fit into memory

Each batch is grouped by a keyed 64-bit hash of the four and summed by columns, so nothing runs per flow. When the batches have
`most` rows together, they are merged into one for each conversation. If more than half of them remain, they are put on shelves
of a temporary file; a conversation may then lie there in several rows, which are summed up when its shelf is read. The first 8
bits of a hash are of the destination alone and the next 4 of the source, so all who talk to one address lie on shelves side by
side: what must be counted over all of them (how many clients, how many hosts) can be counted there. What a rhythm is judged by
(second and octets sent of each flow) goes to such shelves too, beyond `KEPT` entries.

Two conversations of ten million share a hash with a chance of three in a million; the key is new for each tally, so nobody can
choose them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.discovery import judged
from reconshield.detect.ends import order_of
from reconshield.detect.flows import LATEST, Flows, Mark, Rows
from reconshield.detect.shelves import Shelves
from reconshield.detect.sums import CONVERSATION, first_of_each, merge_parts, sum_groups
from reconshield.rows import join

MOMENT = np.dtype([("key", "u8"), ("second", "u4"), ("sent", "u4")])
"""When a flow of the conversation with this hash began (whole Unix seconds) and what it sent (octets, at most 2^32 - 1)."""
SOURCE = np.dtype([("hi", "u8"), ("lo", "u8")])

MOST = 200_000
"""Rows in memory before those of one conversation are merged, and before more than half as many go to the temporary file."""
KEPT = 1_000_000
"""Moments in memory (16 bytes each) before they go to the temporary file."""
PASS = 2_000_000
"""Moments that are read back into memory at once."""
MOST_PART = 300_000
"""Rows on the shelves of a destination beyond which they are read source by source."""
TOGETHER = 100_000
"""Rows up to which the shelves of several destinations are read as one part: less would be judged slowly, for each part costs a
few hundred steps whatever it holds.
"""
TARGETS, ORIGINS = 256, 16
SHELF = np.uint64(64 - 12)

Array = NDArray[Any]
Keys = NDArray[np.uint64]
Keyed = tuple[Keys, Array]
"""Conversations, or parts of them, and the keys that they have."""


@dataclass(frozen=True, slots=True)
class Beats:
    """When the flows of some conversations began. Those of the conversation `numbers[n]` are the rows (of `MOMENT`, by second)
    from `edges[n]` to `edges[n + 1]`; there is one at least.
    """

    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]
    rows: Array

    def each(self) -> Iterator[tuple[int, Array]]:
        for number, begin, end in zip(self.numbers.tolist(), self.edges[:-1].tolist(), self.edges[1:].tolist(), strict=True):
            yield number, self.rows[begin:end]

    def lots(self, conversations: int, moments: int) -> Iterator[Beats]:
        """The same in lots of at most so many conversations, and about so many moments."""
        begin = 0
        while begin < self.numbers.size:
            upto = int(np.searchsorted(self.edges, self.edges[begin] + moments))
            end = min(max(upto, begin + 1), begin + conversations, self.numbers.size)
            first, last = int(self.edges[begin]), int(self.edges[end])
            yield Beats(self.numbers[begin:end], self.edges[begin : end + 1] - first, self.rows[first:last])
            begin = end


Chosen = Callable[[Array], Iterator[Beats]]


@dataclass(frozen=True, slots=True)
class Part:
    """Some conversations, in the order of their first flow, and how the moments of chosen ones are got."""

    rows: Array
    moments: Chosen


Group = list[Callable[[], Part]]
"""Parts that together have all conversations of their destinations; each is read when it is called for."""


class Tally:
    """The conversations of all batches added so far. Closing it frees its temporary files."""

    def __init__(self, most: int = 0) -> None:
        """So many rows are held in memory (0: `MOST`)."""
        self._most = most or MOST
        self._salt = [np.uint64(secrets.randbits(64) | 1) for _ in range(4)]
        self._apps: dict[str, int] = {"": 0}
        self._moments: list[Array] = []
        self._held = 0
        self._come = 0
        self._first = self._last = np.nan
        self._rows: Shelves | None = None
        self._sources: Shelves | None = None
        self._beats: Shelves | None = None
        self._parts: list[Keyed] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for shelves in (self._rows, self._sources, self._beats):
            if shelves is not None:
                shelves.close()
        self._rows = self._sources = self._beats = None

    @property
    def apps(self) -> tuple[str, ...]:
        """Names that the columns `app` point into."""
        return tuple(self._apps)

    @property
    def span(self) -> tuple[float, float]:
        """First and last moment of all flows, zeros where none has a time."""
        first = 0.0 if np.isnan(self._first) else float(self._first)
        return first, first if np.isnan(self._last) else float(self._last)

    @property
    def spilled(self) -> bool:
        """Whether some conversations are in the temporary file."""
        return self._rows is not None

    @property
    def conversations(self) -> Array:
        """Every conversation, in the order of their first flow. Those in the temporary file are brought into memory."""
        if self._rows is None:
            _, rows = self._merge()
        else:
            rows = join(list(self.parts()))
        return rows.take(np.argsort(rows["order"]))

    def add(self, batch: Flows, source: int = 0) -> None:
        """Take in a batch; `source` is the number of the file. What stacks do by themselves on their link is left out."""
        rows = judged(batch.rows)
        if not rows.size:
            return
        keys = self._hash(rows)
        order = np.argsort(keys)
        rows, keys = rows.take(order), keys[order]
        first = first_of_each(keys)
        groups = sum_groups(rows, first, self._translate(batch.apps), source)
        self._first = np.fmin(self._first, np.fmin.reduce(groups["first"]))
        self._last = np.fmax(self._last, np.fmax.reduce(groups["last"]))
        # Conversations are numbered by when they first came, so that the same file gives the same order.
        groups["order"][np.argsort(groups["record"], kind="stable")] = np.arange(self._come, self._come + first.size)
        self._come += first.size
        self._parts.append((keys[first], groups))
        self._count += first.size
        self._keep_moments(rows, keys)
        if self._count > self._most and self._merge()[0].size > self._most // 2:
            self._put_rows()

    def _merge(self) -> Keyed:
        """Make one row of the parts of each conversation; all of them by key."""
        if len(self._parts) != 1:
            keys = np.concatenate([np.zeros(0, np.uint64), *(keys for keys, _ in self._parts)])
            rows = join([np.zeros(0, CONVERSATION), *(rows for _, rows in self._parts)])
            self._parts = [merge_parts(keys, rows)]
            self._count = self._parts[0][0].size
        return self._parts[0]

    def _hash(self, rows: Rows) -> Keys:
        """A key for each row: 8 bits of its destination, 4 of its source, 52 of all."""
        _, b, c, d = self._salt
        src = self._hash_source(rows["src_hi"], rows["src_lo"])
        dst = mixed((rows["dst_lo"] ^ rows["dst_hi"] * d) * c)
        value = mixed((src + dst) * d ^ dst)
        value = mixed((value + (rows["dport"].astype(np.uint64) << np.uint64(8) | rows["transport"])) * b)
        shelf = dst >> np.uint64(56) << np.uint64(4) | src >> np.uint64(60)
        return np.asarray(shelf << SHELF | value >> np.uint64(12), np.uint64)

    def _hash_source(self, hi: Array, lo: Array) -> Keys:
        return mixed((lo ^ hi * self._salt[1]) * self._salt[0])

    def _translate(self, apps: tuple[str, ...]) -> NDArray[np.uint16]:
        """The numbers here of the names of a batch."""
        return np.array([self._apps.setdefault(name, len(self._apps)) for name in apps], np.uint16)

    def _put_rows(self) -> None:
        """Put the table on its shelves, and who began them on others, and begin afresh."""
        if self._rows is None or self._sources is None:
            self._rows = Shelves(CONVERSATION, TARGETS * ORIGINS)
            self._sources = Shelves(SOURCE, ORIGINS)
        keys, rows = self._merge()
        self._rows.put(rows, shelf_of(keys))
        sources = np.empty(rows.size, SOURCE)
        sources["hi"], sources["lo"] = rows["src_hi"], rows["src_lo"]
        sources = distinct(sources)
        origin = (self._hash_source(sources["hi"], sources["lo"]) >> np.uint64(60)).astype(np.int64)
        order = np.argsort(origin, kind="stable")
        self._sources.put(sources.take(order), origin[order])
        self._parts, self._count = [], 0

    def parts(self) -> Iterator[Array]:
        """All conversations, in parts that fit into memory."""
        for group in self.groups():
            for read in group:
                yield read().rows

    def groups(self) -> Iterator[Group]:
        """All conversations, in groups of parts: those of one destination are in one group. May be asked for again."""
        if self._rows is None:
            yield [lambda: self._part(self._merge()[1])]
            return
        if self._count:
            self._put_rows()
        sizes = self._rows.sizes().reshape(TARGETS, ORIGINS)
        totals, target = sizes.sum(axis=1), 0
        while target < TARGETS:
            first, after = target * ORIGINS, target + 1
            if totals[target] > MOST_PART:
                shelves = [at for at in range(ORIGINS) if sizes[target][at]]
                yield [partial(self._read_part, self._rows, first + at, first + at) for at in shelves]
            else:
                while after < TARGETS and totals[target : after + 1].sum() <= min(TOGETHER, MOST_PART):
                    after += 1
                if totals[target:after].any():
                    yield [partial(self._read_part, self._rows, first, after * ORIGINS - 1)]
            target = after

    def _read_part(self, shelves: Shelves, first: int, last: int) -> Part:
        """The conversations of some shelves, the rows of each summed up."""
        keys, rows = np.zeros(0, np.uint64), np.zeros(0, CONVERSATION)
        waiting: list[Array] = []
        for block in shelves.take(first, last):
            waiting.append(block)
            if sum(part.size for part in waiting) > max(MOST_PART, rows.size):
                keys, rows = self._sum_up(keys, rows, waiting)
                waiting = []
        return self._part(self._sum_up(keys, rows, waiting)[1])

    def _part(self, rows: Array) -> Part:
        ordered = rows.take(np.argsort(rows["order"]))
        return Part(ordered, partial(self._moments_of, ordered))

    def _sum_up(self, keys: Keys, rows: Array, more: list[Array]) -> Keyed:
        if not more:
            return keys, rows
        return merge_parts(np.concatenate([keys, *map(self._hash, more)]), join([rows, *more]))

    def sources(self) -> Iterator[tuple[Array, Array]]:
        """The halves of all addresses that began something, each once. Only where there is a temporary file."""
        if self._rows is None or self._sources is None:
            return
        if self._count:
            self._put_rows()
        for origin in range(ORIGINS):
            found, waiting = np.zeros(0, SOURCE), list[Array]()
            for block in self._sources.take(origin, origin):
                waiting.append(block)
                if len(waiting) > 16:
                    found, waiting = distinct(join([found, *waiting])), []
            found = distinct(join([found, *waiting]))
            yield found["hi"], found["lo"]

    def _keep_moments(self, rows: Rows, keys: Keys) -> None:
        """Remember when each flow began."""
        start = rows["start"]
        known = (start > 0) & (start < LATEST) & (rows["marks"] & Mark.CONTINUED == 0)  # NaN is not
        moments = np.empty(int(np.count_nonzero(known)), MOMENT)
        moments["key"], moments["second"] = keys[known], start[known].astype(np.uint32)
        moments["sent"] = np.clip(rows["sent"][known], 0, 2**32 - 1)
        self._moments.append(moments)
        self._held += moments.size
        if self._held > KEPT:
            self._beats = self._beats or Shelves(MOMENT, TARGETS * ORIGINS)
            held = join(self._moments)
            shelf = shelf_of(held["key"])
            by_shelf = np.argsort(shelf, kind="stable")
            self._beats.put(held, shelf[by_shelf], by_shelf)
            self._moments, self._held = [], 0

    def moments(self, chosen: Array) -> Iterator[Beats]:
        """The moments of chosen conversations; those chosen are places in `conversations`."""
        yield from self._moments_of(self.conversations, chosen)

    def _moments_of(self, rows: Array, chosen: Array) -> Iterator[Beats]:
        keys = self._hash(rows.take(chosen))
        by_key = np.argsort(keys)
        chosen, keys = chosen[by_key], keys[by_key]
        sizes = np.cumsum(rows["flows"][chosen], dtype=np.int64)
        begin = 0
        while begin < chosen.size:
            before = int(sizes[begin - 1]) if begin else 0
            upto = max(begin + 1, int(np.searchsorted(sizes, before + PASS, side="right")))
            yield from self._read_moments(chosen[begin:upto], keys[begin:upto])
            begin = upto

    def _read_moments(self, chosen: Array, keys: Keys) -> Iterator[Beats]:
        """The moments of conversations with these keys, which rise."""
        rows, places = [np.zeros(0, MOMENT)], [np.zeros(0, np.int64)]
        for part in self._all_moments(int(keys[0] >> SHELF), int(keys[-1] >> SHELF)):
            at = np.minimum(np.searchsorted(keys, part["key"]), keys.size - 1)
            asked = keys[at] == part["key"]
            rows.append(part.compress(asked))
            places.append(at[asked])
        found, place = join(rows), np.concatenate(places)
        found = found.take(np.argsort(place << 32 | found["second"]))
        sizes = np.bincount(place, minlength=keys.size)
        yield Beats(chosen[sizes > 0], np.concatenate([[0], np.cumsum(sizes[sizes > 0])]), found)

    def _all_moments(self, first: int, last: int) -> Iterator[Array]:
        if self._beats is not None:
            yield from self._beats.take(first, last)
        yield from self._moments


def mixed(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The same number with its upper bits over the lower ones, and again multiplied, so that all bits depend on all."""
    value = (value ^ value >> np.uint64(29)) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(value ^ value >> np.uint64(32), np.uint64)


def shelf_of(keys: Keys) -> NDArray[np.int64]:
    return (keys >> SHELF).astype(np.int64)


def distinct(addresses: Array) -> Array:
    """Each address once."""
    found = addresses.take(order_of(addresses["hi"], addresses["lo"]))
    new = np.ones(found.size, bool)
    new[1:] = found[1:] != found[:-1]
    return found.compress(new)
