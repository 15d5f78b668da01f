"""The outbox is emptied: what is due is taken, sent, and marked; what fails is tried again, later each time.

    take_due -> one thread a channel, its notices in order -> sent, or due again after 10 s, 20 s, … at most 15 min

A channel that fails is left alone until its next attempt. What could not be delivered for three days is dead, stays in the
list, and is an alert of its own; so is a channel that has taken nothing for a quarter of an hour.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from reconshield import __version__
from reconshield.alert.channel import Order, Outcome
from reconshield.alert.http import LONGEST_WAIT
from reconshield.alert.message import Ending, Event, fingerprint, notice_of
from reconshield.alert.route import Rule
from reconshield.errors import UserError
from reconshield.jobs.alerting import list_standing, raise_alerts
from reconshield.jobs.channels import Way
from reconshield.model import Severity
from reconshield.store import outbox
from reconshield.store.db import Store
from reconshield.store.outbox import Delivery
from reconshield.text import duration, plural

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 900.0
GIVE_UP = 3 * 86400.0
LEASE = 300.0
"""Seconds for which a process keeps what it took: longer than any channel may take, so that nobody else sends it meanwhile."""
COMPLAIN_AFTER = 900.0
UNDELIVERED = "delivery-failed"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of one round: how many notices were accepted, are to be tried again, or are dead."""

    sent: int = 0
    failed: int = 0
    dead: int = 0

    def __add__(self, other: Delivered) -> Delivered:
        return Delivered(self.sent + other.sent, self.failed + other.failed, self.dead + other.dead)


@dataclass(slots=True)
class Rest:
    """Channels that have just failed are left alone: how often each failed in a row, and until when nothing is sent to it.

    Kept by the process that delivers; one that starts anew tries each channel once.
    """

    failures: dict[str, int] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)

    def resting(self, now: float) -> list[str]:
        """The channels that are left alone now; a moment too far away was set by a clock that has gone back."""
        return [channel for channel, until in self.until.items() if now < until <= now + LONGEST_PAUSE + LONGEST_WAIT]

    def note(self, channel: str, *, reached: bool, now: float, wait: float | None = None) -> None:
        if reached:
            self.failures.pop(channel, None)
            self.until.pop(channel, None)
        else:
            self.failures[channel] = self.failures.get(channel, 0) + 1
            self.until[channel] = now + max(pause_after(self.failures[channel] - 1, channel), wait or 0.0)


def deliver_due(store: Store, ways: Mapping[str, Way], clock: Callable[[], float], rest: Rest) -> Delivered:
    """Send what is due now. Channels do not wait for each other."""
    now = clock()
    taken = outbox.take_due(store, now, LEASE, skip=rest.resting(now))
    if not taken:
        return Delivered()
    channels = sorted({delivery.channel for delivery in taken})
    parts = [[delivery for delivery in taken if delivery.channel == channel] for channel in channels]
    with ThreadPoolExecutor(max_workers=min(len(channels), 8), thread_name_prefix="deliver") as pool:
        return sum(
            pool.map(lambda part: deliver_channel(store, ways.get(part[0].channel), part, clock, rest), parts), Delivered()
        )


def deliver_channel(
    store: Store, way: Way | None, deliveries: Sequence[Delivery], clock: Callable[[], float], rest: Rest
) -> Delivered:
    """Send the notices of one channel in order, up to the first that does not reach it; one that it rejects holds nobody up."""
    result = Delivered()
    for number, delivery in enumerate(deliveries):
        outcome = send(way, delivery, store.workspace, clock())
        now = clock()
        rest.note(delivery.channel, reached=outcome.reached, now=now, wait=outcome.wait)
        if outcome.accepted:
            outbox.mark_sent(store, delivery.key, now, outcome.detail)
            result += Delivered(sent=1)
            continue
        again = next_attempt(delivery, outcome, now)
        outbox.mark_failed(store, delivery.key, now, outcome.detail, again)
        result += Delivered(failed=1) if again is not None else Delivered(dead=1)
        if not outcome.reached:
            outbox.release(store, [left.key for left in deliveries[number + 1 :]])
            break
    return result


def send(way: Way | None, delivery: Delivery, workspace: str, at: float) -> Outcome:
    """One attempt. A mistake in the settings is told like a receiver that is down: it can be mended, and then it goes out."""
    if way is None:
        return Outcome(False, f"the policy has no channel {delivery.channel} any more")
    notice = notice_of(delivery.key, delivery.channel, workspace, delivery.notice)
    try:
        return way.channel.send(Order(notice, way.resolved(), at, socket.gethostname(), __version__))
    except UserError as error:
        return Outcome(False, f"{error.message} ({error.where})" if error.where else error.message)


def next_attempt(delivery: Delivery, outcome: Outcome, now: float) -> float | None:
    """When to try again, None when it has been tried for three days."""
    if now - delivery.created_at >= GIVE_UP and delivery.attempts > 0:
        return None
    return now + max(pause_after(delivery.attempts, delivery.key), outcome.wait or 0.0)


def pause_after(failures: int, name: str) -> float:
    """Ten seconds, doubled for each failure before, a quarter of an hour at most; spread by name, so that not all coincide."""
    spread = int(hashlib.sha256(name.encode()).hexdigest()[:4], 16) / 0xFFFF
    return float(min(FIRST_PAUSE * 2 ** min(failures, 20), LONGEST_PAUSE) * (0.8 + 0.2 * spread))


def watch_channels(store: Store, rules: Sequence[Rule], now: float) -> None:
    """Channels that take nothing are an alert themselves, told by the other channels, and over when they take something."""
    waiting = outbox.list_deliveries(store, limit=1000)
    late: dict[str, list[Delivery]] = {}
    for delivery in waiting:
        if delivery.state == outbox.DEAD or (delivery.attempts > 1 and now - delivery.created_at > COMPLAIN_AFTER):
            late.setdefault(delivery.channel, []).append(delivery)
    events = [undelivered(channel, found, now) for channel, found in sorted(late.items())]
    standing = [alert.event for alert in list_standing(store) if alert.event.kind == UNDELIVERED]
    current = {event.fingerprint for event in events}
    endings = [Ending(old.fingerprint, "delivering again", now) for old in standing if old.fingerprint not in current]
    raise_alerts(store, events, endings, without(rules, late), now)


def undelivered(channel: str, found: Sequence[Delivery], now: float) -> Event:
    dead = sum(delivery.state == outbox.DEAD for delivery in found)
    oldest, reason = found[0], found[-1].detail or "no reason was given"
    return Event(
        fingerprint=fingerprint(UNDELIVERED, channel),
        kind=UNDELIVERED,
        severity=Severity.HIGH,
        title=f"channel {channel} takes no alerts: {reason}",
        what=f"{plural(len(found), 'notice', 'notices')} for {channel} not delivered, the oldest for "
        f"{duration(max(now - oldest.created_at, 0))}; {dead} given up",
        why="alerts that nobody gets are no alerts",
        do=(f"reconshield alert test {channel}", "reconshield alert list --undelivered"),
        at=now,
        basis=f"{channel} {bool(dead)}",
        since=(None, oldest.created_at),
    )


def without(rules: Iterable[Rule], broken: Mapping[str, object]) -> list[Rule]:
    """The rules, without the channels that would have to carry the news of their own failure."""
    left = (replace(rule, to=tuple(channel for channel in rule.to if channel not in broken)) for rule in rules)
    return [rule for rule in left if rule.to]
