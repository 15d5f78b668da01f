"""The outbox and its delivery on virtual time: what is lost, what is repeated, what is replaced, what is given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from alert.examples import NOW, OPENED, event
from alert.receivers import HOST, unused_port, web_server
from engines import new_store
from reconshield.alert.channel import Channel, Field, Order, Outcome
from reconshield.alert.channels import CHANNELS
from reconshield.alert.message import Ending, Event
from reconshield.alert.route import Rule, Silence
from reconshield.errors import UserError
from reconshield.jobs.alerting import acknowledge, add_silence, escalate_alerts, list_alerts, list_silences, raise_alerts
from reconshield.jobs.channels import Way
from reconshield.jobs.deliver import GIVE_UP, LEASE, Delivered, Rest, deliver_due, watch_channels
from reconshield.model import Severity
from reconshield.schedule import parse_window
from reconshield.store import outbox
from reconshield.store.db import Store

HOUR = 3600.0
SOC = (Rule(("soc",)),)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(str(tmp_path / "x.db")) as opened:
        yield opened


@dataclass
class Receiver:
    """A channel that can be switched off, and remembers what it was told and how often it was asked."""

    up: bool = True
    keys: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    rest: Rest = field(default_factory=Rest)

    def ways(self, *names: str) -> dict[str, Way]:
        channel = Channel("memory", "a test", (Field("x", "nothing"),), self.take)
        return {name: Way(name, channel, {}, "a test") for name in (names or ("soc",))}

    def take(self, order: Order) -> Outcome:
        self.asked += 1
        if not self.up:
            return Outcome(False, "connection refused")
        self.keys.append(order.notice.key)
        self.told += [(m.event.fingerprint, m.status) for m in order.notice.messages]
        return Outcome(True, "taken")


def run_until(store: Store, receiver: Receiver, begin: float, end: float, step: float = 5.0) -> Delivered:
    total, now = Delivered(), begin
    while now <= end:
        total += deliver_due(store, receiver.ways(), lambda: now, receiver.rest)  # noqa: B023 - called at once
        now += step
    return total


def test_a_receiver_that_is_down_for_an_hour_gets_everything_once_it_is_back(store: Store) -> None:
    receiver, now = Receiver(up=False), NOW
    for number in range(1, 61):  # an alert a minute, each run its own
        raise_alerts(store, [event(number, at=now, run=f"run-{number}")], [], SOC, now)
        deliver_due(store, receiver.ways(), lambda: now, receiver.rest)  # noqa: B023
        now += 60
    assert receiver.told == []
    assert receiver.asked < 30  # not hammered: ten seconds, twenty, … a quarter of an hour
    receiver.up = True
    run_until(store, receiver, now, now + 0.5 * HOUR)
    assert sorted(fingerprint for fingerprint, _ in receiver.told) == [f"{n:016x}" for n in range(1, 61)]
    assert len(set(receiver.keys)) == len(receiver.keys) == 60
    assert outbox.count_deliveries(store) == {"soc": {"sent": 60}}


def test_what_a_process_took_and_did_not_mark_is_sent_again_with_the_same_key(store: Store) -> None:
    raise_alerts(store, [OPENED], [], SOC, NOW)
    receiver = Receiver()
    taken = outbox.take_due(store, NOW, LEASE)  # a process that is killed after it has sent, before it has marked
    receiver.keys.append(taken[0].key)
    assert (
        deliver_due(store, receiver.ways(), lambda: NOW + LEASE - 1, receiver.rest) == Delivered()
    )  # nobody else takes it meanwhile
    assert deliver_due(store, receiver.ways(), lambda: NOW + LEASE, receiver.rest) == Delivered(sent=1)
    assert receiver.keys == [taken[0].key] * 2
    assert deliver_due(store, receiver.ways(), lambda: NOW + 9 * LEASE, receiver.rest) == Delivered()


def test_a_transaction_that_fails_leaves_neither_alert_nor_notice(store: Store) -> None:
    def fail() -> None:
        with store.together() as one:
            raise_alerts(one, [OPENED], [], SOC, NOW)
            raise RuntimeError("killed before the commit")

    with pytest.raises(RuntimeError):
        fail()
    assert list_alerts(store, everything=True) == []
    assert outbox.count_deliveries(store) == {}


def test_the_same_trouble_is_updated_and_resolved_not_repeated(store: Store) -> None:
    receiver = Receiver()
    raise_alerts(store, [OPENED], [], SOC, NOW)
    raise_alerts(store, [replace(OPENED, at=NOW + 60)], [], SOC, NOW + 60)
    raise_alerts(store, [replace(OPENED, at=NOW + 120, severity=Severity.CRITICAL)], [], SOC, NOW + 120)
    raise_alerts(store, [], [Ending(OPENED.fingerprint, "closed", NOW + 180)], SOC, NOW + 180)
    raise_alerts(store, [], [Ending(OPENED.fingerprint, "closed", NOW + 240)], SOC, NOW + 240)
    raise_alerts(store, [replace(OPENED, at=NOW + 300)], [], SOC, NOW + 300)
    stood = [(m.alert.id, m.status) for m in list_alerts(store, everything=True)]
    assert stood == [("a2", "open"), ("a1", "resolved")]
    run_until(store, receiver, NOW + 300, NOW + 300)
    assert [status for _, status in receiver.told] == ["resolved", "open"]  # untold words gave way to newer ones


def test_what_was_told_is_followed_by_every_change(store: Store) -> None:
    receiver = Receiver()
    raise_alerts(store, [OPENED], [], SOC, NOW)
    run_until(store, receiver, NOW, NOW)
    raise_alerts(store, [replace(OPENED, severity=Severity.CRITICAL)], [], SOC, NOW + 60)
    run_until(store, receiver, NOW + 60, NOW + 60)
    raise_alerts(store, [], [Ending(OPENED.fingerprint, "closed", NOW + 120)], SOC, NOW + 120)
    run_until(store, receiver, NOW + 120, NOW + 120)
    assert [status for _, status in receiver.told] == ["open", "updated", "resolved"]


def test_quiet_hours_wake_nobody_with_old_news(store: Store) -> None:
    night = (Rule(("soc",), quiet=parse_window("09:00-12:00 UTC", "x")),)
    receiver = Receiver()
    raise_alerts(store, [OPENED, event(2)], [], night, NOW)
    raise_alerts(store, [], [Ending(OPENED.fingerprint, "closed", NOW + HOUR)], night, NOW + HOUR)
    run_until(store, receiver, NOW, NOW + HOUR, step=600)
    assert receiver.told == []
    run_until(store, receiver, NOW + 3 * HOUR, NOW + 3 * HOUR)
    assert sorted(receiver.told) == [(f"{2:016x}", "open"), (OPENED.fingerprint, "resolved")]


def test_what_cannot_be_delivered_for_three_days_is_dead_and_an_alert(store: Store) -> None:
    rules = (Rule(("soc", "log")),)
    down, up = Receiver(up=False), Receiver()
    ways = down.ways("soc") | up.ways("log")
    raise_alerts(store, [OPENED], [], rules, NOW)
    now = NOW
    while now < NOW + GIVE_UP + 12 * HOUR:
        deliver_due(store, ways, lambda: now, down.rest)  # noqa: B023
        watch_channels(store, rules, now)
        now += 4 * HOUR
    assert outbox.count_deliveries(store)["soc"] == {"dead": 1}
    assert [m.event.title for m in list_alerts(store) if m.event.kind == "delivery-failed"] == [
        "channel soc takes no alerts: connection refused"
    ]
    kinds = {status for _, status in up.told}
    assert kinds == {"open", "updated"}  # first late, then given up; told by the channel that works
    assert outbox.revive(store, "soc", now) == 1
    down.up = True
    deliver_due(store, ways, lambda: now, Rest())
    watch_channels(store, rules, now)
    assert [told for told, _ in down.told] == [OPENED.fingerprint]
    assert [m.event.kind for m in list_alerts(store)] == ["opened"]


def test_a_receiver_that_asks_for_time_gets_it(store: Store, tmp_path: Path) -> None:
    webhook = next(channel for channel in CHANNELS if channel.name == "webhook")
    raise_alerts(store, [OPENED], [], SOC, NOW)
    with web_server(status=429, headers={"Retry-After": "1200"}) as posts:
        way = Way("soc", webhook, {"url": posts.url, "secret": f"file:{tmp_path / 'secret'}"}, "line 1")
        assert (
            deliver_due(store, {"soc": way}, lambda: NOW, Rest()).failed == 1
        )  # the secret is not there: told, and tried again
        assert "the secret cannot be read" in (outbox.list_deliveries(store)[0].detail or "")
        (tmp_path / "secret").write_text("whsec_dGVzdA==\n")
        assert deliver_due(store, {"soc": way}, lambda: NOW + 30, Rest()).failed == 1
        assert outbox.next_due(store) == NOW + 30 + 1200
        posts.status = 200
        assert deliver_due(store, {"soc": way}, lambda: NOW + 30 + 1200, Rest()).sent == 1
        assert json.loads(posts.got[-1][1])["alerts"][0]["id"] == "a1"


def test_one_notice_that_is_rejected_holds_up_nobody(store: Store) -> None:
    webhook = next(channel for channel in CHANNELS if channel.name == "webhook")
    rest, hour = Rest(), NOW + HOUR
    with web_server(status=422) as posts:
        way = Way("soc", webhook, {"url": posts.url, "secret": "s"}, "line 1")
        raise_alerts(store, [replace(OPENED, run="first")], [], SOC, NOW)
        now = NOW
        while now < hour:
            deliver_due(store, {"soc": way}, lambda: now, rest)  # noqa: B023
            now += 60
        posts.status = 200
        raise_alerts(store, [event(2, run="second")], [], SOC, hour)
        assert deliver_due(store, {"soc": way}, lambda: hour, rest).sent == 1


def test_an_unreachable_channel_and_one_that_is_gone(store: Store) -> None:
    webhook = next(channel for channel in CHANNELS if channel.name == "webhook")
    way = Way("soc", webhook, {"url": f"http://{HOST}:{unused_port()}/", "secret": "s"}, "line 1")
    raise_alerts(store, [OPENED], [], (Rule(("soc", "gone")),), NOW)
    assert deliver_due(store, {"soc": way}, lambda: NOW, Rest()).failed == 2
    assert {d.channel: d.detail for d in outbox.list_deliveries(store)} == {
        "soc": "connection refused",
        "gone": "the policy has no channel gone any more",
    }


@pytest.mark.parametrize("jump", [-400 * 86400.0, 400 * 86400.0])
def test_a_clock_that_jumps_loses_nothing(store: Store, jump: float) -> None:
    raise_alerts(store, [OPENED], [], SOC, NOW)
    outbox.take_due(store, NOW, LEASE)  # taken by a process that died
    receiver = Receiver()
    run_until(store, receiver, NOW + jump, NOW + jump + LEASE, step=LEASE)
    assert [told for told, _ in receiver.told] == [OPENED.fingerprint]


def test_a_silence_keeps_the_alert_and_tells_nobody(store: Store) -> None:
    receiver = Receiver()
    silence = Silence(0, NOW + HOUR, "Ada", "moving the server", asset="mail-1", created_at=NOW)
    assert add_silence(store, silence) == 1
    raise_alerts(store, [OPENED], [], SOC, NOW)
    run_until(store, receiver, NOW, NOW + 2 * HOUR, step=600)
    assert receiver.told == []
    assert [m.alert.id for m in list_alerts(store)] == ["a1"]
    assert add_silence(store, replace(silence, asset=None), ["10.77.0.0/24"]) == 2
    assert [found.covers(OPENED, NOW) for found in list_silences(store, NOW)] == [True, True]
    with pytest.raises(UserError, match="silence over everything"):
        add_silence(store, replace(silence, asset=None))


def test_what_is_taken_on_is_not_passed_on(store: Store) -> None:
    rules = (Rule(("soc",), escalate_after=1800.0, escalate_to=("boss",)),)
    raise_alerts(store, [OPENED, event(2)], [], rules, NOW)
    taken = acknowledge(store, "A1", NOW + 60, "Ada")
    assert (taken.id, taken.acked_by) == ("a1", "Ada")
    assert escalate_alerts(store, rules, NOW + 1799) == 0
    assert escalate_alerts(store, rules, NOW + 1800) == 1
    assert escalate_alerts(store, rules, NOW + 9000) == 0
    boss = [d for d in outbox.list_deliveries(store) if d.channel == "boss"]
    assert [told["alert"]["number"] for d in boss for told in d.notice["messages"]] == [2]
    for wrong, words in (("a99", "no alert of that id"), ("first", "no alert of that id")):
        with pytest.raises(UserError, match=words):
            acknowledge(store, wrong, NOW)


def test_one_told_once_does_not_stand(store: Store) -> None:
    closed: Event = replace(OPENED, kind="closed", title="110/tcp closed on mail-1")
    raise_alerts(store, [closed], [], SOC, NOW)
    assert list_alerts(store) == []
    assert [(m.alert.id, m.status) for m in list_alerts(store, everything=True)] == [("a1", "notice")]
