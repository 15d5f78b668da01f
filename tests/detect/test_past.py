"""What stored scans add to detections: their own traffic, new listeners, and what is known of the endpoint."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from detect.captures import zeek_row
from detect.test_match import DAY, judge, points
from reconshield.addresses import AddressSet, PortSet, parse_address
from reconshield.detect.listeners import find_listeners
from reconshield.detect.scene import OwnScan
from reconshield.jobs.detect_past import Past, exposure_text, new_listeners, own_scans
from reconshield.model import Endpoint
from reconshield.report.exposures import Exposure
from reconshield.scan.plan import Plan
from reconshield.store.db import open_store
from reconshield.store.runs import create_run

BAD_HOST = "203.0.113.35"
NOW = DAY + 86_400.0
POP3 = PortSet(((110, 110),))


def exposure(opened: float, shut: float | None, verdict: str | None = None) -> Exposure:
    return Exposure(
        endpoint=Endpoint("10.1.0.9", 110, "tcp"),
        vantage="local",
        shut_before=shut,
        opened=opened,
        seen=opened,
        zone="wan",
        assets=(),
        owner="mail team",
        service=None,
        risk=None,
        verdict=verdict,
    )


def test_what_only_our_scan_explains_is_listed_as_ours() -> None:
    rows = [zeek_row(DAY + at, "10.1.0.1", BAD_HOST, 110, service="http", duration="0.1") for at in range(30)]
    scan = OwnScan("run-1 (grant g2)", AddressSet.of("10.1.0.1"), AddressSet.of(BAD_HOST), POP3, DAY, DAY + 60)
    matches = judge(rows, scans=(scan,))
    assert matches.detections == ()
    [own] = matches.own
    assert points(own)["own scanner"] == -30
    assert any(entry.because == "our own scan run-1 (grant g2)" for entry in own.evidence)
    assert judge(rows).own == ()


def test_scans_are_taken_from_the_store_with_their_grants(tmp_path: Path) -> None:
    plan = Plan(AddressSet.of(BAD_HOST), POP3, 7, 16)
    with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        for vantage in ("here", "other"):
            create_run(store, plan=plan.to_json(), engine="connect", vantage=vantage, grants=["g2"], level=2, now=DAY)
        [found] = own_scans(store, "here", None, DAY + 60)
        assert list(own_scans(store, "elsewhere", None, DAY + 60)) == []
    assert (found.targets, found.ports) == (plan.targets, plan.ports)
    assert (found.begin, found.end) == (DAY, DAY + 60)
    assert found.run.endswith(" (grant g2)")
    assert AddressSet.of("127.0.0.1") & found.sources


def test_traffic_after_the_scan_from_elsewhere_or_to_other_ports_is_not_its_own() -> None:
    rows = [zeek_row(DAY + at, "10.1.0.1", BAD_HOST, 110, service="http", duration="0.1") for at in range(30)]
    for begin, source, ports in (
        (DAY - 900, "10.1.0.1", POP3),
        (DAY, "10.1.0.2", POP3),
        (DAY, "10.1.0.1", PortSet(((111, 65_535),), ((1, 65_535),))),
    ):
        scan = OwnScan("run-1", AddressSet.of(source), AddressSet.of(BAD_HOST), ports, begin, begin + 60)
        [found] = judge(rows, scans=(scan,)).detections
        assert "own scanner" not in points(found)


def test_a_listener_is_new_when_scans_saw_it_shut_before() -> None:
    place = parse_address("10.1.0.9"), 110, "tcp"
    assert list(new_listeners([exposure(NOW - 3600, NOW - 7200)], NOW)) == [place]
    assert new_listeners([exposure(NOW - 3600, None)], NOW) == {}
    assert new_listeners([exposure(NOW - 8 * 86_400, NOW - 9 * 86_400)], NOW) == {}
    assert new_listeners([exposure(NOW - 3600, NOW - 7200, "expected")], NOW) == {}


def test_a_new_listener_is_evidence_where_it_answers() -> None:
    known = new_listeners([exposure(NOW - 3600, NOW - 7200)], NOW)
    listeners = partial(find_listeners, known=known)
    [found] = judge([zeek_row(DAY, BAD_HOST, "10.1.0.9", 110)], listeners=listeners).detections
    assert points(found)["listener"] == 20
    assert found.evidence[0].because.startswith("a new listener: scans saw it shut")
    for row in (zeek_row(DAY, BAD_HOST, "10.1.0.9", 110, conn_state="REJ"), zeek_row(DAY, BAD_HOST, "10.1.0.9", 111)):
        assert all("listener" not in points(each) for each in judge([row], listeners=listeners).detections)


def test_a_detection_says_what_the_scan_knows_of_its_endpoint() -> None:
    known = exposure(NOW - 3600, NOW - 7200, "unexpected")
    listeners = partial(find_listeners, known=new_listeners([known], NOW))
    matches = judge([zeek_row(DAY, BAD_HOST, "10.1.0.9", 110)], listeners=listeners)
    [told] = Past((), {("10.1.0.9", 110, "tcp"): known}).join(matches).detections
    assert told.exposure == exposure_text(known)
    assert "owner mail team, unexpected, open since" in told.exposure
