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
QUEUE = threading.BoundedSemaphore(8)
"""Who may wait for a place at the same time."""


WATCHED = 20
"""Scans that one account watches live at the same time, in all of its windows."""
WATCHING: Counter[tuple[str, str]] = Counter()
COUNTING = threading.RLock()  # a seat may be given back in the middle of taking one


class Busy(UserError):
    """Others are being served; there is room again soon."""

    seconds = 60.0


def is_large(run: Run) -> bool:
    return int((run.summary or {}).get("open", 0)) > LARGE


@contextmanager
def room_for(*runs: Run) -> Iterator[None]:
    """Holds a place while large runs are read. Raises Busy when none becomes free in time."""
    if not any(map(is_large, runs)):
        yield
        return
    with slot("two large runs are being read for others", runs[0].id):
        yield


@contextmanager
def turn(what: str) -> Iterator[None]:
    """Holds a place for work that takes seconds of CPU whatever it is about: traffic, rules, proofs."""
    with slot("work of this size is being done for others", what):
        yield


@contextmanager
def slot(why: str, what: str) -> Iterator[None]:
    """Holds a place. Who waits holds one of the threads that answer everybody, so only a few may."""
    if not QUEUE.acquire(blocking=False):
        raise Busy(why, where=what, hint="try again in a minute")
    try:
        found = SLOTS.acquire(timeout=PATIENCE)
    finally:
        QUEUE.release()
    if not found:
        raise Busy(why, where=what, hint="try again in a minute")
    try:
        yield
    finally:
        SLOTS.release()


class Seat:
    """A live view that is counted from before its first word to its end; one that never began is given back when it is gone."""

    def __init__(self, workspace: str, account: str) -> None:
        self._key: tuple[str, str] | None = None
        with COUNTING:
            if WATCHING[workspace, account] >= WATCHED:
                raise Busy(f"{WATCHED} scans are being watched with this account", where=account, hint="close some windows")
            WATCHING[workspace, account] += 1
            self._key = workspace, account

    def leave(self) -> None:
        with COUNTING:
            key, self._key = self._key, None
            if key is not None:
                WATCHING[key] -= 1
                if not WATCHING[key]:
                    del WATCHING[key]

    __del__ = leave
