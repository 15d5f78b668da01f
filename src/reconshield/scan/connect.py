"""The engine that needs no privileges: it asks the kernel to connect, and reads from the answer what the endpoint is.

Blocks of a plan go in; each comes out once, as an array of all its pairs with state and reason. Lanes do the work (`lane`), in
a thread or in two processes (`crew`); `measure` starts them, passes on finished blocks, and says several times a second how far
the scan is. A caller that is busy storing a block does not delay the network.

    for event in measure(plan, targets, range(plan.blocks)):
        match event:
            case BlockDone(number, batch): ...
            case Progress(): ...

No byte is sent on a connection, and it is closed by RST. Only addresses in `Targets` are measured: a plan that holds others is
refused before anything is sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from reconshield.errors import Refused, UserError
from reconshield.model import Transport
from reconshield.scan.crew import BlockDone, Crew, may_fork
from reconshield.scan.effort import Options, Progress, raised_file_limit, report
from reconshield.scan.lane import Lane, Pace, Tally, World
from reconshield.scan.pacing import HostLimit, LossMeter, NetLimit, RoundTrip, TokenBucket, Window
from reconshield.scan.space import AddressSpace
from reconshield.scan.work import Work

if TYPE_CHECKING:
    from reconshield.scan.plan import Plan
    from reconshield.scope import Targets

__all__ = ["FRAME_BYTES", "BlockDone", "Options", "Progress", "measure"]

FRAME_BYTES = 74
"""A first packet of Linux to an IPv4 address: Ethernet 14, IP 20, TCP 20 and 20 of options."""


def measure(
    plan: Plan, targets: Targets, blocks: Iterable[int], options: Options | None = None, stop: threading.Event | None = None
) -> Iterator[BlockDone | Progress]:
    """Measure the TCP pairs of the blocks. When `stop` is set the iterator ends within a second, after those finished by then.

    Raises `Refused` if the plan holds an address that is not in `targets`, `UserError` if it holds no TCP port.
    """
    beyond = plan.targets - targets.addresses
    if beyond:
        raise Refused("the plan holds addresses that are not authorised", where=beyond.text(3), hint="reconshield grant list")
    if not plan.ports.tcp:
        raise UserError("there is no TCP port to connect to", where=f"-p {plan.ports.text()}", hint="-p 22,80,1-1024")
    return _Scan(plan, targets, options or Options()).run(blocks, stop or threading.Event())


class _Scan:
    """What one call of `measure` works on."""

    def __init__(self, plan: Plan, targets: Targets, options: Options) -> None:
        self._plan, self._options = plan, options
        self._limited = bool(options.per_host or options.per_net) and not targets.exempt.covers(plan.targets)
        self._exempt = AddressSpace(plan.targets & targets.exempt)
        self._window = options.window

    def run(self, blocks: Iterable[int], stop: threading.Event) -> Iterator[BlockDone | Progress]:
        """Start the lanes and yield what they finish, until all have ended."""
        with raised_file_limit() as files:
            self._window = min(self._options.window, files)
            with Crew(self._load, self._make_lane, iter(blocks), stop, self._count_children()) as crew:
                yield from report(crew)

    def _count_children(self) -> int:
        """A process for each of two cores and blocks where nothing but the machine limits the speed; else none."""
        paced = self._limited or self._options.rate is not None
        if paced or _count_cores() < 2 or not may_fork():
            return 0
        return min(2, self._plan.blocks)

    def _load(self, number: int) -> Work:
        pairs = self._plan.pairs(number).only(Transport.TCP)
        limited = (self._exempt.find(pairs.hi, pairs.lo) < 0).tolist() if self._limited else None
        return Work(number, pairs, limited)

    def _make_lane(self, world: World[Work], tally: Tally) -> Lane:
        options = self._options
        # One estimate serves all hosts, so where there are several the time-out must suit the slowest.
        floor = 0.1 if self._plan.targets.count == 1 else 0.5
        pace = Pace(
            window=Window(most=self._window),
            rtt=RoundTrip(floor=floor),
            loss=LossMeter(retries=options.retries),
            bucket=TokenBucket(options.rate),
            hosts=HostLimit(options.per_host) if self._limited and options.per_host else None,
            nets=NetLimit(options.per_net) if self._limited and options.per_net else None,
        )
        return Lane(world, tally, pace)


def _count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
