"""The monitor on virtual time: when a scan is due, what holds it back, and what becomes of it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest

from jobs.desk import DAY, HOST, HOUR, NOON, PLACE, Desk, policy_of, schedule, work_off
from reconshield.addresses import AddressSet
from reconshield.jobs import monitor, scheduled
from reconshield.jobs.alerting import list_alerts
from reconshield.jobs.scheduled import Begun, Part
from reconshield.schedule import Opening
from reconshield.store import occurrences as kept
from reconshield.store import outbox
from reconshield.store.observations import blocks_done
from reconshield.store.occurrences import Occurrence
from reconshield.store.runs import find_run, list_runs


def test_a_day_in_which_a_port_opens_and_closes(desk: Desk) -> None:
    desk.look()
    assert desk.states == ["complete"]
    summary = find_run(desk.store, "latest").summary or {}
    assert (summary["loss"], summary["recall_estimate"][1]) == (0, 1), "of both shares: closed ports answered"
    desk.look(60)
    assert desk.states == ["complete"]  # one a slot
    with socket.create_server((HOST, 7101)):
        desk.look(HOUR)
        assert desk.subjects() == [f"7101/tcp opened on {HOST}"]
        message = list_alerts(desk.store)[0]
        assert message.event.since[0] is not None
        assert (message.event.before, message.event.after, message.event.owner) == ("closed", "open", "Ada")
        desk.look(HOUR)  # still open: nothing more is said
    desk.look(HOUR)
    assert desk.alerts() == [("opened", "resolved")]
    assert outbox.count_deliveries(desk.store) == {"log": {"waiting": 1, "replaced": 1}}  # nobody had been told: one word
    assert desk.states == ["complete"] * 4


def test_of_many_slots_that_passed_only_the_newest_is_due(desk: Desk) -> None:
    desk.look()
    desk.look(DAY + 60)
    assert len(list_runs(desk.store)) == 2
    assert desk.alerts() == []


def test_a_policy_that_is_written_anew_counts_from_then_on(desk: Desk) -> None:
    desk.policy = policy_of(schedule(every='"24h"'))
    desk.look()
    desk.look(2 * HOUR)
    assert desk.states == ["complete"]
    desk.policy = policy_of(schedule(every='"1h"'))
    desk.look(60)
    assert desk.states == ["complete"] * 2


def test_a_new_cron_schedule_waits_for_its_time_and_then_makes_up_for_it(desk: Desk) -> None:
    desk.policy = policy_of(schedule(every="", cron='"0 2 * * *"'))
    desk.look()
    assert desk.states == []
    desk.look(15 * HOUR)  # nobody was running at two in the night: it is made up for at three
    assert desk.states == ["complete"]
    desk.look(HOUR)
    assert desk.states == ["complete"]


def test_silence_is_an_alarm_and_is_over_when_everything_is_measured(desk: Desk) -> None:
    desk.policy = policy_of(schedule(vantage='"dmz-1"', fresh='"3h"'))
    desk.manned = False
    desk.run(5 * HOUR)
    stale = next(m for m in list_alerts(desk.store) if m.event.kind == "stale")
    assert stale.event.title.startswith("own: no whole scan for 3 h")
    assert stale.event.title.endswith("(target 3 h 0 min); last try: no worker measures from dmz-1")
    assert (stale.event.zone, stale.event.severity) == ("own", "high")
    first = stale.alert.revision
    desk.run(5 * HOUR)
    assert next(m for m in list_alerts(desk.store) if m.event.kind == "stale").alert.revision == first  # said once
    desk.manned = True
    running = [o for o in kept.unfinished(desk.store) if o.state == "running"]
    kept.change_occurrence(desk.store, running[0].schedule, running[0].slot, state="waiting")
    desk.run(HOUR)
    assert "complete" in desk.states
    assert desk.subjects() == []


def test_a_window_holds_a_scan_back_and_an_alarm_says_when_it_never_came(desk: Desk) -> None:
    desk.policy = policy_of(schedule(window='"22:00-05:00 UTC"', fresh='"100h"', every='"6h"'))
    desk.look()
    waiting = kept.unfinished(desk.store)
    assert [(o.state, o.note) for o in waiting] == [("waiting", "waits for window 22:00-05:00 UTC, until 2026-11-27 22:00 UTC")]
    desk.look(6 * HOUR)
    assert desk.alerts() == [("scan-missed", "open")]
    desk.look(4 * HOUR)
    assert desk.states == ["complete"]
    assert desk.alerts() == [("scan-missed", "resolved")]


def test_a_scan_that_outlives_its_window_goes_on_in_the_next(desk: Desk) -> None:
    desk.policy = policy_of(
        schedule(window='"11:00-13:00 UTC"', every='"48h"', targets=f'"{HOST}"', ports='"1-3000"', rate="4000")
    )
    desk.stop_after = NOON + 0.5 * HOUR
    desk.now = desk.stop_after  # time is up as soon as something is measured
    desk.look()
    run = list_runs(desk.store)[0]
    assert (desk.states, run.state) == (["waiting"], "partial")
    done = blocks_done(desk.store, run.id)
    desk.look(2 * HOUR)
    assert desk.states == ["waiting"]
    desk.stop_after = None
    desk.look(21.5 * HOUR)
    assert desk.states == ["waiting", "complete"]
    assert [one.id for one in list_runs(desk.store)] == [run.id]  # the same run, its blocks kept
    assert done < blocks_done(desk.store, run.id)
    assert find_run(desk.store, run.id).state == "complete"


def test_a_scan_that_cannot_be_finished_says_how_much_is_not_known(desk: Desk) -> None:
    def start(one: Occurrence, opening: Opening, dark: AddressSet) -> None:
        begun = scheduled.begin(desk.store, desk.settings, one, dark, desk.now)
        parts = [Part(problem="the grants no longer cover it")]  # revoked between the beginning and the first block
        desk.states.append(monitor.conclude(desk.store, desk.policy, one, begun, parts, desk.now))

    monitor.tick(desk.store, desk.policy, desk.watch, [], start, desk.now)
    event = list_alerts(desk.store)[0].event
    assert (desk.states, event.kind, event.also) == (["partial"], "scan-partial", ("coverage-lost",))
    assert event.title == "own: only 0 of 64 endpoints measured"
    assert event.what.endswith("of schedule hourly: the grants no longer cover it")
    desk.look(HOUR)
    assert desk.alerts() == [("scan-partial", "resolved")]


def test_a_blackout_over_a_part_leaves_that_out_and_over_all_waits(desk: Desk) -> None:
    part = f'[[blackout]]\nname = "release"\non = ["{PLACE}.0/29"]\nbegins = 2026-11-27\nends = 2026-11-27'
    desk.policy = policy_of(schedule(), part)
    desk.look()
    assert find_run(desk.store, "latest").summary is not None
    assert [o.state for o in kept.unfinished(desk.store)] == []
    assert list_runs(desk.store)[0].options["exclude"] == [f"{PLACE}.0/29"]
    assert list_runs(desk.store)[0].summary["measured"] == 8 * 4  # type: ignore[index]
    desk.policy = policy_of(schedule(), part.replace("/29", "/28"))
    desk.look(HOUR)
    assert [o.note for o in kept.unfinished(desk.store)] == ["waits for blackout release, until 2026-11-28 00:00 UTC"]


def test_without_a_grant_nothing_is_sent_and_somebody_is_told(desk: Desk) -> None:
    desk.policy = policy_of(schedule(targets='"192.0.2.0/30"'))
    desk.look()
    assert desk.states == ["refused"]
    assert list_runs(desk.store) == []
    assert desk.subjects() == ["192.0.2.0/30: refused: no grant covers 192.0.2.1 and 1 more. Nothing was sent."]
    desk.look(HOUR)
    assert len(desk.subjects()) == 1  # the same refusal is said once


def test_a_scan_is_announced_before_it_begins(desk: Desk) -> None:
    desk.policy = policy_of(schedule(announce='"log"'))
    desk.look()
    assert desk.states == []
    told = outbox.list_deliveries(desk.store)
    assert [m["alert"]["event"]["kind"] for m in told[0].notice["messages"]] == ["scan-announced"]
    assert f"{PLACE}.0/28, ports 7100-7103" in told[0].notice["messages"][0]["alert"]["event"]["what"]
    desk.look(1)
    assert desk.states == []
    outbox.mark_sent(desk.store, told[0].key, desk.now, "taken")
    desk.look(1)
    assert desk.states == ["complete"]
    desk.look(HOUR)
    desk.look(61)  # the SIEM is down: a minute is enough
    assert desk.states == ["complete"] * 2


@pytest.mark.parametrize("jump", [-400 * DAY, 400 * DAY])
def test_a_clock_that_jumps_measures_once_and_goes_on(desk: Desk, jump: float) -> None:
    desk.look()
    desk.look(jump)
    desk.look(60)
    assert desk.states == ["complete"] * 2
    desk.look(-jump)
    desk.look(HOUR)
    assert desk.states == ["complete"] * 3


def test_the_same_addresses_are_measured_by_one_scan_at_a_time(desk: Desk) -> None:
    other = schedule(name='"other"', targets=f'"{PLACE}.2"', ports='"7200"')
    apart = schedule(name='"apart"', targets=f'"{PLACE}.77"', ports='"7200"')
    desk.policy = policy_of(schedule(), other, apart)
    started: list[Occurrence] = []
    monitor.tick(desk.store, desk.policy, desk.watch, [], lambda one, *_: started.append(one), desk.now)
    assert [one.schedule for one in started] == ["apart", "hourly"]
    waiting = next(one for one in kept.unfinished(desk.store) if one.state == "waiting")
    assert waiting.note == "waits for schedule hourly, which measures the same addresses"


def test_a_repeated_end_changes_nothing(desk: Desk) -> None:
    ended: list[tuple[Occurrence, Begun, Sequence[Part]]] = []

    def start(occurrence: Occurrence, opening: Opening, dark: AddressSet) -> None:
        begun, parts = work_off(desk, occurrence, opening, dark)
        ended.append((occurrence, begun, parts))

    monitor.tick(desk.store, desk.policy, desk.watch, [], start, desk.now)
    occurrence, begun, parts = ended[0]
    again = scheduled.begin(desk.store, desk.settings, kept.unfinished(desk.store)[0], AddressSet(), desk.now)
    assert again == begun  # the same run, not another one
    states = [monitor.conclude(desk.store, desk.policy, occurrence, begun, parts, desk.now + n) for n in range(3)]
    assert states == ["complete"] * 3
    assert len(list_runs(desk.store)) == 1
    assert kept.newest(desk.store, "hourly").finished_at == desk.now  # type: ignore[union-attr]
