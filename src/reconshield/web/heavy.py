"""Work on large runs, a little at a time: exports, comparisons and judging again read a run whole, which takes seconds of CPU.

Small runs go through at once. Of large ones two are worked on at a time in a process; who comes third waits a moment and is
asked to come again. So nobody slows everybody else down by asking often; for the same reason an account watches so many scans
at a time and no more.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from reconshield.errors import UserError
from reconshield.store.runs import Run

LARGE = 1000
"""Open endpoints from which on a run is large."""
PATIENCE = 10.0
SLOTS = threading.BoundedSemaphore(2)


WATCHED = 20
"""Scans that one account watches live at the same time, in all of its windows."""
WATCHING: Counter[tuple[str, str]] = Counter()


class Busy(UserError):
    """Others are being served; there is room again soon."""


def is_large(run: Run) -> bool:
    return int((run.summary or {}).get("open", 0)) > LARGE


@contextmanager
def room_for(*runs: Run) -> Iterator[None]:
    """Holds a place while large runs are read. Raises Busy when none becomes free in time."""
    if not any(map(is_large, runs)):
        yield
        return
    if not SLOTS.acquire(timeout=PATIENCE):
        raise Busy("two large runs are being read for others", where=runs[0].id, hint="try again in a minute")
    try:
        yield
    finally:
        SLOTS.release()


@contextmanager
def watching(workspace: str, account: str) -> Iterator[None]:
    """Counts a live view for as long as it is open; on the event loop only, so without a lock."""
    WATCHING[workspace, account] += 1
    try:
        yield
    finally:
        WATCHING[workspace, account] -= 1
        if not WATCHING[workspace, account]:
            del WATCHING[workspace, account]


def refuse_crowd(workspace: str, account: str) -> None:
    if WATCHING[workspace, account] >= WATCHED:
        raise Busy(f"{WATCHED} scans are being watched with this account", where=account, hint="close some windows")
