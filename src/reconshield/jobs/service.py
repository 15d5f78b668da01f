"""The processes that stay: a monitor (schedules, alerts, and measuring too) and a worker (measuring only).

    monitor   every second: `monitor.tick`; beside it a thread that empties the outbox and one that says "I am here"
    worker    waits for shares of scans from its vantage

They may be killed at any moment, and that is also how they stop: on SIGTERM they leave the list of living processes and end.
What they were at is taken up by others, or by themselves when they are started again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from reconshield.errors import UserError
from reconshield.jobs import executors, monitor
from reconshield.jobs.channels import Way, ready_channels
from reconshield.jobs.deliver import Delivered, Rest, deliver_due
from reconshield.jobs.policy import load_policy, locate_policy
from reconshield.jobs.scheduled import ATTEMPTS, Begun, Part
from reconshield.policy import Policy
from reconshield.settings import Settings
from reconshield.store import occurrences as kept
from reconshield.store.db import Store
from reconshield.store.occurrences import Executor, Occurrence

LOOK = 1.0
RESCUE_EVERY = 5.0
SWEEP_EVERY = 3600.0
Tell = Callable[[str], None]


@dataclass
class PolicyFile:
    """The policy as the file has it now. A file that has become wrong is told about, and the last good one stays in force."""

    settings: Settings
    given: Path | None
    tell: Tell
    policy: Policy = field(init=False)
    ways: dict[str, Way] = field(init=False)
    seen: float = field(init=False)

    def __post_init__(self) -> None:
        self.path = locate_policy(self.settings.home, self.given)
        self.policy = load_policy(self.settings.home, self.given)
        self.ways = ready_channels(self.policy)
        self.seen = self.stamp()

    def stamp(self) -> float:
        try:
            return self.path.stat().st_mtime if self.path else 0.0
        except OSError:
            return 0.0

    def renew(self) -> None:
        """Read the file again if it has been written since."""
        stamp = self.stamp()
        if stamp == self.seen:
            return
        self.seen = stamp
        try:
            policy = load_policy(self.settings.home, self.given)
            ways = ready_channels(policy)
        except UserError as error:
            where = f" ({error.where})" if error.where else ""
            self.tell(f"warning: the policy has an error, the one before stays in force: {error.message}{where}")
            return
        self.policy, self.ways = policy, ways
        self.tell("the policy was read again")


class MonitorService:
    """A monitor: what it holds, and its three loops. Made and run once in a process."""

    def __init__(self, store: Store, settings: Settings, policy: Path | None, tell: Tell, clock: Callable[[], float]) -> None:
        self.store, self.tell, self.clock = store, tell, clock
        self.file = PolicyFile(settings, policy, tell)
        from reconshield.jobs.durable import Durable  # after the policy: a mistake in it is told at once

        self.me = executors.new_executor("monitor", settings.vantage, clock())
        self.watch, self.rest = monitor.Watch(), Rest()
        kept.sign_of_life(store, self.me)
        self.durable = Durable(store, settings, self.me, clock, self.conclude)
        self.rescued_at = self.swept_at = 0.0

    def conclude(self, occurrence: Occurrence, begun: Begun, parts: Sequence[Part]) -> str:
        state = monitor.conclude(self.store, self.file.policy, occurrence, begun, parts, self.clock())
        self.tell(
            f"{occurrence.schedule}: {state}" + (f", run {begun.run}" if begun.run else f", {begun.refused or begun.failed}")
        )
        return state

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        threads = [threading.Thread(target=loop, args=(stop,), daemon=True) for loop in (self.deliver, self.beat)]
        for thread in threads:
            thread.start()
        while not stop.is_set():
            self.look()
            stop.wait(LOOK)

    def look(self) -> None:
        """One look at everything, the database being away included: that is told and tried again."""
        now = self.clock()
        try:
            self.file.renew()
            if not self.rescued_at <= now < self.rescued_at + RESCUE_EVERY:
                self.rescued_at = now
                self.take_up(now)
            living = executors.living(self.store, now)
            monitor.tick(self.store, self.file.policy, self.watch, living, self.durable.start, now)
        except UserError as error:
            self.tell(f"warning: {error.message}; tried again")

    def take_up(self, now: float) -> None:
        """What dead processes left, and scans whose workflow is gone."""
        if number := self.durable.rescue(now):
            self.tell(f"{number} parts of scans taken over from processes that ended")
        for occurrence in kept.unfinished(self.store):
            if occurrence.state == "running" and (why := self.durable.ended_badly(occurrence)):
                self.begin_again(occurrence, why, now)
        if not self.swept_at <= now < self.swept_at + SWEEP_EVERY:
            self.swept_at = now
            self.durable.sweep_out(now)
            executors.forget_dead(self.store, now)

    def begin_again(self, occurrence: Occurrence, why: str, now: float) -> None:
        """A scan whose workflow was lost before it was queued, or failed: it waits again, for a few times."""
        if why == "lost" or occurrence.attempts < ATTEMPTS:
            note = None if why == "lost" else f"begins again after {why}"
            kept.change_occurrence(self.store, occurrence.schedule, occurrence.slot, state="waiting", note=note)
        else:
            monitor.conclude(self.store, self.file.policy, occurrence, Begun(failed=why), [], now)

    def deliver(self, stop: threading.Event) -> None:
        """Empty the outbox, without end."""
        while not stop.is_set():
            try:
                done = deliver_due(self.store, self.file.ways, self.clock, self.rest)
            except UserError as error:
                self.tell(f"warning: {error.message}; alerts wait")
                done = Delivered()
            if done == Delivered():
                stop.wait(LOOK)

    def beat(self, stop: threading.Event) -> None:
        beat(self.store, self.me, self.tell, self.clock, stop)


def beat(store: Store, me: Executor, tell: Tell, clock: Callable[[], float], stop: threading.Event) -> None:
    """Say again and again that this process is there."""
    while not stop.wait(executors.BEAT):
        try:
            kept.sign_of_life(store, replace(me, seen=clock()))
        except UserError as error:
            tell(f"warning: {error.message}; tried again")


def run_worker(store: Store, settings: Settings, tell: Tell, stop: threading.Event) -> Executor:
    """Measure what monitors put into the queue of this vantage, until `stop` is set."""
    from reconshield.jobs.durable import Durable

    me = executors.new_executor("worker", settings.vantage, time.time())
    kept.sign_of_life(store, me)
    Durable(store, settings, me, time.time, None)
    tell(f"worker {me.name} measures from {settings.vantage}")
    beat(store, me, tell, time.time, stop)
    return me


def leave(store: Store, me: Executor) -> NoReturn:
    """End this process now. What it was at is taken up by others at once, for it is no longer listed; nothing waits for it."""
    kept.remove_executor(store, me.name)
    os._exit(0)
