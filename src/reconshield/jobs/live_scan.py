"""One scan that runs in a thread, and its state for whoever watches.

    run_scan's events -> the counts here, under a lock, a version higher with each
    state()           -> one frozen record, shared by all who ask until something changes
    wait, changes     -> the next newer one: for a thread, and for any number of clients on an event loop

A client costs a future while it waits and nothing else. Whatever ends the scan, its end is told: a crash as one line.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from reconshield.errors import UserError, describe_bug
from reconshield.jobs.dry_run import held_ports
from reconshield.jobs.live_state import NEWEST, Found, How, LiveState, Pace, found_of
from reconshield.jobs.ownership import end_early
from reconshield.jobs.scan import Event, Finished, Identified, Identifying, Measured, Measuring, Prepared, run_scan
from reconshield.model import Endpoint, State
from reconshield.scan.batch import Batch, records
from reconshield.store.db import Store
from reconshield.store.observations import count_open_of
from reconshield.store.runs import Run, note_ending

LOG = logging.getLogger("reconshield.live")
PACE, HEARTBEAT = 0.2, 15.0
"""Seconds between two states that a client is sent at least, and after which it gets the same one again at most."""


class LiveScan:
    """A scan before, while and after it runs. `work` is what its thread does; all else may be called from any thread."""

    def __init__(self, store: Store, prepared: Prepared, run: Run, by: str, clock: Callable[[], float]) -> None:
        self.run, self.thread = run, threading.Thread(target=lambda: None)
        self._store, self._prepared, self._clock = store, replace(prepared, run=run), clock
        self._stop, self._how = threading.Event(), None
        self._changed = threading.Condition()
        self._waiters: dict[asyncio.AbstractEventLoop, set[asyncio.Future[None]]] = {}
        self._newest: dict[Endpoint, Found] = {}
        self._shown: LiveState | None = None
        self._pace, self._before = Pace(), count_open_of(store, run.id)
        self._state = LiveState(
            run=run.id,
            workspace=store.workspace,
            phase="waiting",
            done=0,
            total=sum(prepared.plan.block_length(block) for block in prepared.blocks),
            open=self._before,
            held=tuple((kind, tuple(ports)) for kind, ports in held_ports(prepared).items()),
            version=1,
            by=by,
            started=run.started,
        )

    _how: How | None

    def state(self) -> LiveState:
        """How far it is now."""
        with self._changed:
            if self._shown is None:
                self._shown = replace(self._state, newest=tuple(reversed(self._newest.values())))
            return self._shown

    @property
    def ended(self) -> bool:
        return self._state.phase == "ended"

    def ask(self, how: How) -> bool:
        """Ask it to end. False when it has ended, or was asked before."""
        with self._changed:
            if self.ended or self._stop.is_set():
                return False
            self._how = how
            self._stop.set()
            self._change(stopping=True)
            return True

    def say_waiting(self, why: str) -> None:
        with self._changed:
            if self._state.waiting != why:
                self._change(waiting=why)

    def wait(self, after_version: int, timeout: float) -> LiveState | None:
        """Block this thread until there is a newer state; None when there was none in time."""
        with self._changed:
            newer = self._changed.wait_for(lambda: self._state.version > after_version, timeout)
        return self.state() if newer else None

    async def changes(
        self, after_version: int = 0, *, pace: float = PACE, heartbeat: float = HEARTBEAT
    ) -> AsyncIterator[LiveState]:
        """The present state if it is newer, then newer ones to the end; the same one again where nothing changes for long."""
        seen = after_version
        while True:
            if self._state.version <= seen and not self.ended:
                await self._next(seen, heartbeat)
            state = self.state()
            if state.version > seen or state.phase != "ended":
                yield state
            if state.phase == "ended":
                return
            seen = state.version
            await asyncio.sleep(pace)

    async def _next(self, seen: int, heartbeat: float) -> None:
        """Until something changes, or `heartbeat` seconds have passed."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._changed:
            if self._state.version > seen:
                return
            self._waiters.setdefault(loop, set()).add(future)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(future, heartbeat)
        finally:
            with self._changed:
                self._waiters.get(loop, set()).discard(future)

    def _change(self, **fields: Any) -> None:
        """A newer state, told to all who wait; to be called under the lock."""
        self._state, self._shown = replace(self._state, version=self._state.version + 1, **fields), None
        self._changed.notify_all()
        waiters, self._waiters = self._waiters, {}
        for loop, futures in waiters.items():
            if futures:
                with suppress(RuntimeError):  # a loop that is closed has no clients any more
                    loop.call_soon_threadsafe(_wake, futures)

    def work(self) -> None:
        """Run the scan to its end, and tell the end whatever it is. Never raises."""
        error = None
        try:
            for event in run_scan(self._store, self._prepared, self._clock, self._stop):
                self._take(event)
            self._note_ending()
        except UserError as problem:
            error = f"{problem.message} ({problem.where.splitlines()[0]})" if problem.where else problem.message
            LOG.error("scan %s ended early: %s", self.run.id, error)  # noqa: TRY400 - a user error is told, not traced
        except Exception as problem:  # noqa: BLE001 - a thread has no caller; the bug is named here and in the state
            error, about = describe_bug(problem)
            LOG.error("%s\n  where  scan %s, %s\n  next   what was saved is kept: resume it", error, self.run.id, about)  # noqa: TRY400
        if error is not None:
            self._how = "crashed"
            self._end_crashed(error)
        with self._changed:
            outcome = self._state.outcome or "partial"
            how = self._how if outcome != "complete" else None
            self._change(phase="ended", outcome=outcome, ending=how, error=error, stopping=False, waiting=None, eta=None)

    def _take(self, event: Event) -> None:
        """Take in what the scan says."""
        with self._changed:
            match event:
                case Measuring(done, total, opened, rate, slowed, loss):
                    eta = self._pace.eta(self._clock(), done, total)
                    found = max(self._state.open, self._before + opened)
                    self._change(done=done, total=total, open=found, rate=rate, slowed=slowed, loss=loss, eta=eta)
                case Measured(batch):
                    self._note_open(batch)
                case Identifying(done, total):
                    self._pace = Pace() if self._state.phase != "identifying" else self._pace
                    eta = self._pace.eta(self._clock(), done, total)
                    self._change(phase="identifying", identified=done, to_identify=total, rate=None, slowed=None, eta=eta)
                case Identified(rated):
                    self._note(found_of(rated))
                    self._change()
                case Finished(summary):
                    self._change(done=summary.measured, open=summary.open, outcome=summary.state)
                case _:
                    self._change(phase="measuring", waiting=None)

    def _note_open(self, batch: Batch) -> None:
        """The last open endpoints of a finished block. What answers while others are identified was not counted before."""
        opened = batch[batch["state"] == State.OPEN]
        for seen in records(opened[opened["at"].argsort(kind="stable")][-NEWEST:]):
            self._note(Found(seen.endpoint, seen.at))
        more = len(opened) if self._state.phase == "identifying" else 0
        self._change(open=self._state.open + more)

    def _note(self, found: Found) -> None:
        """Put an endpoint in front, or what is known of it now in the place that it has: the list does not jump."""
        self._newest[found.endpoint] = found
        while len(self._newest) > NEWEST:
            del self._newest[next(iter(self._newest))]

    def _note_ending(self) -> None:
        """Remember in the store what ended it before it was whole."""
        if self._how is not None and self._state.outcome == "partial":
            note_ending(self._store, self.run.id, {"how": self._how, "at": self._clock()})

    def _end_crashed(self, error: str) -> None:
        """End the run as far as it came. Where even that fails, it stays `running` in the store, as one that was killed."""
        try:
            end_early(self._store, self.run, self._prepared.blocks, error, self._clock())
        except Exception as problem:  # noqa: BLE001 - the first error is the one to tell; this one is logged beside it
            LOG.error("scan %s could not be ended in the store: %s", self.run.id, describe_bug(problem)[0])  # noqa: TRY400


def _wake(futures: set[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


def join_all(scans: list[LiveScan], patience: float) -> list[LiveScan]:
    """Wait for scans that were asked to end; those that have not within `patience` seconds."""
    deadline = time.monotonic() + patience
    for scan in scans:
        if scan.thread.is_alive():
            scan.thread.join(max(0.0, deadline - time.monotonic()))
    return [scan for scan in scans if not scan.ended]
