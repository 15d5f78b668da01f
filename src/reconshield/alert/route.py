"""Events x standing alerts x routes -> what is new, what is over, and who is told what and when. Pure.

    weigh      events and endings against the alerts that stand     -> steps: an alert opens, changes, ends, or stays as it was
    address    steps x rules x silences                             -> notices: one a channel and run, the worst message first
    escalate   alerts that nobody has acknowledged                  -> notices to those who are told next

What stands is updated and resolved, never repeated: only a step that says something new makes a notice. A notice that quiet
hours hold back is replaced by a newer one of the same alert (the outbox does that), so nobody wakes up to old news.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconshield.addresses import AddressSet
from reconshield.alert.message import SAID_ONCE, SILENCE_KINDS, Alert, Ending, Event, Message, Notice, notice_key
from reconshield.model import Severity
from reconshield.schedule import Window, open_until

SILENCE = "not-measured"
"""In a rule this kind stands for every way in which something was not measured."""
LARGEST = 1000
"""Messages in one notice; more of one run become several notices."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One route of the policy: which messages go to which channels.

    `changes` and `area` None do not limit. In `quiet` only what is critical is sent. What nobody acknowledges within
    `escalate_after` seconds goes to `escalate_to` as well.
    """

    to: tuple[str, ...]
    severity: Severity = Severity.INFO
    changes: frozenset[str] | None = None
    area: AddressSet | None = None
    quiet: Window | None = None
    escalate_after: float | None = None
    escalate_to: tuple[str, ...] = ()

    def takes(self, event: Event) -> bool:
        """Whether an event is told by this rule. One without an address (a schedule) is not limited by an area."""
        kinds = event.kinds | {SILENCE} if event.kind in SILENCE_KINDS else event.kinds
        return (
            event.severity.rank >= self.severity.rank
            and (self.changes is None or bool(kinds & self.changes))
            and (self.area is None or not event.addresses or any(ip in self.area for ip in event.addresses))
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """What is not told until a moment: of a kind, in a zone, on an asset, at addresses, or one alert. What is None fits all."""

    number: int
    until: float
    by: str
    reason: str
    kind: str | None = None
    zone: str | None = None
    asset: str | None = None
    area: AddressSet | None = None
    fingerprint: str | None = None
    created_at: float = 0.0

    def covers(self, event: Event, now: float) -> bool:
        """Whether this event is not told now."""
        same = ((self.zone, event.zone), (self.asset, event.asset))
        return (
            now < self.until
            and (self.kind is None or self.kind in event.kinds)
            and all(wanted is None or wanted == found for wanted, found in same)
            and (self.fingerprint is None or self.fingerprint == event.fingerprint)
            and (self.area is None or any(ip in self.area for ip in event.addresses))
        )


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of one alert: the alert as it is now, and what to say of it (None for nothing)."""

    alert: Alert
    message: Message | None
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Addressed:
    """A notice, and the moment from which it may be sent."""

    notice: Notice
    due: float


def weigh(events: Iterable[Event], endings: Iterable[Ending], standing: Mapping[str, Alert], first_number: int) -> list[Step]:
    """What the events and endings do to the alerts that stand. `first_number` is given to the first new alert."""
    steps: dict[str, Step] = {}
    number = first_number
    for event in sorted(events, key=lambda event: -event.severity.rank):
        if event.fingerprint in steps:
            continue  # the same trouble found twice in one run: the worse one is told
        if (alert := standing.get(event.fingerprint)) is None:
            once = event.kind in SAID_ONCE
            alert = Alert(number, event, event.at, event.at, resolved_at=event.at if once else None)
            steps[event.fingerprint] = Step(alert, Message(alert, "notice" if once else "open"), is_new=True)
            number += 1
        else:
            steps[event.fingerprint] = change_alert(alert, event)
    for ending in endings:
        alert = standing.get(ending.fingerprint)
        if alert is not None and ending.fingerprint not in steps:
            steps[ending.fingerprint] = end_alert(alert, ending)
    return list(steps.values())


