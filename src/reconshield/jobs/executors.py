"""Monitors and workers say that they are there; what a dead one was at is found and given to others."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from reconshield.host.processes import is_running, machine_name, this_process
from reconshield.store.db import Store
from reconshield.store.occurrences import Executor, executors, remove_executor

BEAT = 5.0
"""Seconds between two signs of life."""
DEAD_AFTER = 30.0
"""Without a sign for so long a process is taken for dead."""
HIDDEN_AFTER = 2 * BEAT + 1
"""The same, where this machine shows no process of that number."""
FORGET_AFTER = 3600.0


def new_executor(role: str, vantage: str, now: float) -> Executor:
    """This process, under a name that no other ever had."""
    pid, started = this_process()
    name = f"{role}-{machine_name()}-{pid}-{secrets.token_hex(3)}"
    return Executor(name, machine_name(), pid, started, now, role, vantage)


def living(store: Store, now: float) -> list[Executor]:
    """The processes that are there."""
    return [executor for executor in executors(store) if is_alive(executor, now)]


def is_alive(executor: Executor, now: float) -> bool:
    """By its last sign; one on this machine that runs no more is dead a little earlier.

    A process of another user, or in a container, may be hidden from us: while it gives signs of life it lives.
    """
    silent = now - executor.seen
    if executor.host == machine_name() and not is_running(executor.pid, executor.started):
        return silent <= HIDDEN_AFTER
    return silent <= DEAD_AFTER


def forget_dead(store: Store, now: float) -> list[str]:
    """Remove the rows of processes that died long ago; their names."""
    gone = [e.name for e in executors(store) if not is_alive(e, now) and now - e.seen > FORGET_AFTER]
    for name in gone:
        remove_executor(store, name)
    return gone


def is_dead(name: str | None, alive: Iterable[Executor]) -> bool:
    return name is not None and name not in {executor.name for executor in alive}
