"""What all engines share: how hard to work, how far the work is, and the limit of open files while it goes on."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from reconshield.scan.crew import BlockDone, Crew, Ended, Slowed
from reconshield.scan.lane import TALLY_SIZE

FILES_LEFT = 128
"""File descriptors that are left to the rest of the process; a quarter where there are few."""

PROGRESS_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Options:
    """How hard to work. `rate` and `per_host` in attempts a second (None: no limit; exempt addresses never have a limit of
    their own), `per_net` addresses a second of one IPv4 /24 or IPv6 /64 that have not answered, `retries` of a silent endpoint
    at least, `window` sockets open at once at most, `senders` threads that push raw packets, `first_wait` the time-out of raw
    packets while nobody has answered, `patience` the seconds for which a host that thins out its ICMP errors is asked at its
    own pace about its closed UDP ports. `engine` is `connect` or `raw`: packets of our own; the process must have the right to
    send them.
    """

    rate: float | None = None
    per_host: float | None = 1000.0
    per_net: float | None = 100.0
    retries: int = 1
    window: int = 8192
    senders: int = 1
    patience: float = 120.0
    first_wait: float = 1.2
    engine: str = "connect"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the scan is: pairs with a verdict, open ones among them, pairs a second now, repeated attempts, lost attempts as
    a share of those to endpoints that answer (None: nothing was repeated with success or answered at all), why it is slower.
    `answered` and `lost` are the attempts behind that share.
    """

    done: int
    open: int
    rate: float
    retransmitted: int
    loss: float | None
    slowed: str | None
    answered: int = 0
    lost: int = 0


def report(crew: Crew[Any]) -> Iterator[BlockDone | Progress]:
    """Yield finished blocks, and progress at once (the lanes run), in between, and at the end."""
    running, last = len(crew.tallies), Progress(0, 0, 0.0, 0, None, None)
    then = time.monotonic()
    yield last
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


def _sum_up(crew: Crew[Any], before: Progress, seconds: float) -> Progress:
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
        answered=answered,
        lost=lost,
    )


@contextmanager
def raised_file_limit() -> Iterator[int]:
    """Let this process open as many files as it may, for a while. Gives how many of them an engine may use."""
    try:
        import resource
    except ImportError:  # Windows has no such limit; 512 is what one select call takes
        yield 512 - FILES_LEFT
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 65_536 if hard == resource.RLIM_INFINITY else hard
    if soft not in {limit, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield max(1, limit - min(FILES_LEFT, limit // 4))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