def change_alert(alert: Alert, event: Event) -> Step:
    """The same trouble seen again: nothing is said, unless something about it is different.

    The beginning stays what it was. Of an alert that somebody has taken on, only a higher severity is told.
    """
    before = alert.event
    if before.digest() == event.digest():
        seen = replace(before, at=event.at, run=event.run, proof=event.proof, last=event.last)
        return Step(replace(alert, event=seen), None)
    event = replace(event, since=before.since, before=before.before)
    worse = event.severity.rank > before.severity.rank
    changed = replace(alert, event=event, changed_at=event.at, revision=alert.revision + 1)
    if worse:
        changed = replace(changed, acked_by=None, acked_at=None, escalated=())
    elif alert.acked_by is not None:
        return Step(changed, None)
    before_severity = before.severity if before.severity is not event.severity else None
    return Step(changed, Message(changed, "updated", before_severity))


def end_alert(alert: Alert, ending: Ending) -> Step:
    ended = replace(
        alert, resolved_at=ending.at, changed_at=ending.at, ending=ending.words, revision=alert.revision + 1, escalated=()
    )
    return Step(ended, Message(ended, "resolved"))


def address(
    steps: Iterable[Step], rules: Sequence[Rule], silences: Sequence[Silence], workspace: str, now: float
) -> list[Addressed]:
    """Who is told what: one notice a channel, run and due time. What a silence covers is told to nobody."""
    groups: dict[tuple[str, str | None, float], list[Message]] = defaultdict(list)
    for message in (step.message for step in steps if step.message is not None):
        if any(silence.covers(message.event, now) for silence in silences):
            continue
        for channel, due in channels_of(message, rules, now).items():
            groups[channel, message.event.run, due].append(message)
    return [made for (channel, _, due), found in groups.items() for made in notices_of(channel, found, workspace, now, due)]


def channels_of(message: Message, rules: Iterable[Rule], now: float) -> dict[str, float]:
    """The channels that a message goes to, and when each may be told: at once, or when the quiet hours end."""
    found: dict[str, float] = {}
    for rule in rules:
        if rule.takes(message.event):
            due = quiet_end(rule, message.event, now)
            for channel in rule.to:
                found[channel] = min(found.get(channel, due), due)
    return found


def quiet_end(rule: Rule, event: Event, now: float) -> float:
    """Now, or the end of the quiet hours. What is critical does not wait."""
    if rule.quiet is None or event.severity is Severity.CRITICAL:
        return now
    inside = open_until([rule.quiet], [], now)
    return inside.until if inside.may_run and inside.until is not None else now


def notices_of(channel: str, messages: list[Message], workspace: str, now: float, due: float) -> Iterable[Addressed]:
    ordered = sorted(messages, key=worst_first)
    for begin in range(0, len(ordered), LARGEST):
        part = tuple(ordered[begin : begin + LARGEST])
        yield Addressed(Notice(notice_key(workspace, channel, part), channel, workspace, part, now), due)


def worst_first(message: Message) -> tuple[bool, int, int, int]:
    """What is over comes last."""
    event = message.event
    return message.status == "resolved", -event.severity.rank, -(event.risk.score if event.risk else 0), message.alert.number


def escalate(
    alerts: Iterable[Alert], rules: Sequence[Rule], silences: Sequence[Silence], workspace: str, now: float
) -> tuple[list[Alert], list[Addressed]]:
    """The standing alerts that have waited too long for somebody, each with whom it was passed to, and the notices."""
    changed: list[Alert] = []
    groups: dict[str, list[Message]] = defaultdict(list)
    for alert in alerts:
        if alert.acked_by is not None or alert.resolved_at is not None:
            continue
        if any(silence.covers(alert.event, now) for silence in silences):
            continue
        further = [
            channel
            for rule in rules
            if rule.escalate_after is not None and rule.takes(alert.event) and now - alert.opened_at >= rule.escalate_after
            for channel in rule.escalate_to
            if channel not in alert.escalated
        ]
        if further:
            passed = replace(alert, escalated=(*alert.escalated, *dict.fromkeys(further)))
            changed.append(passed)
            for channel in dict.fromkeys(further):
                groups[channel].append(Message(passed, "updated" if alert.revision > 1 else "open"))
    return changed, [
        made for channel, messages in groups.items() for made in notices_of(channel, messages, workspace, now, now)
    ]
