"""A monitor whose clock the test turns: real scans of loopback listeners, no workflow engine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engines import new_store
from reconshield.addresses import AddressSet
from reconshield.jobs import executors, monitor, scheduled
from reconshield.jobs.alerting import list_alerts
from reconshield.jobs.policy import known_names
from reconshield.jobs.scheduled import Begun, Part
from reconshield.policy import Policy, read_policy
from reconshield.schedule import Opening
from reconshield.settings import Settings
from reconshield.store.db import Store
from reconshield.store.occurrences import Occurrence

HOUR, DAY = 3600.0, 86400.0
NOON = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
PLACE = f"127.{120 + os.getpid() % 100}.{os.getpid() % 251}"
"""Loopback addresses of this process alone: tests run side by side."""
HOST = f"{PLACE}.5"

HEAD = f"""
version = 1
[[zone]]
name = "own"
targets = ["{PLACE}.0/28"]
owner = "Ada"
criticality = "high"
[[channel]]
name = "log"
kind = "file"
path = "unused"
[[route]]
to = ["log"]
"""


def policy_of(*tables: str) -> Policy:
    found, problems = read_policy("\n".join([HEAD, *tables]), "reconshield.toml", known_names())
    assert not problems
    assert found is not None
    return found


def schedule(**changed: str) -> str:
    keys = {"name": '"hourly"', "targets": '"own"', "ports": '"7100-7103"', "every": '"1h"', "level": "2"} | changed
    return "[[schedule]]\n" + "\n".join(f"{key} = {value}" for key, value in keys.items() if value)


@dataclass
class Desk:
    """A monitor whose clock is turned by hand, and which measures at once what it starts."""

    store: Store
    settings: Settings
    policy: Policy
    now: float = NOON
    watch: monitor.Watch = field(default_factory=monitor.Watch)
    states: list[str] = field(default_factory=list)
    manned: bool = True
    stop_after: float | None = None

    def look(self, after: float = 0.0) -> None:
        self.now += after
        here = [executors.new_executor("monitor", "local", self.now)] if self.manned else []
        monitor.tick(self.store, self.policy, self.watch, here, self.work, self.now)

    def run(self, seconds: float, step: float = 600.0) -> None:
        end = self.now + seconds
        while self.now < end:
            self.look(step)

    def work(self, occurrence: Occurrence, opening: Opening, dark: AddressSet) -> None:
        if not self.manned:
            return
        begun, parts = work_off(self, occurrence, opening, dark)
        self.states.append(monitor.conclude(self.store, self.policy, occurrence, begun, parts, self.now))

    def alerts(self) -> list[tuple[str, str]]:
        return [(m.event.kind, m.status) for m in reversed(list_alerts(self.store, everything=True))]

    def subjects(self) -> list[str]:
        return [m.event.title for m in list_alerts(self.store)]


def work_off(desk: Desk, occurrence: Occurrence, opening: Opening, dark: AddressSet) -> tuple[Begun, Sequence[Part]]:
    """What the workflow does, in one process and two shares."""
    begun = scheduled.begin(desk.store, desk.settings, occurrence, dark, desk.now)
    if begun.run is None:
        return begun, []
    until = desk.stop_after if desk.stop_after is not None else opening.until
    rate = occurrence.request["rate"]
    work = [scheduled.measure(desk.store, desk.settings, begun.run, (n, 2), rate, until, lambda: desk.now) for n in range(2)]
    return begun, [*work, scheduled.identify(desk.store, desk.settings, begun.run, until, lambda: desk.now)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with new_store(str(tmp_path / "x.db")) as store:
        yield Desk(store, Settings(tmp_path, store.where, "main", "local"), policy_of(schedule()))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 7101)) as opened:
        yield opened
