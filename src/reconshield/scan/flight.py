"""One block under way in the raw engine: what is known of each of its pairs, in columns. Pure.

A block is asked in rounds. A round begins with all pairs that have no verdict; when the last of them has left the time-out
runs, and who has not answered by then is asked again in the next round, or was silent. Nothing is kept for a packet: an answer
names its endpoint, the plan knows its place in the block.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reconshield.scan.batch import Batch, empty, numbers_in
from reconshield.scan.plan import Pairs
from reconshield.scan.verdicts import Verdict

Rows = NDArray[np.intp]


class Gone(Protocol):
    """Packets that were handed over, and when they left (a steady clock's seconds; infinite until they have)."""

    @property
    def gone_at(self) -> float: ...


def span(rows: Rows) -> Rows | slice:
    """The same places, as a slice where they follow each other: columns are read five times as fast by it. Ascending."""
    if rows.size and rows[-1] - rows[0] == rows.size - 1:
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


class Flight:
    """The pairs of one block. `mine` says which of them are measured here; the others are somebody else's.

    `which` is the number of each pair's route, `routes` all these numbers, `limited` whose host has a limit of its own (None:
    nobody's), `sent` when it was asked last (Unix seconds), `answered_by` the attempt that was answered, `left` counts pairs of
    ours without a verdict, `unsent` those of this round that have not been sent, `leaving` is what was sent and may not have
    left yet, `due` when the round ends (a steady clock's seconds).
    """

    __slots__ = (
        "_mine",
        "_place",
        "answered_by",
        "attempt",
        "due",
        "leaving",
        "left",
        "limited",
        "number",
        "routes",
        "sent",
        "state",
        "table",
        "unsent",
        "which",
    )

    def __init__(
        self,
        number: int,
        pairs: Pairs,
        which: NDArray[np.int32],
        mine: NDArray[np.bool_],
        limited: NDArray[np.bool_] | None = None,
    ) -> None:
        self.number, self.which, self.limited, self._mine = number, which, limited, mine
        self.routes = numbers_in(which)
        self.table = empty(pairs.hi.size)
        for name, column in zip(Pairs._fields, pairs, strict=True):
            self.table[name] = column
        self.state: NDArray[np.uint8] = self.table["state"]
        self.sent = np.zeros(pairs.hi.size)
        self.answered_by = np.zeros(pairs.hi.size, dtype=np.uint8)
        self._place = np.empty(pairs.hi.size, dtype=np.int32)
        self.attempt = 0
        self.left = self.unsent = int(mine.sum())
        self.due = inf
        self.leaving: list[Gone] = []

    def waiting(self) -> Rows:
        """The pairs of ours without a verdict."""
        return np.flatnonzero(self._mine & (self.state == 0))

    def is_new(self, places: Rows | slice) -> NDArray[np.bool_]:
        """Which of these places may take a verdict."""
        mask: NDArray[np.bool_] = self._mine[places] & (self.state[places] == 0)
        return mask

    def first_of_each(self, rows: Rows) -> Rows:
        """Where each different place comes first in `rows`; only places that may take a verdict."""
        numbers = np.arange(rows.size, dtype=np.int32)
        self._place[rows[::-1]] = numbers[::-1]
        return np.flatnonzero((self._place[rows] == numbers) & self.is_new(rows))

    @property
    def is_out(self) -> bool:
        """Whether all packets of this round have left."""
        self.leaving = [sending for sending in self.leaving if sending.gone_at == inf]
        return not self.unsent and not self.leaving

    @property
    def is_timed(self) -> bool:
        """Whether the time-out of this round runs."""
        return self.due < inf

    def record(self, rows: Rows, heard: NDArray[np.void], at: NDArray[np.float64], rtt: NDArray[np.float64]) -> None:
        """Keep answers, one for each of these places. `rtt` in seconds, 0 where it is not known."""
        for name in ("state", "reason", "ttl"):
            self.table[name][rows] = heard[name]
        self.table["at"][rows] = at
        self.table["rtt_us"][rows] = np.where(rtt == 0, 0, np.clip(rtt * 1e6, 1, 2**32 - 1))
        self.answered_by[rows] = heard["attempt"]
        self.left -= rows.size

    def settle(self, rows: Rows, verdict: Verdict, at: float) -> None:
        """Give all of these pairs one verdict, without an answer of theirs."""
        places = span(rows)
        self.table["state"][places], self.table["reason"][places] = verdict
        self.table["at"][places] = at
        self.left -= rows.size

    def next_round(self) -> Rows:
        """Begin a round with the pairs that have no verdict."""
        rows = self.waiting()
        self.attempt += 1
        self.unsent, self.due = rows.size, inf
        return rows

    def batch(self) -> Batch:
        """The pairs that were measured here, with their states."""
        return self.table if self._mine.all() else self.table.compress(self._mine)
