"""Events in, steps and notices out: told as the story of one night."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alert.examples import MINUTE, NOW, OPENED, STALE, event
from reconshield.addresses import AddressSet, parse_target
from reconshield.alert.message import Alert, Ending, Event, event_json, event_of, notice_json, notice_of
from reconshield.alert.route import Rule, Silence, Step, address, escalate, weigh
from reconshield.model import Severity
from reconshield.schedule import parse_window

SOC = Rule(("soc",), Severity.HIGH)
EVERYTHING = Rule(("log",))


def told(
    steps: list[Step], *rules: Rule, silences: tuple[Silence, ...] = (), now: float = NOW
) -> dict[str, list[tuple[str, str]]]:
    """Channel -> what it is told: alert and status."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in address(steps, rules or (SOC, EVERYTHING), silences, "main", now):
        found.setdefault(one.notice.channel, []).extend((m.alert.id, m.status) for m in one.notice.messages)
    return found


def stand(*alerts: Alert) -> dict[str, Alert]:
    return {alert.event.fingerprint: alert for alert in alerts}


def standing(found: Event = OPENED, number: int = 7, **changes: Any) -> Alert:
    return replace(Alert(number, found, found.at, found.at), **changes)


def test_a_night() -> None:
    first = weigh([OPENED], [], {}, 1)
    assert told(first) == {"soc": [("a1", "open")], "log": [("a1", "open")]}
    alert = first[0].alert

    later = replace(OPENED, at=NOW + 60 * MINUTE, since=(NOW, NOW + 60 * MINUTE), run="20261123-104612-aaaa")
    again = weigh([later], [], stand(alert), 2)
    assert told(again) == {}  # seen again, nothing new: not repeated
    assert again[0].alert.event.since == OPENED.since  # it still began when it began

    worse = replace(later, severity=Severity.CRITICAL, why="it answers without a login")
    changed = weigh([worse], [], stand(again[0].alert), 2)
    assert told(changed) == {"soc": [("a1", "updated")], "log": [("a1", "updated")]}
    assert changed[0].message is not None
    assert changed[0].message.severity_before is Severity.HIGH

    over = weigh([], [Ending(OPENED.fingerprint, "closed", NOW + 74 * MINUTE)], stand(changed[0].alert), 2)
    assert told(over) == {"soc": [("a1", "resolved")], "log": [("a1", "resolved")]}
    assert over[0].alert.revision == 3

    back = weigh([replace(OPENED, at=NOW + 90 * MINUTE)], [], {}, 2)
    assert told(back)["soc"] == [("a2", "open")]  # a new episode is a new alert


def test_one_who_took_it_on_hears_only_of_worse() -> None:
    taken = standing(acked_by="Ada")
    other = replace(OPENED, why="another reason")
    assert told(weigh([other], [], stand(taken), 8)) == {}
    worse = weigh([replace(other, severity=Severity.CRITICAL)], [], stand(taken), 8)
    assert told(worse)["soc"] == [("a7", "updated")]
    assert worse[0].alert.acked_by is None


def test_the_worst_comes_first_and_a_run_is_one_notice() -> None:
    found = [event(n, severity=severity) for n, severity in enumerate([Severity.HIGH, Severity.CRITICAL, Severity.LOW], 1)]
    decided = address(weigh(found, [], {}, 1), [EVERYTHING], (), "main", NOW)
    assert len(decided) == 1
    assert [m.event.severity for m in decided[0].notice.messages] == [Severity.CRITICAL, Severity.HIGH, Severity.LOW]


RULES = [
    (Rule(("x",)), True),
    (Rule(("x",), Severity.CRITICAL), False),
    (Rule(("x",), changes=frozenset({"closed"})), False),
    (Rule(("x",), changes=frozenset({"opened"})), True),
    (Rule(("x",), area=parse_target("10.77.0.0/24").addresses), True),
    (Rule(("x",), area=parse_target("10.78.0.0/24").addresses), False),
]


@pytest.mark.parametrize(("rule", "takes"), RULES)
def test_what_a_rule_takes(rule: Rule, takes: bool) -> None:
    assert rule.takes(OPENED) is takes


def test_silence_is_taken_by_its_own_kind_and_by_not_measured() -> None:
    for kind in ("stale", "not-measured"):
        assert Rule(("x",), changes=frozenset({kind}), area=parse_target("10.0.0.0/8").addresses).takes(STALE)


def test_quiet_hours_hold_back_all_but_the_critical() -> None:
    night = Rule(("soc",), quiet=parse_window("09:00-12:00 UTC", "x"))
    steps = weigh([event(1), event(2, severity=Severity.CRITICAL)], [], {}, 1)
    due = {one.notice.messages[0].alert.id: one.due for one in address(steps, [night], (), "main", NOW)}
    assert due == {"a1": NOW, "a2": NOW - (NOW % 3600) + 3 * 3600}  # the critical one was weighed first
    assert all(one.due == NOW + 4 * 3600 for one in address(steps, [night], (), "main", NOW + 4 * 3600))


SILENCES = [
    ({}, True),
    ({"kind": "opened"}, True),
    ({"kind": "closed"}, False),
    ({"zone": "dmz", "asset": "mail-1"}, True),
    ({"zone": "dmz", "asset": "mail-2"}, False),
    ({"area": AddressSet.of("10.77.0.2")}, True),
    ({"fingerprint": "0" * 16}, False),
]


@pytest.mark.parametrize(("fields", "covers"), SILENCES)
def test_a_silence(fields: dict[str, Any], covers: bool) -> None:
    silence = Silence(1, NOW + 60, "Ada", "moving the mail server", **fields)
    assert silence.covers(OPENED, NOW) is covers
    assert not silence.covers(OPENED, NOW + 60)
    steps = weigh([OPENED], [], {}, 1)
    assert (told(steps, silences=(silence,)) == {}) is covers


def test_what_nobody_takes_on_goes_further_once() -> None:
    rule = Rule(("soc",), escalate_after=30 * MINUTE, escalate_to=("boss",))
    fresh = standing()
    assert escalate([fresh], [rule], (), "main", NOW + 29 * MINUTE) == ([], [])
    passed, notices = escalate([fresh], [rule], (), "main", NOW + 30 * MINUTE)
    assert [(one.notice.channel, one.notice.messages[0].alert.id) for one in notices] == [("boss", "a7")]
    assert escalate(passed, [rule], (), "main", NOW + 90 * MINUTE) == ([], [])
    assert escalate([replace(fresh, acked_by="Ada")], [rule], (), "main", NOW + 90 * MINUTE) == ([], [])


def test_the_same_words_have_the_same_key() -> None:
    steps = weigh([OPENED, event(3)], [], {}, 1)
    keys = [[one.notice.key for one in address(steps, [SOC, EVERYTHING], (), "main", now)] for now in (NOW, NOW + 1)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 2  # one a channel


def test_the_outbox_gives_back_what_was_put_in() -> None:
    for found in (OPENED, STALE):
        assert event_of(event_json(found)) == found
    made = address(weigh([OPENED], [], {}, 1), [SOC], (), "main", NOW)[0].notice
    assert notice_of(made.key, made.channel, "main", notice_json(made)) == made
