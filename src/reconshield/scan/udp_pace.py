"""How fast a host may be asked about its silent UDP ports. Pure: the time is an argument, in seconds of any steady clock.

A closed UDP port is told by an ICMP error, and kernels thin those out: Linux lets six go and then one a second to each peer
(icmp_ratelimit; `icmp(7)`). Asked at full speed, nearly all closed ports of such a host look silent. So:

    a host without any such error               silent ports are asked again at the usual speed
    a host with errors and silent ports         silent ports are asked again at the pace at which it gave errors, a burst of
                                                six not counted, at least one a second (`HostErrors.pause`)
    far more errors than any kernel's least     silent ports are asked again at the usual speed, until one of them turns out
    pace gives, and none missed so far          closed: then errors are thinned out after all, and the last question is paced
    six of those in vain, or thirty after       the silent ones are silent by themselves: at the usual speed from here on
    some turned out closed
    some turned out closed                      so silence proves little: each is asked a third time, twice as slowly
    one turned out closed at the third time     the pace was too fast: half of it from here on
    longer than the patience                    what is left stays open|filtered: closed is earned, never assumed

`Parked` holds the pairs that wait for their turn, one row a host.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from math import inf
from typing import Any, Generic, TypeVar

BURST = 6
SLOWEST = 1.02
"""Seconds between two questions at the least pace: a second, and a little for the clocks."""
SHORTEST = 0.5
"""Seconds that a first pass counts for at least, so that its burst is not taken for a pace."""
KEPT_HOSTS = 65_536
"""Hosts that are remembered before those that nothing waits for are forgotten."""
FLOWING, FLOWING_RATE = 12, 10.0
"""Errors beyond a burst, and a second, from which on a host is not taken for one that gives one a second."""
FEW, MANY, PROOF = 6, 30, 3
"""Questions in vain after which a host is believed to be silent: before and after `PROOF` silent ports turned out closed.
One or two of them may be packets that were lost."""


@dataclass(slots=True)
class HostErrors:
    """What one host's "port unreachable" messages show. `began` is when it was first asked."""

    began: float
    closed: int = 0
    turned: int = 0
    vain: int = 0
    slowest: float = 0.0
    last: float = 0.0
    since: float | None = None

    def heard(self, now: float, tries: int) -> None:
        """A port said that it is closed, after it had been silent so many times."""
        self.last = now
        if not tries:
            self.closed += 1
            return
        self.turned += 1
        self.vain = 0
        if tries > 1:
            self.slowest = min(SLOWEST, 2 * self.slowest)

    def pause(self, now: float) -> float:
        """Seconds to leave between two questions about silent ports; 0 where nothing shows that errors are thinned out."""
        if not (self.closed or self.turned) or self.vain >= (MANY if self.turned >= PROOF else FEW):
            return 0.0
        beyond = self.closed - BURST
        if not self.turned and beyond >= FLOWING and beyond >= FLOWING_RATE * max(SHORTEST, self.last - self.began):
            return 0.0
        if self.since is None:
            rate = beyond / max(SHORTEST, now - self.began)
            self.slowest = min(SLOWEST, 1 / rate) if rate > 0 else SLOWEST
        return self.slowest


Host = TypeVar("Host", int, str)
Pair = TypeVar("Pair", bound=tuple[Any, int, int])
"""A pair that waits: where it belongs, its place there, how often it was asked before."""


class Parked(Generic[Host, Pair]):
    """The silent pairs of hosts that thin out their errors, each host's in order, and when a host may be asked next."""

    __slots__ = ("_due", "_hosts", "_least", "_patience", "_rows", "_tidy_at", "count", "given_up")

    def __init__(self, patience: float, least: float = 0.0) -> None:
        """`patience` seconds for each host, `least` seconds between two questions to one."""
        self._patience, self._least = patience, least
        self._tidy_at = KEPT_HOSTS
        self._hosts: dict[Host, HostErrors] = {}
        self._rows: dict[Host, deque[Pair]] = {}
        self._due: list[tuple[float, Host]] = []
        self.count = 0
        self.given_up: list[Pair] = []
        """Pairs that are not asked again, because the patience with their host is spent."""

    def asked(self, host: Host, now: float) -> HostErrors:
        """What is known of a host that is being asked."""
        known = self._hosts.get(host)
        if known is None:
            known = self._hosts[host] = HostErrors(now)
            if len(self._hosts) > self._tidy_at:
                kept = {name: seen for name, seen in self._hosts.items() if name in self._rows or name == host}
                self._hosts, self._tidy_at = kept, max(KEPT_HOSTS, 2 * len(kept))
        return known

    def limits(self, host: Host, now: float) -> bool:
        """Whether silence of this host may be a missing error."""
        return self._hosts[host].pause(now) > 0

    def add(self, item: Pair, host: Host, now: float) -> None:
        """Let a silent pair wait for its host."""
        self.count += 1
        if host in self._rows:
            self._rows[host].append(item)
            return
        self._rows[host] = deque([item])
        heappush(self._due, (max(now, self._hosts[host].last + self._hosts[host].pause(now)), host))

    def due(self) -> float:
        """When the next pair may be asked; never (infinite) if none waits."""
        return self._due[0][0] if self._due else inf

    def next(self, now: float) -> Pair | None:
        """Take a pair whose host may be asked now."""
        while self._due and self._due[0][0] <= now:
            _, host = heappop(self._due)
            known, row = self._hosts[host], self._rows[host]
            known.since = now if known.since is None else known.since
            if now - known.since > self._patience:
                self.given_up += row
                self.count -= len(row)
                del self._rows[host]
                continue
            self.count -= 1
            item = row.popleft()
            if row:
                pause = known.pause(now) * (2 if item[2] > 1 else 1)
                heappush(self._due, (now + max(self._least, min(SLOWEST, pause)), host))
            else:
                del self._rows[host]
            return item
        return None
