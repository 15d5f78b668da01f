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
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconshield.errors import Refused, UserError
from reconshield.scan.crew import BlockDone, Crew, Ended, Slowed, may_fork
from reconshield.scan.lane import TALLY_SIZE, Pace
from reconshield.scan.pacing import HostLimit, LossMeter, RoundTrip, TokenBucket, Window
from reconshield.scan.space import AddressSpace
from reconshield.scan.work import Work

if TYPE_CHECKING:
    from reconshield.scan.plan import Plan
    from reconshield.scope import Targets

__all__ = ["EXPECTED_RATE", "FRAME_BYTES", "BlockDone", "Options", "Progress", "measure"]

EXPECTED_RATE = 20_000.0
"""Pairs a second that one lane measures on a fast link; what blocks are cut by."""

FRAME_BYTES = 74
"""A first packet of Linux to an IPv4 address: Ethernet 14, IP 20, TCP 20 and 20 of options."""

FILES_LEFT = 128
"""File descriptors that are left to the rest of the process; a quarter where there are few."""

PROGRESS_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Options:
    """How hard to work. `rate` and `per_host` in connections a second (None: no limit; exempt addresses never have a limit of
    their own), `retries` of a silent endpoint at least, `window` connections open at once at most.
    """

    rate: float | None = None
    per_host: float | None = 1000.0
    retries: int = 1
    window: int = 8192


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the scan is: pairs with a verdict, open ones among them, pairs a second now, repeated attempts, lost attempts as
    a share of those to endpoints that answer (None: nothing was repeated with success or answered at all), why it is slower.
    """

    done: int
    open: int
    rate: float
    retransmitted: int
    loss: float | None
    slowed: str | None


def measure(
    plan: Plan, targets: Targets, blocks: Iterable[int], options: Options | None = None, stop: threading.Event | None = None
) -> Iterator[BlockDone | Progress]:
    """Measure the blocks. When `stop` is set the iterator ends within a second, after the blocks finished by then.

    Raises `Refused` if the plan holds an address that is not in `targets`, `UserError` for UDP ports.
    """
    beyond = plan.targets - targets.addresses
    if beyond:
        raise Refused("the plan holds addresses that are not authorised", where=beyond.text(3), hint="reconshield grant list")
    if plan.ports.udp:
        raise UserError(
            "the connect engine measures TCP only",
            where="-p U:…",
            hint="name TCP ports only; UDP needs the raw engine, which needs the right to open raw sockets",
        )
    return _Scan(plan, targets, options or Options()).run(blocks, stop or threading.Event())


class _Scan:
    """What one call of `measure` works on."""

    def __init__(self, plan: Plan, targets: Targets, options: Options) -> None:
        self._plan, self._options = plan, options
        exempt = plan.targets & targets.exempt
        self._limited = options.per_host is not None and exempt != plan.targets
        self._exempt = AddressSpace(exempt)
        self._window = options.window

    def run(self, blocks: Iterable[int], stop: threading.Event) -> Iterator[BlockDone | Progress]:
        """Start the lanes and yield what they finish, until all have ended."""
        with raised_file_limit() as files:
            self._window = max(1, min(self._options.window, files - min(FILES_LEFT, files // 4)))
            with Crew(self._load, self._make_pace, iter(blocks), stop, self._count_children()) as crew:
                yield from _report(crew)

    def _count_children(self) -> int:
        """A process for each of two cores where nothing but the machine limits the speed; else none."""
        paced = self._limited or self._options.rate is not None
        if paced or self._plan.blocks < 2 or not may_fork():
            return 0
        return 2 if _count_cores() > 1 else 0

    def _load(self, number: int) -> Work:
        pairs = self._plan.pairs(number)
        limited = (self._exempt.find(pairs.hi, pairs.lo) < 0).tolist() if self._limited else None
        return Work(number, pairs, limited)

    def _make_pace(self) -> Pace:
        options = self._options
        # One estimate serves all hosts, so where there are several the time-out must suit the slowest.
        floor = 0.1 if self._plan.targets.count == 1 else 0.5
        return Pace(
            window=Window(most=self._window),
            rtt=RoundTrip(floor=floor),
            loss=LossMeter(retries=options.retries),
            bucket=TokenBucket(options.rate),
            hosts=HostLimit(options.per_host) if self._limited and options.per_host else None,
        )


def _report(crew: Crew) -> Iterator[BlockDone | Progress]:
    """Yield finished blocks, and progress in between and at the end."""
    running, last = len(crew.tallies), Progress(0, 0, 0.0, 0, None, None)
    then = time.monotonic()
    while running:
        due = then + PROGRESS_SECONDS - time.monotonic()
        if due <= 0:
            now = time.monotonic()
            last, then = _sum_up(crew, last, now - then), now
            yield last
            continue
        with suppress(queue.Empty):
            match crew.results.get(timeout=due):
                case Slowed(why):
                    last = replace(last, slowed=why)
                case Ended(failure):
                    if failure is not None:
                        raise failure
                    running -= 1
                case finished:
                    yield finished
    yield _sum_up(crew, last, time.monotonic() - then)


def _sum_up(crew: Crew, before: Progress, seconds: float) -> Progress:
    """Progress of all lanes. The rate is smoothed over the last reports."""
    done, found, repeated, answered, lost = (sum(tally[place] for tally in crew.tallies) for place in range(TALLY_SIZE))
    now = (done - before.done) / seconds if seconds > 0 else before.rate
    return Progress(
        done=done,
        open=found,
        rate=(before.rate + now) / 2 if before.done else now,
        retransmitted=repeated,
        loss=lost / (answered + lost) if answered else None,
        slowed=before.slowed,
    )


def _count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def raised_file_limit() -> Iterator[int]:
    """Let this process open as many files as it may, for a while. Gives the number."""
    try:
        import resource
    except ImportError:  # Windows has no such limit; 512 is what one select call takes
        yield 512
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 65_536 if hard == resource.RLIM_INFINITY else hard
    if soft not in {limit, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
