"""`detect run --alert`: detections become alerts that stand, in the store and its outbox, as those of scans do.

    detections -> events under the fingerprint of the conversation -> `alerting.raise_alerts` -> `deliver.deliver_due`, once

The same conversation is told once, and again when its rating or its classes of evidence change. It is over when the policy
allows or suppresses it, or when its source was seen a day after its last flow without it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from reconshield.alert.message import DETECTION, Alert, Ending, Event, fingerprint
from reconshield.alert.route import Step
from reconshield.detect.fallen_silent import Watched
from reconshield.detection import Detection
from reconshield.jobs.alerting import list_standing, raise_alerts
from reconshield.jobs.channels import Way, ready_channels, rules_of
from reconshield.jobs.deliver import LONGEST_PAUSE, Delivered, Rest, deliver_due
from reconshield.model import Endpoint, Factor, Risk, Severity
from reconshield.policy import Policy
from reconshield.store import outbox
from reconshield.store.db import Store
from reconshield.text import local_time, plural, printable, size


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it: alerts that are new, that say something else, that are over; and what was sent of it."""

    opened: int = 0
    changed: int = 0
    ended: int = 0
    delivered: Delivered = field(default_factory=Delivered)
    waiting: int = 0


class Alarm:
    """Detections from a rating on are raised, with the channels and routes of a policy. A mistake in them is a `UserError`."""

    def __init__(self, store: Store, policy: Policy | None, least: Severity) -> None:
        self.store, self.policy, self.least = store, policy or Policy(), least
        self._ways: dict[str, Way] = ready_channels(self.policy)
        self._rules = rules_of(self.policy)
        self._rest = Rest()

    def watched(self) -> list[Watched]:
        """The detections that stand, to be looked for in new flows."""
        return [one for alert in standing(self.store) if (one := watched_of(alert)) is not None]

    def raise_all(self, found: Iterable[Detection], allowed: Iterable[Detection], silent: frozenset[str], now: float) -> Told:
        """Weigh detections against the alerts that stand, in one transaction, and send what is due once."""
        known = {alert.event.fingerprint for alert in standing(self.store)}
        events, endings = [], [Ending(mark, "no flow for a day while its source was seen", now) for mark in sorted(silent)]
        for detection in found:
            mark = mark_of(detection)
            if detection.suppressed is not None and detection.suppressed.live:
                endings += [Ending(mark, "suppressed by the policy", now)] if mark in known else []
            elif Severity(detection.grade.rating).rank >= self.least.rank or mark in known:
                events.append(event_of(detection, self.policy, now))
        endings += [Ending(mark_of(each), "allowed by the policy", now) for each in allowed if mark_of(each) in known]
        steps = raise_alerts(self.store, events, endings, self._rules, now)
        return self._told(steps)

    def _told(self, steps: Sequence[Step]) -> Told:
        delivered = self.deliver()
        said = [step for step in steps if step.message is not None]
        return Told(
            opened=sum(step.is_new for step in said),
            changed=sum(not step.is_new and step.alert.resolved_at is None for step in said),
            ended=sum(step.alert.resolved_at is not None for step in said),
            delivered=delivered,
            waiting=len(outbox.list_deliveries(self.store, [outbox.WAITING], limit=1000)),
        )

    def deliver(self) -> Delivered:
        """Send what is due; what belongs to channels of another policy is left to whoever has it."""
        now = time.time()
        for delivery in outbox.list_deliveries(self.store, limit=1000):
            if delivery.channel not in self._ways:
                self._rest.until[delivery.channel] = now + LONGEST_PAUSE
        total = Delivered()
        while self._ways and (done := deliver_due(self.store, self._ways, time.time, self._rest)) != Delivered():
            total += done
            if not done.sent:
                break
        return total

    @property
    def tells_nobody(self) -> bool:
        """Whether no route could take any detection."""
        return not any(rule.changes is None or DETECTION in rule.changes for rule in self._rules)


def standing(store: Store) -> Iterator[Alert]:
    return (alert for alert in list_standing(store) if alert.event.kind == DETECTION)


def watched_of(alert: Alert) -> Watched | None:
    """What to look for; None where the log had no times."""
    event = alert.event
    if event.endpoint is None or event.last is None or not event.peers:
        return None
    place = event.endpoint
    return Watched(event.fingerprint, event.peers[0], place.ip, place.port, place.transport, event.last)


def mark_of(detection: Detection) -> str:
    """The fingerprint of a conversation: the `id` of its line."""
    return fingerprint(DETECTION, detection.src, detection.dst, str(detection.port), detection.transport)


def event_of(detection: Detection, policy: Policy, now: float) -> Event:
    """A detection with all that somebody needs who was woken by it."""
    place = Endpoint(detection.dst, detection.port, detection.transport)
    inside = detection.dst if detection.direction == "in" else detection.src
    asset = next(iter(policy.assets_of(inside)), None)
    timed = detection.first == detection.first  # NaN where the log has no times
    source = f"{asset.name} ({detection.src})" if asset and inside == detection.src else detection.src
    heavy = sorted((e for e in detection.evidence if e.points > 0), key=lambda entry: -entry.points)
    return Event(
        fingerprint=mark_of(detection),
        kind=DETECTION,
        severity=Severity(detection.grade.rating),
        title=f"{source} talks to {place}: {printable(heavy[0].because, 120)}" if heavy else f"{source} talks to {place}",
        what=what_text(detection, place),
        why="; ".join(printable(entry.because, 160) for entry in heavy[:3]) or "no evidence",
        do=(detection.following, f"harmless if: {detection.refuted}"),
        at=now,
        risk=Risk(
            detection.grade.score,
            detection.grade.rating,
            tuple(Factor(str(e.kind), e.points, e.because, e.source) for e in detection.evidence),
        ),
        endpoint=place,
        service=detection.app or None,
        since=(None, detection.first if timed else None),
        zone=detection.zone or policy.zone_name(inside),
        asset=asset.name if asset else None,
        owner=policy.owner_of(inside),
        proof=f"flows begin at {detection.sample[0]}" if detection.sample else None,
        basis=f"{detection.grade.rating} {','.join(sorted(str(e.kind) for e in detection.evidence))}",
        peers=(detection.src,),
        last=detection.last if timed else None,
    )


def what_text(detection: Detection, place: Endpoint) -> str:
    flows = plural(detection.flows, "flow", "flows")
    octets = f"{size(detection.sent)} sent, {size(detection.received)} received"
    spoken = f", {printable(detection.app, 40)} spoken" if detection.app else ""
    until = f", the last {local_time(detection.last)}" if detection.last == detection.last else ""
    return f"{detection.src} to {place}: {flows}, {octets}{spoken}{until}"
