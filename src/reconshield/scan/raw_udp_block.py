"""A block of a raw UDP scan under way, as columns. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconshield.scan.batch import Batch, empty
from reconshield.scan.plan import Pairs
from reconshield.scan.verdicts import Verdict

Rows = NDArray[np.intp]


class Block:
    """All pairs of a block in the order of the plan, so that a place in the plan is a row here; `mine` are to be measured,
    `limited` says whose network has a limit (None: everybody's).

    `state` 0 is not known yet; `tries` counts the questions, `asked` says when the last one went out (steady clock), `flying`
    whether its answer is still waited for, `seen` when the state became known (Unix seconds). `port_from` is our source port of
    each pair, `wait` the seconds that its answer may be late. `packets` are built once, as soon as the way is known: matrices
    of packets alike, with `group` and `place` of each pair's own.
    """

    def __init__(self, number: int, pairs: Pairs, mine: Rows, limited: NDArray[np.bool_] | None = None) -> None:
        size = pairs.hi.size
        self.number, self.pairs, self.mine = number, pairs, mine
        self.limited = np.ones(size, dtype=np.bool_) if limited is None else limited
        self.left = mine.size
        self.state, self.reason, self.ttl, self.tries = (np.zeros(size, dtype=np.uint8) for _ in range(4))
        self.rtt_us = np.zeros(size, dtype=np.uint32)
        self.asked, self.seen = np.zeros(size), np.zeros(size)
        self.flying = np.zeros(size, dtype=np.bool_)
        self.route = np.full(size, -1, dtype=np.int32)
        self.port_from, self.wait = np.zeros(size, dtype=np.uint16), np.zeros(size)
        self.packets: list[NDArray[np.uint8]] = []
        self.group, self.place = np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.int32)

    def unknown(self, rows: Rows) -> Rows:
        """Those of the rows that have no state yet."""
        found: Rows = rows[self.state[rows] == 0]
        return found

    def settle(self, rows: Rows, verdict: Verdict, at: float) -> None:
        """Rows without a state get this one, for which nothing came from the endpoint itself."""
        self.state[rows], self.reason[rows], self.seen[rows] = verdict.state, verdict.reason, at
        self.left -= rows.size

    def answer(
        self, rows: Rows, state: NDArray[np.uint8] | int, reason: NDArray[np.uint8] | int, ttl: NDArray[np.uint8]
    ) -> None:
        """Rows without a state got an answer, or an error about them came."""
        self.state[rows], self.reason[rows], self.ttl[rows] = state, reason, ttl
        self.left -= rows.size

    def keep_packets(self, rows: Rows, packets: NDArray[np.uint8]) -> None:
        """The packets of these rows, one each."""
        self.group[rows], self.place[rows] = len(self.packets), np.arange(rows.size)
        self.packets.append(packets)

    def host(self, row: int) -> int:
        """The address of a row as a number."""
        return int(self.pairs.hi[row]) << 64 | int(self.pairs.lo[row])

    def batch(self) -> Batch:
        """Every measured pair with its state."""
        batch, mine = empty(self.mine.size), self.mine
        batch["hi"], batch["lo"] = self.pairs.hi[mine], self.pairs.lo[mine]
        batch["port"], batch["transport"] = self.pairs.port[mine], self.pairs.transport[mine]
        batch["state"], batch["reason"], batch["ttl"] = self.state[mine], self.reason[mine], self.ttl[mine]
        batch["rtt_us"], batch["at"] = self.rtt_us[mine], self.seen[mine]
        return batch


class Part(NamedTuple):
    """Some rows of a block."""

    block: Block
    rows: Rows
