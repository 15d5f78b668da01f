"""How the monitoring is: each schedule, each process, each channel, and what of it is in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reconshield.jobs import executors
from reconshield.jobs.policy import find_policy
from reconshield.policy import Policy
from reconshield.report.line_types import MonitorLine
from reconshield.settings import Settings
from reconshield.store import occurrences as kept
from reconshield.store import outbox
from reconshield.store.alerts import count_alerts
from reconshield.store.db import Store
from reconshield.store.occurrences import Executor, Occurrence
from reconshield.text import count, duration, iso_time, local_time, plural, printable


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """One schedule: its newest occurrence, its last whole measurement, when it is next due. Times are Unix seconds."""

    name: str
    vantage: str
    newest: Occurrence | None
    complete: float | None
    following: float | None
    fresh: float
    stale: bool


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """Everything at one moment."""

    at: float
    schedules: tuple[ScheduleStatus, ...]
    processes: tuple[Executor, ...]
    queue: dict[str, dict[str, int]]
    alerts: dict[str, int]

    @property
    def troubled(self) -> bool:
        """Whether somebody should look: something is stale or dead, or schedules exist and no monitor runs."""
        unwatched = bool(self.schedules) and not any(process.role == "monitor" for process in self.processes)
        return unwatched or any(s.stale for s in self.schedules) or any(outbox.DEAD in states for states in self.queue.values())


def monitor_status(store: Store, settings: Settings, given: Path | None, now: float) -> MonitorStatus:
    """Gather it from the store; without a policy file there are no schedules to show."""
    return status_by(store, find_policy(settings.home, given) or Policy(), now)


def status_by(store: Store, policy: Policy, now: float) -> MonitorStatus:
    """The same, by a policy that was read already."""
    return MonitorStatus(
        at=now,
        schedules=tuple(schedule_statuses(store, policy, now)),
        processes=tuple(executors.living(store, now)),
        queue=outbox.count_deliveries(store),
        alerts=count_alerts(store),
    )


def schedule_statuses(store: Store, policy: Policy, now: float) -> Iterator[ScheduleStatus]:
    complete, first = kept.last_complete(store), kept.first_known(store)
    for schedule in policy.schedules:
        since = complete.get(schedule.name, first.get(schedule.name))
        yield ScheduleStatus(
            name=schedule.name,
            vantage=schedule.vantage,
            newest=kept.newest(store, schedule.name),
            complete=complete.get(schedule.name),
            following=schedule.rhythm.following(now) if schedule.rhythm else None,
            fresh=schedule.fresh_seconds,
            stale=since is not None and now - since > schedule.fresh_seconds,
        )


def status_lines(status: MonitorStatus) -> Iterator[str]:
    """For people."""
    if not status.schedules:
        yield "No schedules: the policy has no [[schedule]], or there is no policy file here."
    for schedule in status.schedules:
        state = schedule.newest.state if schedule.newest else "not yet due"
        mark = "!" if schedule.stale else " "
        whole = f"whole {duration(max(status.at - schedule.complete, 0))} ago" if schedule.complete else "never whole"
        due = f"next {local_time(schedule.following)}" if schedule.following else "never due"
        yield f"{mark} {schedule.name}  {state} · {whole} (target {duration(schedule.fresh)}) · {due} · from {schedule.vantage}"
        if schedule.newest and schedule.newest.note:
            yield f"    {printable(schedule.newest.note, 150)}"
    if status.processes:
        for process in status.processes:
            yield f"  {process.role} {process.name} · from {process.vantage} · started {local_time(process.started)}"
    else:
        yield "! no monitor and no worker is running"
    for channel, states in sorted(status.queue.items()):
        parts = [f"{count(number)} {state}" for state, number in sorted(states.items())]
        yield f"{'!' if outbox.DEAD in states else ' '} channel {channel}: {', '.join(parts)}"
    total = sum(status.alerts.values())
    yield f"  {plural(total, 'alert stands', 'alerts stand')}" + (f": {worst(status.alerts)}" if total else "")


def worst(alerts: dict[str, int]) -> str:
    order = ("critical", "high", "medium", "low", "info")
    return ", ".join(f"{alerts[name]} {name}" for name in order if name in alerts)


def status_data(status: MonitorStatus) -> MonitorLine:
    """For programs."""
    return {
        "v": 1,
        "type": "monitor",
        "at": iso_time(status.at),
        "troubled": status.troubled,
        "schedules": [
            {
                "name": s.name,
                "vantage": s.vantage,
                "state": s.newest.state if s.newest else None,
                "run": s.newest.run if s.newest else None,
                "note": s.newest.note if s.newest else None,
                "whole": iso_time(s.complete) if s.complete else None,
                "next": iso_time(s.following) if s.following else None,
                "fresh_seconds": s.fresh,
                "stale": s.stale,
            }
            for s in status.schedules
        ],
        "processes": [
            {"name": p.name, "role": p.role, "host": p.host, "pid": p.pid, "vantage": p.vantage, "started": iso_time(p.started)}
            for p in status.processes
        ],
        "channels": status.queue,
        "alerts": status.alerts,
    }
