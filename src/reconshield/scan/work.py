"""Blocks under way and the pairs in them that wait to be asked."""

from __future__ import annotations

import socket
from array import array
from collections import deque
from heapq import heappop, heappush
from math import inf

import numpy as np

from reconshield.scan.batch import Batch, address_texts, empty, is_v4
from reconshield.scan.pacing import HostLimit, NetLimit
from reconshield.scan.plan import Pairs
from reconshield.scan.verdicts import Verdict

MOST_PARKED = 32_768
"""Pairs that wait for their host or network before no new block is begun."""


class Work:
    """One block under way: where each pair is reached, and what is known of it so far.

    `goals` and `families` are what `connect` and `socket` take; `limited` says whose host has a rate limit (None: nobody's);
    `left` counts the pairs without a verdict. Plain lists, because single elements of arrays are slow to touch.
    """

    __slots__ = ("_at", "_pairs", "_reason", "_rtt", "_state", "families", "goals", "left", "limited", "number")

    def __init__(self, number: int, pairs: Pairs, limited: list[bool] | None) -> None:
        size = pairs.hi.size
        self.number = number
        self.left = size
        self.limited = limited
        self.goals = list(zip(address_texts(pairs.hi, pairs.lo), pairs.port.tolist(), strict=True))
        self.families: list[int] = np.where(is_v4(pairs.hi, pairs.lo), int(socket.AF_INET), int(socket.AF_INET6)).tolist()
        self._pairs = pairs
        self._state, self._reason = bytearray(size), bytearray(size)
        self._rtt, self._at = array("I", bytes(4 * size)), array("d", bytes(8 * size))

    def record(self, index: int, verdict: Verdict, rtt: float, at: float) -> None:
        """Keep the verdict on one pair. `rtt` in seconds, 0 if there was no answer; `at` in Unix seconds."""
        self._state[index], self._reason[index] = verdict
        self._rtt[index] = int(rtt * 1e6)
        self._at[index] = at
        self.left -= 1

    def network(self, index: int) -> int:
        """A number for the IPv4 /24 or IPv6 /64 of a pair's address."""
        hi, lo = int(self._pairs.hi[index]), int(self._pairs.lo[index])
        return hi or lo >> 8

    def batch(self) -> Batch:
        """Every pair of the block with its state."""
        batch = empty(self._pairs.hi.size)
        for name, column in zip(Pairs._fields, self._pairs, strict=True):
            batch[name] = column
        batch["state"] = np.frombuffer(self._state, dtype=np.uint8)
        batch["reason"] = np.frombuffer(self._reason, dtype=np.uint8)
        batch["rtt_us"] = np.frombuffer(self._rtt, dtype=np.uint32)
        batch["at"] = np.frombuffer(self._at, dtype=np.float64)
        return batch


Item = tuple[Work, int, int]
"""A pair to be asked: its block, its index in it, how often it was asked before."""


class Waiting:
    """The pairs that wait to be asked, in order, except that a host whose limit is reached does not hold up the others, nor one
    whose network has to wait.

    Each such host has a row of its own, and one entry in a heap that says when it is due.
    """

    __slots__ = ("_due", "_hosts", "_nets", "_parked", "_queue", "_rows")

    def __init__(self, hosts: HostLimit | None, nets: NetLimit | None = None) -> None:
        self._hosts, self._nets = hosts, nets
        self._queue: deque[Item] = deque()
        self._rows: dict[str, deque[Item]] = {}
        self._due: list[tuple[float, str]] = []
        self._parked = 0

    def __len__(self) -> int:
        return len(self._queue) + self._parked

    def has_room(self, most: float) -> bool:
        """Whether a new block should be begun, where `most` pairs are enough that nothing holds up."""
        return len(self._queue) < most and self._parked < MOST_PARKED

    def add(self, work: Work) -> None:
        """All pairs of a new block."""
        self._queue.extend((work, index, 0) for index in range(work.left))

    def again(self, item: Item) -> None:
        """A pair that is asked once more, before all others, so that its block gets finished."""
        self._queue.appendleft(item)

    def due(self, now: float) -> float:
        """When the next pair may be asked: `now`, later, or never (infinite)."""
        if self._queue:
            return now
        return self._due[0][0] if self._due else inf

    def next(self, now: float) -> Item | None:
        """Take the next pair whose host may be asked now. None if there is none."""
        if self._due and self._due[0][0] <= now:
            return self._unpark(now)
        while self._queue:
            item = self._queue.popleft()
            work, index, _ = item
            if work.limited is None or not work.limited[index]:
                return item
            host = work.goals[index][0]
            if host in self._rows:
                row = self._rows[host]
                (row.appendleft if item[2] else row.append)(item)
                self._parked += 1
            elif (ready := self._ready_at(item, host, now)) <= now:
                self._count(host, now)
                return item
            else:
                self._rows[host] = deque([item])
                self._parked += 1
                heappush(self._due, (ready, host))
        return None

    def answered(self, item: Item, now: float) -> None:
        """The host of a pair has sent something itself."""
        work, index, _ = item
        if self._nets and work.limited and work.limited[index]:
            self._nets.answered(work.network(index), work.goals[index][0], now)

    def _ready_at(self, item: Item, host: str, now: float) -> float:
        """When a host that has no row may be asked. It takes its turn in its network, so it must be asked then."""
        work, index, _ = item
        ready = self._hosts.ready_at(host, now) if self._hosts is not None else now
        if self._nets and not self._nets.is_free(host, now):
            ready = max(ready, self._nets.turn(work.network(index), host, now))
        return ready

    def _count(self, host: str, now: float) -> None:
        if self._hosts is not None:  # one that has counted nothing yet is empty, and so false
            self._hosts.count(host, now)

    def _unpark(self, now: float) -> Item:
        _, host = heappop(self._due)
        row = self._rows[host]
        item = row.popleft()
        self._parked -= 1
        self._count(host, now)
        if row:
            heappush(self._due, (self._ready_at(row[0], host, now), host))
        else:
            del self._rows[host]
        return item
