"""What the monitor says of what it measured: alerts by the policy, metrics, status, and the page for those who are measured."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import html5lib

from jobs.desk import DAY, HOST, HOUR, PLACE, Desk, policy_of, schedule, work_off
from reconshield.addresses import AddressSet
from reconshield.jobs import monitor
from reconshield.jobs.alerting import list_alerts
from reconshield.jobs.grants import add_grant
from reconshield.jobs.metrics import Metrics, metrics_text
from reconshield.jobs.monitor_status import monitor_status, status_data, status_lines
from reconshield.jobs.notice_page import notice_page
from reconshield.jobs.scheduled import Begun, Part
from reconshield.schedule import Opening
from reconshield.store.occurrences import Occurrence

EXPECTED = """[[expect]]
on = "own"
ports = "7101"
reason = "MX"
owner = "Ada"
expires = 2027-06-30
"""


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
