"""Scans that run in the background of a process (the web app): started, watched, stopped and paused by their run's id.

    prepare_scan, prepare_resume -> start -> a run in the store, and a thread that measures it once it is its turn
    state, wait, changes  -> how far it is (`live_state`)
    stop, pause, close    -> it ends as partial, with all that was measured saved, and can be prepared to go on from there

A few scans of a workspace run at a time, the others wait and say for what. What another process runs is not here:
`stored_state` tells of it what the store knows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from reconshield.errors import UserError
from reconshield.jobs.live_scan import HEARTBEAT, PACE, LiveScan, join_all
from reconshield.jobs.live_state import Found, How, LiveState, stored_state
from reconshield.jobs.ownership import end_abandoned
from reconshield.jobs.scan import Prepared, take_run
from reconshield.store.db import Store
from reconshield.store.runs import Run
from reconshield.text import plural

__all__ = ["Found", "LiveScans", "LiveState", "stored_state"]

LOG = logging.getLogger("reconshield.live")
AT_ONCE = 2
"""Scans of one workspace that run at the same time."""
REMEMBERED = 50
"""Ended scans whose last state stays here; of older ones the store tells."""

Key = tuple[str, str]


class LiveScans:
    """The scans of one process. A store that is given must stay open until its scans have ended."""

    def __init__(self, clock: Callable[[], float] = time.time, at_once: int = AT_ONCE) -> None:
        self._clock, self._at_once = clock, at_once
        self._lock = threading.Lock()
        self._scans: dict[Key, LiveScan] = {}
        self._queues: dict[str, deque[LiveScan]] = {}
        self._running: dict[str, set[LiveScan]] = {}
        self._closed = False

    def start(self, store: Store, prepared: Prepared, by: str) -> str:
        """Run a scan in the background; gives the id of its run, which exists when this returns."""
        self._check_free(store.workspace, prepared.run)
        run = take_run(store, prepared, self._clock())
        scan = LiveScan(store, prepared, run, by, self._clock)
        with self._lock:
            self._check_free(store.workspace, run)
            self._scans[store.workspace, run.id] = scan
            self._queues.setdefault(store.workspace, deque()).append(scan)
        self._begin_next(store.workspace)
        return run.id

    def stop(self, store: Store, run_id: str) -> bool:
        """End a scan; what it has measured stays. False when no scan of that id runs here."""
        return self._end(store.workspace, run_id, "stopped")

    def pause(self, store: Store, run_id: str) -> bool:
        """As `stop`, and remembered as paused: somebody means to go on."""
        return self._end(store.workspace, run_id, "paused")

    def state(self, workspace: str, run_id: str) -> LiveState | None:
        """How far a scan is; None when it does not run here and did not end here lately."""
        scan = self._find(workspace, run_id)
        return scan.state() if scan else None

    def wait(self, workspace: str, run_id: str, after_version: int, timeout: float) -> LiveState | None:
        """Block this thread until there is a newer state; None when there was none in time, or no such scan."""
        scan = self._find(workspace, run_id)
        return scan.wait(after_version, timeout) if scan else None

    async def changes(
        self,
        workspace: str,
        run_id: str,
        after_version: int = 0,
        *,
        pace: float = PACE,
        heartbeat: float = HEARTBEAT,
    ) -> AsyncIterator[LiveState]:
        """The present state if it is newer, then newer ones to the end, one each `pace` seconds at most; clients share them.

        Where nothing changes for `heartbeat` seconds the same state comes again. Nothing comes when no such scan runs here.
        """
        if scan := self._find(workspace, run_id):
            async for state in scan.changes(after_version, pace=pace, heartbeat=heartbeat):
                yield state

    def recover(self, store: Store) -> list[str]:
        """When a program starts: end as partial, so that they can be resumed, the runs of every workspace whose process on this
        machine died; their ids.
        """
        return end_abandoned(store, self._clock())

    def running(self, workspace: str) -> list[LiveState]:
        """The scans that have not ended, waiting ones too, in the order in which they were started."""
        with self._lock:
            scans = [scan for (where, _), scan in self._scans.items() if where == workspace and not scan.ended]
        return [scan.state() for scan in scans]

    def close(self, patience: float) -> None:
        """Ask all scans to end and wait for them, so that everything is saved; nothing is started any more."""
        with self._lock:
            self._closed = True
            open_ones = [scan for scan in self._scans.values() if not scan.ended]
        for scan in open_ones:
            self._end(scan.state().workspace, scan.run.id, "shutdown")
        for scan in join_all(open_ones, patience):
            LOG.warning("scan %s has not ended in %g s; its finished blocks are saved, resume it", scan.run.id, patience)

    def _check_free(self, workspace: str, run: Run | None) -> None:
        """Refuse what cannot be started: anything when the program ends, and a run that is measured here already."""
        if self._closed:
            raise UserError("the program is ending, so no scan is started", hint="try again when it is up")
        live = self._scans.get((workspace, run.id)) if run else None
        if run and live and not live.ended:
            raise UserError("this run is being measured", where=run.id, hint="watch it, or stop it first")

    def _find(self, workspace: str, run_id: str) -> LiveScan | None:
        with self._lock:
            return self._scans.get((workspace, run_id))

    def _end(self, workspace: str, run_id: str, how: How) -> bool:
        """Ask a scan to end. One that waits gets its thread at once, in which it ends as one that measured nothing."""
        scan = self._find(workspace, run_id)
        if scan is None or not scan.ask(how):
            return False
        with self._lock:
            queue = self._queues.get(workspace, deque())
            if scan in queue:
                queue.remove(scan)
                self._launch(workspace, scan)
        return True

    def _begin_next(self, workspace: str) -> None:
        """Start what has its turn, and tell the others how long the queue is."""
        with self._lock:
            queue, running = self._queues.setdefault(workspace, deque()), self._running.setdefault(workspace, set())
            while queue and len(running) < self._at_once:
                self._launch(workspace, queue.popleft())
            for before, scan in enumerate(queue):
                ahead = f", and {before} before it in the queue" if before else ""
                scan.say_waiting(
                    f"{plural(len(running), 'scan', 'scans')} of this workspace at a time; waits for its turn{ahead}"
                )

    def _launch(self, workspace: str, scan: LiveScan) -> None:
        self._running.setdefault(workspace, set()).add(scan)
        scan.thread = threading.Thread(target=self._work, args=(workspace, scan), name=f"scan {scan.run.id}", daemon=True)
        scan.thread.start()

    def _work(self, workspace: str, scan: LiveScan) -> None:
        """A scan's thread, and after it the turn of the next one."""
        scan.work()
        with self._lock:
            self._running[workspace].discard(scan)
            over = [key for key, each in self._scans.items() if each.ended]
            for key in over[: max(0, len(over) - REMEMBERED)]:
                del self._scans[key]
        self._begin_next(workspace)
