"""The one door to measuring: a plan goes in, each of its blocks comes out once, whatever transports it holds.

    for event in measure(plan, targets, range(plan.blocks)):
        match event:
            case BlockDone(number, batch): ...
            case Progress(): ...

TCP pairs are connected to (`connect`) or sent a SYN (`raw`), UDP pairs are asked (`udp` or `raw_udp`): `Options.engine` says
whether packets are our own, `may_be_raw` whether this process may send such. Where several engines are needed they work at the
same time on a portion of blocks, and a block is done when each has done its part; portions are so large that waiting for their
last answers hardly shows, and so small that what waits for the slowest is small. Only the engines that a plan needs are loaded.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from reconshield.addresses import AddressSet
from reconshield.rows import join
from reconshield.scan.batch import Batch
from reconshield.scan.crew import BlockDone
from reconshield.scan.effort import Options, Progress, raised_file_limit

if TYPE_CHECKING:
    from reconshield.addresses import PortSet
    from reconshield.scan.plan import Plan
    from reconshield.scope import Targets

__all__ = ["BlockDone", "Options", "Progress", "engine_rate", "may_be_raw", "measure"]

PORTION = 2**21
"""Pairs of a portion in a plan with both transports; it has at least one block. What the engine that is ahead has found waits
in memory, 34 bytes a pair."""

CONNECT_RATE, RAW_RATE, UDP_RATE, RAW_UDP_RATE = 20_000.0, 400_000.0, 5_000.0, 20_000.0
"""Pairs a second that the engines are expected to measure on a fast link; what blocks are cut by."""

LOOK = 0.1
Part = Iterator[BlockDone | Progress]
Start = Callable[..., Part]


@dataclass(frozen=True, slots=True)
class _Share:
    """One engine's part of a plan: how much of all pairs it has, and how much of each host's pairs."""

    start: Start
    pairs: float
    of_a_host: float

    def limit(self, options: Options, window: int) -> Options:
        """The limits are for all parts together: each gets as much as it has, so all end at about the same time. Of a network
        each transport asks all addresses, however few of the ports it has: so each gets half.
        """
        rate = options.rate * self.pairs if options.rate is not None else None
        per_host = options.per_host * self.of_a_host if options.per_host is not None else None
        per_net = options.per_net / (1 if self.of_a_host == 1 else 2) if options.per_net is not None else None
        return replace(options, rate=rate, per_host=per_host, per_net=per_net, window=window)


def measure(
    plan: Plan, targets: Targets, blocks: Iterable[int], options: Options | None = None, stop: threading.Event | None = None
) -> Iterator[BlockDone | Progress]:
    """Measure the blocks. When `stop` is set the iterator ends within a second, after the blocks finished by then.

    Raises `Refused` if the plan holds an address that is not in `targets`, or a UDP port that must not be asked.
    """
    options, stop = options or Options(), stop or threading.Event()
    if plan.ports.udp:
        from reconshield.scan import udp

        udp.check(plan, targets)  # refuses now what it would refuse in the first portion
    parts = _divide(plan, options)
    if len(parts) == 1:
        return parts[0].start(plan, targets, blocks, options, stop)
    return _measure_parts(parts, plan, targets, iter(blocks), options, stop)


def engine_rate(ports: PortSet, engine: str = "connect") -> float:
    """Endpoints a second that the engine is expected to measure on a fast link."""
    speeds = (RAW_RATE, RAW_UDP_RATE) if engine == "raw" else (CONNECT_RATE, UDP_RATE)
    tcp = replace(ports, udp=()).count / ports.count
    return 1 / max(tcp / speeds[0], (1 - tcp) / speeds[1])


def may_be_raw() -> bool:
    """Whether this process may send and hear raw packets."""
    from reconshield.host.abilities import may_open_raw

    return sys.platform == "linux" and may_open_raw()


def _divide(plan: Plan, options: Options) -> list[_Share]:
    """Which engine measures what. Raw UDP cannot reach this machine's own addresses; those are asked in the ordinary way."""
    tcp = replace(plan.ports, udp=()).count / plan.ports.count
    parts = [_Share(_tcp_engine(options.engine), tcp, tcp)] if plan.ports.tcp else []
    if not plan.ports.udp:
        return parts
    from reconshield.scan import raw_udp, udp

    reached = raw_udp.reachable(plan.targets) if options.engine == "raw" else AddressSet()
    rest = plan.targets - reached
    for start, which in ((raw_udp.measure, reached), (udp.measure, rest)):
        if which:
            share = (1 - tcp) * which.count / plan.targets.count
            parts.append(_Share(partial(start, among=which if reached and rest else None), share, 1 - tcp))
    return parts


