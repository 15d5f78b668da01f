"""Silence is an alarm: a scan that did not happen, was refused, or measured less than was planned, and zones that grow stale.

Each has a fingerprint of its own for a schedule, and is over when the schedule has measured everything again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconshield.alert.message import Alert, Ending, Event, fingerprint
from reconshield.jobs.scheduled import find_schedule
from reconshield.model import Severity
from reconshield.policy import Policy, Schedule
from reconshield.report.result import Summary
from reconshield.store import occurrences as kept
from reconshield.store.db import Store
from reconshield.store.occurrences import Executor, Occurrence
from reconshield.text import count, duration, local_time

STALE, MISSED, PARTIAL, REFUSED = "stale", "scan-missed", "scan-partial", "scan-refused"
OF_SCHEDULE = (STALE, MISSED, PARTIAL, REFUSED)


def mark_of(kind: str, schedule: str) -> str:
    """The fingerprint of one kind of silence of one schedule."""
    return fingerprint(kind, schedule)


def find_stale(store: Store, policy: Policy, executors: Iterable[Executor], now: float) -> list[Event]:
    """Schedules whose last whole measurement is older than they allow. One that never ran counts from when it was first due."""
    complete, first = kept.last_complete(store), kept.first_known(store)
    vantages = {executor.vantage for executor in executors}
    events = []
    for schedule in policy.schedules:
        since = complete.get(schedule.name, first.get(schedule.name))
        if since is None or now - since <= schedule.fresh_seconds:
            continue
        events.append(stale_event(store, policy, schedule, schedule.vantage in vantages, since, now))
    return events


def stale_event(store: Store, policy: Policy, schedule: Schedule, manned: bool, since: float, now: float) -> Event:
    last = kept.newest(store, schedule.name)
    unmanned = f"no worker measures from {schedule.vantage}"
    reason = unmanned if not manned else (last.note if last and last.note else "")
    tried = f"; last try: {reason}" if reason else ""
    event = schedule_event(
        policy,
        schedule,
        STALE,
        title=f"no whole scan for {duration(now - since)} (target {duration(schedule.fresh_seconds)}){tried}",
        what=f"schedule {schedule.name} has not measured all of its endpoints since {local_time(since)}",
        do=("reconshield monitor status", "reconshield worker    on the machine that measures from there"),
        now=now,
    )
    basis = f"{STALE} {schedule.name} {'' if manned else unmanned}"
    return replace(event, since=(since, None), before="measured", basis=basis)


def missed_event(policy: Policy, occurrence: Occurrence, now: float) -> Event | None:
    """A slot that passed without its scan; None when the policy has no such schedule any more."""
    schedule = next((s for s in policy.schedules if s.name == occurrence.schedule), None)
    if schedule is None:
        return None
    return schedule_event(
        policy,
        schedule,
        MISSED,
        title=f"the scan due at {local_time(occurrence.slot)} did not happen",
        what=f"schedule {schedule.name}: {occurrence.note or 'no reason is known'}",
        do=("reconshield monitor status",),
        now=now,
    )


def not_begun_event(policy: Policy, occurrence: Occurrence, reason: str, *, refused: bool, now: float) -> Event:
    """A scan that was refused for want of a grant, or could not begin for another mistake: nothing was sent."""
    schedule = find_schedule(policy, occurrence)
    event = schedule_event(
        policy,
        schedule,
        REFUSED if refused else MISSED,
        title=f"refused: {reason}" if refused else f"the scan could not begin: {reason}",
        what=f"schedule {schedule.name}, due at {local_time(occurrence.slot)}",
        do=('reconshield grant add TARGET --by "NAME"',) if refused else ("reconshield policy check",),
        now=now,
    )
    return replace(event, basis=f"{event.basis} {reason}")


def partial_event(policy: Policy, occurrence: Occurrence, summary: Summary, reason: str | None, now: float) -> Event:
    """A scan that measured less than was planned, and will not go on by itself."""
    schedule, run = find_schedule(policy, occurrence), occurrence.run
    event = schedule_event(
        policy,
        schedule,
        PARTIAL,
        title=f"only {count(summary.measured)} of {count(summary.probes)} endpoints measured",
        what=f"run {run} of schedule {schedule.name}: {reason or 'it ended early'}",
        do=(f"reconshield report {run}", f"reconshield scan --resume {run}"),
        now=now,
    )
    return replace(event, also=("coverage-lost",), run=run, proof=f"reconshield report {run}")


def schedule_event(
    policy: Policy, schedule: Schedule, kind: str, *, title: str, what: str, do: tuple[str, ...], now: float
) -> Event:
    """An event about a schedule; high where something critical is not looked at, else medium."""
    zone = next((zone for zone in policy.zones if zone.name == schedule.targets[0]), None)
    critical = any(zone.criticality == "high" and zone.area & schedule.area for zone in policy.zones)
    return Event(
        fingerprint=mark_of(kind, schedule.name),
        kind=kind,
        severity=Severity.HIGH if critical else Severity.MEDIUM,
        title=f"{places(schedule)}: {title}",
        what=what,
        why="what is not measured is not known to be closed, and what opens there is seen by nobody",
        do=do,
        at=now,
        zone=zone.name if zone else None,
        owner=zone.owner if zone else None,
        vantage=schedule.vantage,
        basis=f"{kind} {schedule.name}",
    )


def measured_again(occurrence: Occurrence, now: float) -> list[Ending]:
    """What a whole measurement puts an end to."""
    return [Ending(mark_of(kind, occurrence.schedule), "measured again", now) for kind in OF_SCHEDULE]


def granted_again(occurrence: Occurrence, now: float) -> list[Ending]:
    """A scan that could start is refused no more, whatever else becomes of it."""
    return [Ending(mark_of(REFUSED, occurrence.schedule), "allowed again", now)]


def gone_schedules(policy: Policy, standing: Iterable[Alert], now: float) -> list[Ending]:
    """Silence of schedules that the policy has no more: nobody expects them to measure."""
    names = {mark_of(kind, schedule.name) for schedule in policy.schedules for kind in OF_SCHEDULE}
    return [
        Ending(alert.event.fingerprint, "no longer scheduled", now)
        for alert in standing
        if alert.event.kind in OF_SCHEDULE and alert.event.fingerprint not in names
    ]


def places(schedule: Schedule) -> str:
    """`office`, or `office and 2 more`."""
    first, *more = schedule.targets
    return f"{first} and {len(more)} more" if more else first
