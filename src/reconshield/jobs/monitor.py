"""What a monitor does each time it looks up: call what is due, start what may start, complain about silence, pass on, deliver.

    tick        one look: `due`, silence, escalation. Cheap when nothing is due, for it is done every second
    conclude    a scan has ended: its run, its occurrence, what changed and the alerts of it, in one transaction

How scans are carried out is passed in (`start`): the durable workflow of `jobs.durable`, or a function in a test. Time is an
argument; nothing here sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from reconshield import host
from reconshield.addresses import AddressSet
from reconshield.alert.message import ANNOUNCED, Event, fingerprint, notice_json
from reconshield.alert.route import Rule
from reconshield.jobs import scheduled, silence_events
from reconshield.jobs.alerting import escalate_alerts, list_standing, raise_alerts, single_notice
from reconshield.jobs.channels import rules_of
from reconshield.jobs.deliver import watch_channels
from reconshield.jobs.exposure_events import find_exposures
from reconshield.jobs.grants import list_grants
from reconshield.jobs.scheduled import Begun, Part
from reconshield.model import Severity
from reconshield.policy import Policy, Schedule
from reconshield.schedule import Opening
from reconshield.store import occurrences as kept
from reconshield.store import outbox
from reconshield.store.db import Store
from reconshield.store.occurrences import Executor, Occurrence
from reconshield.text import local_time

SILENCE_EVERY = 60.0
"""Seconds between two looks at what has grown stale, waits for somebody, or cannot be delivered."""
FARTHEST = 86400.0
"""Seconds after which it is looked again whether a slot has begun, however far away it seemed."""
ANNOUNCE_PATIENCE = 60.0
"""Seconds that a scan waits for its announcement to be taken; then it starts, and the announcement follows."""

Start = Callable[[Occurrence, Opening, AddressSet], None]


@dataclass(slots=True)
class Watch:
    """What a monitor remembers between two looks; all else is in the store."""

    silence_at: float = 0.0
    next_slot: dict[str, float] = field(default_factory=dict)
    policy: Policy | None = None

    def calls(self, policy: Policy, now: float) -> bool:
        """Whether a slot has begun since the last look, or a clock went back, or the policy is another one."""
        as_before = policy is self.policy and all(now < at <= now + FARTHEST for at in self.next_slot.values())
        if as_before:
            return False
        slots = {s.name: s.rhythm.following(now) if s.rhythm else None for s in policy.schedules}
        self.policy = policy
        self.next_slot = {
            name: min(slot if slot is not None else now + FARTHEST, now + FARTHEST) for name, slot in slots.items()
        }
        return True


def tick(store: Store, policy: Policy, watch: Watch, executors: Sequence[Executor], start: Start, now: float) -> None:
    """One look."""
    rules = rules_of(policy)
    if watch.calls(policy, now):
        missed = scheduled.call_due(store, policy, now)
        events = [event for occurrence in missed if (event := silence_events.missed_event(policy, occurrence, now))]
        raise_alerts(store, events, [], rules, now)
    start_waiting(store, policy, start, now)
    if not watch.silence_at <= now < watch.silence_at + SILENCE_EVERY:
        watch.silence_at = now
        stale = silence_events.find_stale(store, policy, executors, now)
        gone = silence_events.gone_schedules(policy, list_standing(store), now)
        raise_alerts(store, stale, gone, rules, now)
        escalate_alerts(store, rules, now)
        watch_channels(store, rules, now)


def start_waiting(store: Store, policy: Policy, start: Start, now: float) -> None:
    """Start every occurrence that waits and may run now.

    The same addresses are measured by one scan at a time from a vantage: each keeps its pace, and knows what it changed.
    """
    open_ones = kept.unfinished(store)
    schedules = {schedule.name: schedule for schedule in policy.schedules}
    busy = [schedules[one.schedule] for one in open_ones if one.state == "running" and one.schedule in schedules]
    for occurrence in open_ones:
        if occurrence.state != "waiting":
            continue
        schedule = schedules.get(occurrence.schedule)
        if schedule is None:
            end(store, occurrence, "missed", now, "the policy has no schedule of that name any more")
            continue
        before = next((other for other in busy if in_the_way(other, schedule)), None)
        opening, dark = scheduled.may_start(store, policy, occurrence, now)
        if before is not None:
            note_why(store, occurrence, Opening(False, None, f"schedule {before.name}, which measures the same addresses"))
        elif not opening.may_run:
            note_why(store, occurrence, opening)
        elif announced(store, schedule, occurrence, now):
            attempt = kept.start_occurrence(store, occurrence.schedule, occurrence.slot)
            if attempt is not None:
                busy.append(schedule)
                start(replace(occurrence, state="running", attempts=attempt), opening, dark)


def in_the_way(other: Schedule, schedule: Schedule) -> bool:
    """Whether one schedule must wait while the other measures: they share addresses, or names that may mean the same ones."""
    named = {place.text for place in other.places if place.kind == "host"}
    mine = {place.text for place in schedule.places if place.kind == "host"}
    return other.vantage == schedule.vantage and (bool(other.area & schedule.area) or bool(named & mine))


def note_why(store: Store, occurrence: Occurrence, opening: Opening) -> None:
    note = (
        f"waits for {opening.why}" if opening.until is None else f"waits for {opening.why}, until {local_time(opening.until)}"
    )
    if occurrence.note != note:
        kept.change_occurrence(store, occurrence.schedule, occurrence.slot, note=note)


def end(store: Store, occurrence: Occurrence, state: str, now: float, note: str | None) -> None:
    kept.change_occurrence(store, occurrence.schedule, occurrence.slot, state=state, finished_at=now, note=note)


def announced(store: Store, schedule: Schedule, occurrence: Occurrence, now: float) -> bool:
    """Tell those who asked to be told beforehand; whether they have been, or have had their time."""
    if not schedule.announce or occurrence.run:
        return True
    event = announcement(store, schedule, occurrence, now)
    notices = [single_notice(channel, store.workspace, event) for channel in schedule.announce]
    known = {delivery.key: delivery for delivery in outbox.find_deliveries(store, [notice.key for notice in notices])}
    new = [notice for notice in notices if notice.key not in known]
    outbox.add_notices(store, [(one.key, one.channel, now, notice_json(one)) for one in new], now)
    if new:
        return False
    waiting = [one for one in known.values() if one.state == outbox.WAITING]
    return not waiting or not 0 <= now - min(one.created_at for one in waiting) < ANNOUNCE_PATIENCE


def announcement(store: Store, schedule: Schedule, occurrence: Occurrence, now: float) -> Event:
    """Who will measure what, from where, and whom to call."""
    grants = [grant for grant in list_grants(store) if grant.valid_at(now) and grant.granted & schedule.area]
    contacts = ", ".join(dict.fromkeys(grant.contact for grant in grants if grant.contact)) or "no contact in the grant"
    sources = (host.own_addresses() - AddressSet.of("127.0.0.1", "::1")).text(8)
    return Event(
        fingerprint=fingerprint(ANNOUNCED, schedule.name, f"{occurrence.slot:.0f}"),
        kind=ANNOUNCED,
        severity=Severity.INFO,
        title=f"scan of {silence_events.places(schedule)} begins now, from {schedule.vantage} ({sources})",
        what=f"schedule {schedule.name}: {schedule.area.text(8)}, ports {schedule.ports or 'the commonest 1,000'}",
        why=f"an authorised measurement ({', '.join(grant.id for grant in grants) or 'own machine'}); contact: {contacts}",
        at=now,
        vantage=schedule.vantage,
    )


def conclude(store: Store, policy: Policy, occurrence: Occurrence, begun: Begun, parts: Sequence[Part], now: float) -> str:
    """What a scan came to: its end, what changed, who is told, all in one transaction. Gives the state of the occurrence."""
    rules = rules_of(policy)
    with store.together() as one:
        current = kept.find_occurrence(one, occurrence.schedule, occurrence.slot)
        if current is None or current.state != "running" or current.attempts != occurrence.attempts:
            return current.state if current else "gone"  # done before: this is a repeat
        if begun.run is None:
            reason = begun.refused or begun.failed
            end(one, current, "refused" if begun.refused else "failed", now, reason)
            event = silence_events.not_begun_event(policy, current, reason or "", refused=bool(begun.refused), now=now)
            raise_alerts(one, [event], [], rules, now)
            return "refused" if begun.refused else "failed"
        return conclude_run(one, policy, current, begun.run, parts, rules, now)


def conclude_run(
    store: Store,
    policy: Policy,
    occurrence: Occurrence,
    run_id: str,
    parts: Sequence[Part],
    rules: Sequence[Rule],
    now: float,
) -> str:
    found, summary = scheduled.close(store, run_id, policy, parts, now)
    problem = next((part.problem for part in parts if part.problem), None)
    opening, _ = scheduled.may_start(store, policy, occurrence, now)
    events, endings = find_exposures(store, policy, found, now)
    endings += silence_events.granted_again(occurrence, now)
    if problem is None and scheduled.wait_again(store, occurrence, opening, summary):
        state = "waiting"
    else:
        state = "complete" if summary.state == "complete" else "partial"
        end(store, occurrence, state, now, problem)
        if state == "complete":
            endings += silence_events.measured_again(occurrence, now)
        else:
            events.append(silence_events.partial_event(policy, occurrence, summary, problem or opening.why, now))
    raise_alerts(store, events, endings, rules, now)
    return state
