"""Flows in, one row for each conversation out: (source, destination, port, transport), with all that the evidence needs.

    tally = Tally(); tally.add(batch) ...; tally.conversations, tally.moments(numbers)     all at once
                                           tally.groups()                                   in parts that fit into memory

Each batch is grouped by a keyed 64-bit hash of the four, summed by columns, and merged into the table of conversations, so
nothing runs per flow. When the table has `most` rows it is put on shelves of a temporary file and begun afresh; a conversation
may then lie there in several rows, which are summed up when its shelf is read. The first 8 bits of a hash are of the
destination alone and the next 4 of the source, so that all who talk to one address lie on neighbouring shelves: what must be
counted over all of them (how many clients, how many hosts) can be counted there. What a rhythm is judged by (second and octets
sent of each flow) goes to such shelves too, beyond `KEPT` entries.

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
from reconshield.detect.flows import LATEST, Flows, Mark, Rows
from reconshield.detect.shelves import Shelves
from reconshield.detect.sums import CONVERSATION, merge_into, merge_parts, sum_groups

MOMENT = np.dtype([("key", "u8"), ("second", "u4"), ("sent", "u4")])
"""When a flow of the conversation with this hash began (whole Unix seconds) and what it sent (octets, at most 2^32 - 1)."""
SOURCE = np.dtype([("hi", "u8"), ("lo", "u8")])

MOST = 400_000
"""Conversations in memory before they go to the temporary file."""
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
Chosen = Callable[[Array], Iterator[tuple[int, Array]]]


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
        """`most` conversations are held in memory (0: `MOST`)."""
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
        self._begin()

    def _begin(self) -> None:
        self._table = np.zeros(0, CONVERSATION)
        self._count = 0
        self._keys = np.zeros(0, np.uint64)
        self._places = np.zeros(0, np.uint32)

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
        """Every conversation, in the order of their first flow. Without a temporary file this is a view: it changes with the
        next batch. With one, all of them are brought into memory.
        """
        if self._rows is None:
            return self._table[: self._count]
        rows = np.concatenate(list(self.parts()))
        return rows[np.argsort(rows["order"], kind="stable")]

    def add(self, batch: Flows, source: int = 0) -> None:
        """Take in a batch; `source` is the number of the file. What stacks do by themselves on their link is left out."""
        rows = judged(batch.rows)
        if not rows.size:
            return
        keys = self._hash(rows)
        order = np.argsort(keys)
        ordered = keys[order]
        first = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] ^ np.uint64(1)) != 0)
        groups = sum_groups(rows, order, first, self._translate(batch.apps), source)
        self._first = np.fmin(self._first, np.fmin.reduce(groups["first"]))
        self._last = np.fmax(self._last, np.fmax.reduce(groups["last"]))
        self._place(ordered[first], groups)
        self._keep_moments(rows, order, ordered)
        if self._count > self._most:
            self._put_rows()

    def _hash(self, rows: Rows) -> Keys:
        """A key for each row: 8 bits of its destination, 4 of its source, 52 of all."""
        a, b, c, d = self._salt
        src = mixed((rows["src_lo"] ^ rows["src_hi"] * b) * a)
        dst = mixed((rows["dst_lo"] ^ rows["dst_hi"] * d) * c)
        value = mixed((src + dst) * d ^ dst)
        value = mixed((value + (rows["dport"].astype(np.uint64) << np.uint64(8) | rows["transport"])) * b)
        shelf = dst >> np.uint64(56) << np.uint64(4) | src >> np.uint64(60)
        return np.asarray(shelf << SHELF | value >> np.uint64(12), np.uint64)

    def _translate(self, apps: tuple[str, ...]) -> NDArray[np.uint16]:
        """The numbers here of the names of a batch."""
        return np.array([self._apps.setdefault(name, len(self._apps)) for name in apps], np.uint16)

    def _place(self, keys: Keys, groups: Array) -> None:
        """Put each group into the table: add it to its conversation, or to the end where that is new."""
        at = np.searchsorted(self._keys, keys)
        known = at < self._keys.size
        known[known] = self._keys[at[known]] == keys[known]
        places = self._places[at[known]]
        here = self._table[places]
        merge_into(here, groups[known])
        self._table[places] = here
        fresh = np.flatnonzero(~known)
        # Conversations are numbered by when they first came, so that the same file gives the same order.
        fresh = fresh[np.argsort(groups["record"][fresh], kind="stable")]
        groups["order"][fresh] = np.arange(self._come, self._come + fresh.size, dtype=np.uint32)
        self._come += fresh.size
        new = np.empty(keys.size, np.uint32)
        new[fresh] = np.arange(self._count, self._count + fresh.size, dtype=np.uint32)
        self._grow(fresh.size)
        self._table[self._count : self._count + fresh.size] = groups[fresh]
        self._count += fresh.size
        fresh.sort()
        self._keys = np.insert(self._keys, at[fresh], keys[fresh])
        self._places = np.insert(self._places, at[fresh], new[fresh])

    def _grow(self, more: int) -> None:
        if self._count + more > self._table.size:
            wider = np.zeros(max(self._count + more, self._table.size * 3 // 2, 4096), CONVERSATION)
            wider[: self._count] = self._table[: self._count]
            self._table = wider

    def _put_rows(self) -> None:
        """Put the table on its shelves, and who began them on others, and begin afresh."""
        if self._rows is None or self._sources is None:
            self._rows = Shelves(CONVERSATION, TARGETS * ORIGINS)
            self._sources = Shelves(SOURCE, ORIGINS)
        self._rows.put(self._table, shelf_of(self._keys), self._places)
        origins = shelf_of(self._keys) % ORIGINS
        order = np.lexsort([self._table["src_lo"][self._places], self._table["src_hi"][self._places], origins])
        sources = np.empty(order.size, SOURCE)
        sources["hi"], sources["lo"] = (self._table[name][self._places[order]] for name in ("src_hi", "src_lo"))
        new = np.ones(order.size, bool)
        new[1:] = sources[1:] != sources[:-1]
        self._sources.put(sources[new], origins[order][new])
        self._begin()

    def parts(self) -> Iterator[Array]:
        """All conversations, in parts that fit into memory."""
        for group in self.groups():
            for read in group:
                yield read().rows

    def groups(self) -> Iterator[Group]:
        """All conversations, in groups of parts: those of one destination are in one group. May be asked for again."""
        if self._rows is None:
            yield [lambda: Part(self._table[: self._count], self.moments)]
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
        rows, keys = np.zeros(0, CONVERSATION), np.zeros(0, np.uint64)
        waiting: list[Array] = []
        for block in shelves.take(first, last):
            waiting.append(block)
            if sum(part.size for part in waiting) > max(MOST_PART, rows.size):
                rows, keys = self._sum_up(rows, keys, waiting)
                waiting = []
        rows, _ = self._sum_up(rows, keys, waiting)
        rows = rows[np.argsort(rows["order"], kind="stable")]

        def moments(chosen: Array) -> Iterator[tuple[int, Array]]:
            return self._moments_of(rows, chosen)

        return Part(rows, moments)

    def _sum_up(self, rows: Array, keys: Keys, more: list[Array]) -> tuple[Array, Keys]:
        if not more:
            return rows, keys
        return merge_parts(np.concatenate([rows, *more]), np.concatenate([keys, *map(self._hash, more)]))

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
                    found, waiting = distinct(np.concatenate([found, *waiting])), []
            found = distinct(np.concatenate([found, *waiting]))
            yield found["hi"], found["lo"]

    def _keep_moments(self, rows: Rows, order: Array, keys: Keys) -> None:
        """Remember when each flow began."""
        start = rows["start"][order]
        known = (start > 0) & (start < LATEST) & (rows["marks"][order] & Mark.CONTINUED == 0)  # NaN is not
        moments = np.empty(int(np.count_nonzero(known)), MOMENT)
        moments["key"], moments["second"] = keys[known], start[known].astype(np.uint32)
        moments["sent"] = np.clip(rows["sent"][order][known], 0, 2**32 - 1)
        self._moments.append(moments)
        self._held += moments.size
        if self._held > KEPT:
            self._beats = self._beats or Shelves(MOMENT, TARGETS * ORIGINS)
            held = np.concatenate(self._moments)
            shelf = shelf_of(held["key"])
            by_shelf = np.argsort(shelf, kind="stable")
            self._beats.put(held, shelf[by_shelf], by_shelf)
            self._moments, self._held = [], 0

    def moments(self, chosen: Array) -> Iterator[tuple[int, Array]]:
        """For each chosen conversation its number and its moments, by second; those chosen are places in `conversations`."""
        yield from self._moments_of(self.conversations, chosen)

    def _moments_of(self, rows: Array, chosen: Array) -> Iterator[tuple[int, Array]]:
        keys = self._hash(rows[chosen])
        by_key = np.argsort(keys)
        chosen, keys = chosen[by_key], keys[by_key]
        sizes = np.cumsum(rows["flows"][chosen], dtype=np.int64)
        begin = 0
        while begin < chosen.size:
            before = int(sizes[begin - 1]) if begin else 0
            upto = max(begin + 1, int(np.searchsorted(sizes, before + PASS, side="right")))
            yield from self._read_moments(chosen[begin:upto], keys[begin:upto])
            begin = upto

    def _read_moments(self, chosen: Array, keys: Keys) -> Iterator[tuple[int, Array]]:
        """The moments of conversations with these keys, which rise."""
        parts = [np.zeros(0, MOMENT)]
        for part in self._all_moments(int(keys[0] >> SHELF), int(keys[-1] >> SHELF)):
            at = np.minimum(np.searchsorted(keys, part["key"]), keys.size - 1)
            parts.append(part[keys[at] == part["key"]])
        found = np.concatenate(parts)
        if not found.size:
            return
        found = found[np.lexsort([found["second"], found["key"]])]
        edges = np.flatnonzero(np.diff(found["key"], prepend=~found["key"][:1]))
        numbers = chosen[np.searchsorted(keys, found["key"][edges])]
        for number, first, last in zip(numbers.tolist(), edges.tolist(), [*edges[1:].tolist(), found.size], strict=True):
            yield number, found[first:last]

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
    order = np.lexsort([addresses["lo"], addresses["hi"]])
    found = addresses[order]
    new = np.ones(found.size, bool)
    new[1:] = found[1:] != found[:-1]
    return found[new]
