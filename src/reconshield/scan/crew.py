"""Where lanes live: one in a thread of this process, or several in processes of their own.

Opening connections is work of the kernel's, and two processes do it on two cores; two threads get in each other's way (Python's
lock changes hands twice per connection). So a scan that nothing holds back is shared by forked children, which take block after
block and send back arrays. A child has the targets from its parent by being forked from it; there is no other way to get them.
A scan that a rate limit holds back needs one lane only, and limits are simplest kept by one.

    reader  <- results <-  serving thread  <- pipe <-  child: lane
                           (or a thread that runs the lane itself)
"""

from __future__ import annotations

import gc
import mmap
import multiprocessing
import queue
import signal
import sys
import threading
import traceback
import warnings
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self

from reconshield.errors import PartialResult
from reconshield.scan.lane import TALLY_SIZE, Tally, W, World

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from reconshield.scan.batch import Batch

RESULTS_KEPT = 64
"""Finished blocks that wait for a slow reader before the lanes do."""

LOOK = 0.1
"""Seconds between two looks at whether to stop."""

TAKE, END = "take", "end"


@dataclass(frozen=True, slots=True)
class BlockDone:
    """A finished block: every pair of it, with state and reason. Blocks finish in any order."""

    number: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Slowed:
    """A lane does less than it might, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A lane has ended; `failure` says what ended it if it was not the end of the work."""

    failure: BaseException | None = None


Result = BlockDone | Slowed | Ended


class Runner(Protocol):
    """A lane of any engine: works until there are no more blocks or the world says stop."""

    def run(self) -> None: ...


MakeLane = Callable[[World[W], Tally], Runner]


class Crew(Generic[W]):
    """The lanes of one scan, started by `with` and ended with it. `results` has one `Ended` per lane at last.

    `load` makes a block's work of its number, `make_lane` one lane. `children` 0 runs one lane in a thread. `kept` finished
    blocks wait for a slow reader before the lanes do.
    """

    def __init__(
        self,
        load: Callable[[int], W],
        make_lane: MakeLane[W],
        blocks: Iterator[int],
        stop: threading.Event,
        children: int,
        kept: int = RESULTS_KEPT,
    ) -> None:
        self.results: queue.Queue[Result] = queue.Queue(kept)
        self.load, self.make_lane = load, make_lane
        self.tallies: list[Tally] = []
        self._blocks, self._lock = blocks, threading.Lock()
        self._stop, self._abandoned = stop, threading.Event()
        self._children = [Child(self) for _ in range(children)]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for at, child in enumerate(self._children):
            child.start(self._children[:at])
            self.tallies.append(child.tally)
        works = [child.serve for child in self._children] or [self._live]
        if not self._children:
            self.tallies.append(array("q", bytes(8 * TALLY_SIZE)))
        for work in works:
            self._threads.append(threading.Thread(target=self._report_end, args=(work,), name="connect", daemon=True))
            self._threads[-1].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandoned.set()
        for thread in self._threads:
            thread.join()
        for child in self._children:
            child.end()

    def next_number(self) -> int | None:
        """The next block to be measured by anybody."""
        with self._lock:
            return next(self._blocks, None)

    def put(self, result: Result) -> None:
        """Hand over to the reader, unless there is none any more."""
        while not self._abandoned.is_set():
            with suppress(queue.Full):
                self.results.put(result, timeout=LOOK)
                return

    def stopped(self) -> bool:
        return self._stop.is_set() or self._abandoned.is_set()

    # What a lane in this process sees of the world

    def take(self) -> W | None:
        number = self.next_number()
        return None if number is None else self.load(number)

    def give(self, work: W) -> None:
        self.put(BlockDone(work.number, work.batch()))

    def tell(self, why: str) -> None:
        self.put(Slowed(why))

    def finish(self) -> None:
        """The end of the lane's thread says it: what it has to close is closed before."""

    def _live(self) -> None:
        self.make_lane(self, self.tallies[0]).run()

    def _report_end(self, work: Callable[[], None]) -> None:
        """A thread's life. It has no caller to raise to, so the reader raises what ended it."""
        failure: BaseException | None = None
        try:
            work()
        except BaseException as raised:  # noqa: BLE001
            failure = raised
        self.put(Ended(failure))


class Child(Generic[W]):
    """One forked process with a lane, seen from both sides: `start`, `serve` and `end` in the parent, the rest in the child."""

    def __init__(self, crew: Crew[W]) -> None:
        self._crew = crew
        self._shared = mmap.mmap(-1, 8 * (TALLY_SIZE + 1))
        self._numbers = memoryview(self._shared).cast("q")
        self._has_ended = False
        self.tally = self._numbers[:TALLY_SIZE]
        self._near: Connection[Any, Any]
        self._far: Connection[Any, Any]

    def start(self, elder: list[Child[W]]) -> None:
        """Fork. `elder` children's pipes are closed in this one, so that each pipe ends with its parent."""
        context = multiprocessing.get_context("fork")
        self._near, self._far = context.Pipe()
        self._process = context.Process(target=self._live, args=(elder,), daemon=True)
        with warnings.catch_warnings():
            # Python 3.12 counts the idle threads of NumPy's linear algebra too; threads of our own there are none (may_fork).
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        self._far.close()

    def serve(self) -> None:
        """Give the child blocks and pass on its results until it ends."""
        while True:
            while not self._near.poll(LOOK):
                self._numbers[TALLY_SIZE] = self._crew.stopped()
            try:
                message = self._near.recv()
            except (EOFError, ConnectionError) as gone:
                raise PartialResult("a process of this scan was ended from outside", hint="resume the run") from gone
            if message == TAKE:
                with suppress(ConnectionError):  # the next recv says so
                    self._near.send(None if self._crew.stopped() else self._crew.next_number())
            elif message == END:
                self._has_ended = True
                return
            elif isinstance(message, BaseException):
                raise message
            else:
                self._crew.put(message)

    def end(self) -> None:
        """Wait for the process; it stops by itself within a second once it was told.

        One that has said its last word is left to end in peace: the kernel takes a tenth of a second to give back packet
        rings. `multiprocessing` picks it up with the next process or at the end of this one.
        """
        self._numbers[TALLY_SIZE] = 1
        self._near.close()
        if not self._has_ended:
            self._process.join(2)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
        self.tally.release()
        self._numbers.release()
        self._shared.close()

    def _live(self, elder: list[Child[W]]) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of the terminal; the parent decides
        gc.freeze()  # what came from the parent is never garbage here; looking through it would touch, and so copy, its memory
        self._near.close()
        for other in elder:
            other._near.close()
        with suppress(EOFError, ConnectionError):  # the parent is gone: so is the work
            try:
                self._crew.make_lane(self, self.tally).run()
                self.finish()
            except (EOFError, ConnectionError):
                raise
            except Exception as failure:  # noqa: BLE001
                failure.add_note(traceback.format_exc())
                self._far.send(failure)

    # What the lane in the child sees of the world

    def take(self) -> W | None:
        self._far.send(TAKE)
        number = self._far.recv()
        return None if number is None else self._crew.load(number)

    def give(self, work: W) -> None:
        self._far.send(BlockDone(work.number, work.batch()))

    def tell(self, why: str) -> None:
        self._far.send(Slowed(why))

    def finish(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._far.send(END)

    def stopped(self) -> bool:
        return bool(self._numbers[TALLY_SIZE])


def may_fork() -> bool:
    """Whether forking is safe here: on Linux, in a process that has no other threads of its own (a web server has)."""
    return sys.platform == "linux" and threading.active_count() == 1
