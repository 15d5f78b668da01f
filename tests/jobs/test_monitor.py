"""The monitor on virtual time: real scans of loopback listeners, a clock that the test turns, no workflow engine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import html5lib
import pytest

from reconshield.addresses import AddressSet
from reconshield.jobs import executors, monitor, scheduled
from reconshield.jobs.alerting import list_alerts
from reconshield.jobs.grants import add_grant
from reconshield.jobs.metrics import Metrics, metrics_text
from reconshield.jobs.monitor_status import monitor_status, status_data, status_lines
from reconshield.jobs.notice_page import notice_page
from reconshield.jobs.policy import known_names
from reconshield.jobs.scheduled import Begun, Part
from reconshield.policy import Policy, read_policy
from reconshield.schedule import Opening
from reconshield.settings import Settings
from reconshield.store import occurrences as kept
from reconshield.store import outbox
from reconshield.store.db import Store, open_store
from reconshield.store.observations import blocks_done
from reconshield.store.occurrences import Occurrence
from reconshield.store.runs import find_run, list_runs

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
    with open_store(str(tmp_path / "x.db")) as store:
        yield Desk(store, Settings(tmp_path, store.where, "main", "local"), policy_of(schedule()))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((HOST, 7101)) as opened:
        yield opened


def test_a_day_in_which_a_port_opens_and_closes(desk: Desk) -> None:
    desk.look()
    assert desk.states == ["complete"]
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


def test_two_scans_at_once_of_different_addresses_both_tell_what_changed(desk: Desk, listener: socket.socket) -> None:
    """The one that began first and ends last has still measured its own addresses last."""
    apart = schedule(name='"apart"', targets=f'"{PLACE}.77"', ports='"7200"')
    desk.policy = policy_of(schedule(), apart, EXPECTED.replace("7101", "7102"))
    started: list[tuple[Occurrence, Begun, Sequence[Part]]] = []

    def start(one: Occurrence, opening: Opening, dark: AddressSet) -> None:
        desk.now += 1
        started.append((one, *work_off(desk, one, opening, dark)))

    monitor.tick(desk.store, desk.policy, desk.watch, [], start, desk.now)
    for one, begun, parts in sorted(started, key=lambda found: found[0].schedule == "hourly"):
        desk.now += 1
        assert monitor.conclude(desk.store, desk.policy, one, begun, parts, desk.now) == "complete"
    assert desk.subjects() == [f"7101/tcp is open on {HOST}, not expected"]


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


EXPECTED = """[[expect]]
on = "own"
ports = "7101"
reason = "MX"
owner = "Ada"
expires = 2027-06-30
"""


def test_what_the_policy_says_decides_what_is_told(desk: Desk, listener: socket.socket) -> None:
    desk.policy = policy_of(schedule(), EXPECTED.replace("7101", "7102"))
    desk.look()
    assert desk.subjects() == [f"7101/tcp is open on {HOST}, not expected"]
    assert list_alerts(desk.store)[0].event.kind == "unexpected"
    desk.look(HOUR)
    assert len(desk.alerts()) == 1  # still so: nothing new is said
    desk.policy = policy_of(schedule(), '[[closed]]\non = "own"\nports = "7101"\nseverity = "critical"')
    desk.look(HOUR)
    message = list_alerts(desk.store)[0]
    assert (message.event.title, message.status) == (f"7101/tcp is open on {HOST}, must be closed", "updated")
    assert message.event.severity == "critical"
    desk.policy = policy_of(schedule(), EXPECTED)
    desk.look(HOUR)
    assert desk.subjects() == []
    assert desk.alerts() == [("forbidden-open", "resolved")]
    assert list_alerts(desk.store, everything=True)[0].alert.ending == "expected by the policy"


def test_what_opens_as_expected_is_told_as_information(desk: Desk) -> None:
    desk.policy = policy_of(schedule(), EXPECTED)
    desk.look()
    with socket.create_server((HOST, 7101)):
        desk.look(HOUR)
    message = list_alerts(desk.store)[0]
    assert (message.event.title, message.event.severity) == (f"7101/tcp opened on {HOST}, as expected", "info")


def test_metrics_and_status_say_what_was_measured(desk: Desk, listener: socket.socket) -> None:
    desk.policy = policy_of(schedule())
    desk.look()
    desk.now += 120
    text = metrics_text(desk.store, desk.policy, desk.now)
    label = 'workspace="main",schedule="hourly"'
    for line in (
        f'reconshield_exposures{{{label},zone="own",service="unknown",severity="low"}} 1',
        f"reconshield_last_scan_age_seconds{{{label}}} 120",
        f"reconshield_coverage_ratio{{{label}}} 1",
        f'reconshield_scans_total{{{label},state="complete"}} 1',
        'reconshield_alerts{workspace="main",severity="high"} 0',
    ):
        assert line in text.splitlines()
    names = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    assert {name for name in names if names.count(name) > 0} <= {
        line.split()[2] for line in text.splitlines() if "# TYPE" in line
    }
    cached = Metrics(desk.store, lambda: desk.policy, lambda: desk.now)
    assert cached.read() is cached.read()
    found = monitor_status(desk.store, desk.settings, None, desk.now)
    assert "No schedules" in next(iter(status_lines(found)))
    assert status_data(found)["troubled"] is False


def test_a_schedule_that_is_taken_out_of_the_policy_is_silent_for_good(desk: Desk) -> None:
    desk.policy = policy_of(schedule(targets='"192.0.2.0/30"'))
    desk.look()
    desk.policy = policy_of()
    desk.look(HOUR)
    assert desk.alerts() == [("scan-refused", "resolved")]


def test_the_page_for_those_who_are_measured(desk: Desk) -> None:
    add_grant(desk.store, ["192.0.2.0/24"], by="Ada <script>", now=desk.now, contact="noc@example.org", actor="test")
    page = notice_page(desk.store, desk.policy, "dmz-1", desk.now, None)
    for part in ("noc@example.org", "192.0.2.0/24: level 3 (identify)", "Ada &lt;script&gt;", "own: every 1h; next 2026-11-27"):
        assert part in page
    assert "<script" not in page
    html5lib.HTMLParser(strict=True).parse(page)
    empty = notice_page(desk.store, None, "dmz-1", desk.now + 400 * DAY, "call 110")
    assert "No grant is valid now" in empty
    assert "call 110" in empty