def _tcp_engine(name: str) -> Start:
    if name == "raw":
        from reconshield.scan import raw

        return raw.measure
    from reconshield.scan import connect

    return connect.measure


def _measure_parts(
    parts: list[_Share], plan: Plan, targets: Targets, blocks: Iterator[int], options: Options, stop: threading.Event
) -> Iterator[BlockDone | Progress]:
    before, size = Progress(0, 0, 0.0, 0, None, None), max(1, PORTION // plan.block_size)
    with raised_file_limit() as files:
        window = max(1, min(options.window, files // len(parts)))
        starts = [(part.start, part.limit(options, window)) for part in parts]
        while not stop.is_set() and (portion := list(islice(blocks, size))):
            latest = before
            with _together(lambda start, its: start(plan, targets, portion, its, stop), starts) as events:
                for event in events:
                    if isinstance(event, Progress):
                        latest = _add(before, event)
                        yield latest
                    else:
                        yield event
            before = latest


@contextmanager
def _together(
    begin: Callable[[Start, Options], Part], starts: list[tuple[Start, Options]]
) -> Iterator[Iterator[BlockDone | Progress]]:
    """Run the parts of a portion in threads of their own; ended with the `with` block."""
    found: queue.Queue[tuple[int, BlockDone | Progress | BaseException | None]] = queue.Queue(64)
    abandoned = threading.Event()

    def put(at: int, what: BlockDone | Progress | BaseException | None) -> None:
        while not abandoned.is_set():
            with suppress(queue.Full):
                found.put((at, what), timeout=LOOK)
                return

    def pump(at: int) -> None:
        """A thread's life. It has no caller to raise to, so the reader raises what ended it."""
        failure: BaseException | None = None
        try:
            part = begin(*starts[at])
            for event in part:
                put(at, event)
                if abandoned.is_set():
                    getattr(part, "close")()  # noqa: B009  an Iterator has no close in its type; a generator does
                    break
        except BaseException as raised:  # noqa: BLE001
            failure = raised
        put(at, failure)

    threads = [threading.Thread(target=pump, args=(at,), name="engine", daemon=True) for at in range(len(starts))]
    for thread in threads:
        thread.start()
    try:
        yield _join(found, len(threads))
    finally:
        abandoned.set()
        for thread in threads:
            thread.join()


def _join(
    found: queue.Queue[tuple[int, BlockDone | Progress | BaseException | None]], parts: int
) -> Iterator[BlockDone | Progress]:
    """Put the parts of each block together, and add up how far all are."""
    pieces: dict[int, list[Batch]] = {}
    progress: dict[int, Progress] = {}
    running = parts
    while running:
        at, event = found.get()
        match event:
            case None:
                running -= 1
            case BaseException():
                raise event
            case Progress():
                progress[at] = event
                yield _sum(progress.values())
            case BlockDone(number, batch):
                pieces.setdefault(number, []).append(batch)
                if len(pieces[number]) == parts:
                    yield BlockDone(number, join(pieces.pop(number)))


def _sum(parts: Iterable[Progress]) -> Progress:
    """All parts of a scan as one; the loss is that of the part that loses most."""
    each = list(parts)
    return Progress(
        done=sum(part.done for part in each),
        open=sum(part.open for part in each),
        rate=sum(part.rate for part in each),
        retransmitted=sum(part.retransmitted for part in each),
        loss=max((part.loss for part in each if part.loss is not None), default=None),
        slowed=next((part.slowed for part in each if part.slowed), None),
        answered=sum(part.answered for part in each),
        lost=sum(part.lost for part in each),
    )


def _add(before: Progress, now: Progress) -> Progress:
    """Progress of this portion on top of the earlier ones."""
    return replace(
        now,
        done=before.done + now.done,
        open=before.open + now.open,
        retransmitted=before.retransmitted + now.retransmitted,
        loss=max((loss for loss in (before.loss, now.loss) if loss is not None), default=None),
        slowed=now.slowed or before.slowed,
        answered=before.answered + now.answered,
        lost=before.lost + now.lost,
    )
