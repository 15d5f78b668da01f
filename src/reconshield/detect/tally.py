"""Flows in, one row for each conversation out: (source, destination, port, transport), with all that the evidence needs.

    tally = Tally(); tally.add(batch) ...; tally.conversations(), tally.moments(numbers)

Each batch is grouped by a keyed 64-bit hash of the four, summed by columns, and merged into the table of conversations, so
nothing runs per flow. Two conversations of ten million share a hash with a chance of three in a million; the key is new for
each tally, so nobody can choose them. What a rhythm is judged by (second and octets sent of each flow) is spilled to an unnamed
temporary file beyond `KEPT` entries and read back for the conversations that are asked about, in passes of bounded size.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import LATEST, Flows, FlowState, Mark, Rows

CONVERSATION = np.dtype(
    [
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
        ("dport", "u2"),
        ("transport", "u1"),
        ("marks", "u1"),
        ("app", "u2"),
        ("apps", "u2"),
        ("flows", "u4"),
        ("failed", "u4"),
        ("denied", "u4"),
        ("unsure", "u4"),
        ("first", "f8"),
        ("last", "f8"),
        ("sent", "u8"),
        ("received", "u8"),
        ("longest", "f4"),
        ("record", "u8"),
        ("source", "u4"),
    ]
)
"""A conversation. `flows` counts flows, not the rows that go on from earlier ones (`Mark.CONTINUED`); `failed` those that were
refused or not answered, `unsure` those whose beginner is a guess; `app` is a protocol seen in it and `apps` how many different
ones (numbers of `Tally.apps`); `longest` a flow's duration in seconds; `record` and `source` say where the first flow stands.
`sent` and `received` add up what is known."""

MOMENT = np.dtype([("conversation", "u4"), ("second", "u4"), ("sent", "u4")])
"""When a flow of a conversation began (whole Unix seconds) and what it sent (octets, at most 2^32 - 1)."""

KEPT = 4_000_000
"""Moments held in memory (12 bytes each) before they go to the temporary file."""

PASS = 8_000_000
"""Moments that are read back into memory at once."""

Array = NDArray[Any]


class Tally:
    """The conversations of all batches added so far. Closing it frees its temporary file."""

    def __init__(self) -> None:
        self._salt = [np.uint64(secrets.randbits(64) | 1) for _ in range(4)]
        self._table = np.zeros(0, CONVERSATION)
        self._count = 0
        self._keys = np.zeros(0, np.uint64)
        self._places = np.zeros(0, np.uint32)
        self._apps: dict[str, int] = {"": 0}
        self._moments: list[Array] = []
        self._held = 0
        self._spill: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    @property
    def apps(self) -> tuple[str, ...]:
        """Names that the columns `app` point into."""
        return tuple(self._apps)

    @property
    def conversations(self) -> Array:
        """Every conversation, in the order of their first flow. A view: it changes with the next batch."""
        return self._table[: self._count]

    def add(self, batch: Flows, source: int = 0) -> None:
        """Take in a batch; `source` is the number of the file."""
        rows = batch.rows
        if not rows.size:
            return
        keys = self._hash(rows)
        order = np.argsort(keys)
        ordered = keys[order]
        first = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] ^ np.uint64(1)) != 0)
        groups = _sum_groups(rows, order, first, self._translate(batch.apps), source)
        places, known = self._place(ordered[first], groups)
        self._merge(places[known], groups[known])
        counts = np.diff(first, append=order.size)
        self._keep_moments(rows, order, np.repeat(places, counts))

    def _hash(self, rows: Rows) -> NDArray[np.uint64]:
        a, b, c, d = self._salt
        value = (rows["src_lo"] ^ rows["src_hi"] * b) * a
        value ^= value >> np.uint64(29)
        value = (value + rows["dst_lo"] ^ rows["dst_hi"] * d) * c
        value ^= value >> np.uint64(32)
        value = (value + (rows["dport"].astype(np.uint64) << np.uint64(8) | rows["transport"])) * b
        return np.asarray(value ^ value >> np.uint64(29), np.uint64)

    def _translate(self, apps: tuple[str, ...]) -> NDArray[np.uint16]:
        """The numbers here of the names of a batch."""
        return np.array([self._apps.setdefault(name, len(self._apps)) for name in apps], np.uint16)

    def _place(self, keys: NDArray[np.uint64], groups: Array) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
        """Where each group stands in the table, and which were there before; new ones are put at its end."""
        at = np.searchsorted(self._keys, keys)
        known = at < self._keys.size
        known[known] = self._keys[at[known]] == keys[known]
        places = np.empty(keys.size, np.uint32)
        places[known] = self._places[at[known]]
        fresh = np.flatnonzero(~known)
        # Conversations are numbered by when they first came, so that the same file gives the same order.
        fresh = fresh[np.argsort(groups["record"][fresh], kind="stable")]
        places[fresh] = np.arange(self._count, self._count + fresh.size, dtype=np.uint32)
        self._grow(fresh.size)
        self._table[places[fresh]] = groups[fresh]
        self._count += fresh.size
        fresh.sort()
        self._keys = np.insert(self._keys, at[fresh], keys[fresh])
        self._places = np.insert(self._places, at[fresh], places[fresh])
        return places, known

    def _grow(self, more: int) -> None:
        if self._count + more > self._table.size:
            wider = np.zeros(max(self._count + more, self._table.size * 3 // 2, 4096), CONVERSATION)
            wider[: self._count] = self._table[: self._count]
            self._table = wider

    def _merge(self, places: NDArray[np.uint32], groups: Array) -> None:
        table = self._table
        here = table[places]
        for name in ("flows", "failed", "denied", "unsure", "sent", "received"):
            here[name] += groups[name]
        here["first"] = np.fmin(here["first"], groups["first"])
        here["last"] = np.fmax(here["last"], groups["last"])
        here["longest"] = np.fmax(here["longest"], groups["longest"])
        here["marks"] |= groups["marks"]
        differs = (groups["app"] != 0) & (here["app"] != groups["app"])
        here["apps"] += differs & (here["app"] != 0)
        here["app"] = np.where(here["app"] == 0, groups["app"], here["app"])
        table[places] = here

    def _keep_moments(self, rows: Rows, order: Array, places: NDArray[np.uint32]) -> None:
        """Remember each different second of a conversation once: flows of one second are one beat."""
        start = rows["start"][order]
        known = (start > 0) & (start < LATEST) & (rows["marks"][order] & Mark.CONTINUED == 0)  # NaN is not
        moments = np.empty(int(np.count_nonzero(known)), MOMENT)
        moments["conversation"], moments["second"] = places[known], start[known].astype(np.uint32)
        moments["sent"] = np.clip(rows["sent"][order][known], 0, 2**32 - 1)
        self._moments.append(moments)
        self._held += moments.size
        if self._held > KEPT:
            if self._spill is None:
                self._spill = tempfile.TemporaryFile(prefix="reconshield-")  # noqa: SIM115 closed by `close`
            for held in self._moments:
                self._spill.write(held.tobytes())
            self._moments, self._held = [], 0

    def moments(self, chosen: Array) -> Iterator[tuple[int, Array]]:
        """For each chosen conversation its number and its moments, by second; those chosen are places in `conversations`."""
        sizes = self.conversations["flows"][chosen]
        begin = 0
        while begin < chosen.size:
            upto = begin + max(1, int(np.searchsorted(np.cumsum(sizes[begin:], dtype=np.int64), PASS, side="right")))
            yield from self._read_moments(chosen[begin:upto])
            begin = upto

    def _read_moments(self, chosen: Array) -> Iterator[tuple[int, Array]]:
        wanted = np.zeros(self._count, bool)
        wanted[chosen] = True
        found = np.concatenate([part[wanted[part["conversation"]]] for part in self._all_moments()] or [np.zeros(0, MOMENT)])
        if not found.size:
            return
        found = found[np.lexsort([found["second"], found["conversation"]])]
        edges = np.flatnonzero(np.diff(found["conversation"], prepend=np.uint32(2**32 - 1)))
        for first, last in zip(edges.tolist(), [*edges[1:].tolist(), found.size], strict=True):
            yield int(found["conversation"][first]), found[first:last]

    def _all_moments(self) -> Iterator[Array]:
        if self._spill is not None:
            self._spill.seek(0)
            while block := self._spill.read(MOMENT.itemsize << 20):
                yield np.frombuffer(block, MOMENT)
            self._spill.seek(0, 2)
        yield from self._moments


def _sum_groups(rows: Rows, order: Array, first: Array, apps: NDArray[np.uint16], source: int) -> Array:
    """A row for each group of equal keys: `order` sorts the rows by key, `first` says where each group begins."""
    groups = np.zeros(first.size, CONVERSATION)
    lead = rows[order[first]]
    for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "dport", "transport"):
        groups[name] = lead[name]
    state, marks = rows["state"][order], rows["marks"][order]
    begun = marks & Mark.CONTINUED == 0
    failed = (state == FlowState.REFUSED) | (state == FlowState.UNANSWERED)
    groups["flows"] = np.add.reduceat(begun, first, dtype=np.uint32)
    groups["failed"] = np.add.reduceat(begun & failed, first, dtype=np.uint32)
    groups["denied"] = np.add.reduceat(begun & (state == FlowState.DENIED), first, dtype=np.uint32)
    groups["unsure"] = np.add.reduceat(begun & (marks & Mark.UNSURE != 0), first, dtype=np.uint32)
    groups["marks"] = np.bitwise_or.reduceat(marks, first)
    start, end = rows["start"][order], rows["end"][order]
    groups["first"] = np.fmin.reduceat(start, first)
    groups["last"] = np.fmax.reduceat(np.fmax(start, end), first)
    groups["longest"] = np.nan_to_num(np.fmax.reduceat(end - start, first))
    for name in ("sent", "received"):
        groups[name] = np.add.reduceat(np.maximum(rows[name][order], 0), first)
    app = apps[rows["app"][order]]
    groups["app"] = np.maximum.reduceat(app, first)
    lowest = np.minimum.reduceat(np.where(app == 0, np.uint16(65_535), app), first)
    groups["apps"] = (groups["app"] != 0).astype(np.uint16) + ((lowest != groups["app"]) & (groups["app"] != 0))
    groups["record"], groups["source"] = np.minimum.reduceat(rows["record"][order], first), source
    return groups
