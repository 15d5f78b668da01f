"""Evidence and its points: a policy, some flows, and what must come of them. The hard rules as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from detect.captures import zeek_conn, zeek_row
from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.detect.evidence import grade
from reconshield.detect.flows import Flows
from reconshield.detect.match import Matches, match
from reconshield.detect.readers import recognise
from reconshield.detect.scene import OwnScan
from reconshield.detect.tally import Tally
from reconshield.detection import Detection, Evidence
from reconshield.jobs.detect import make_setting
from reconshield.jobs.policy import known_names
from reconshield.policy import Policy, read_policy

DAY = 1_760_000_000 - 1_760_000_000 % 86_400
CELL = """
version = 1
[[zone]]
name = "cell-3"
targets = ["10.20.0.0/16"]
secure = true
[[zone]]
name = "office"
targets = ["10.30.0.0/16"]
[[traffic]]
zone = "cell-3"
direction = "out"
services = ["dns", "smtp"]
with = ["wan"]
[[traffic]]
zone = "cell-3"
direction = "in"
services = ["ssh"]
with = ["office"]
reason = "jump hosts"
[[traffic]]
zone = "office"
direction = "out"
services = ["https", "dns", "ssh"]
"""


def policy_of(text: str) -> Policy:
    policy, problems = read_policy(text, "reconshield.toml", known_names())
    assert policy is not None, problems
    return policy


def judge(rows: Iterable[dict[str, object]], policy: Policy | None = None, **more: Any) -> Matches:
    setting = make_setting(policy, DAY + 86_400.0)
    for name, value in more.items():
        object.__setattr__(setting, name, value)
    data = zeek_conn(rows)
    reader = recognise(data)
    assert reader is not None
    with Tally() as tally:
        for item in reader.read([data]):
            assert isinstance(item, Flows)
            tally.add(item)
        return match(tally, setting)


def points(detection: Detection) -> dict[str, int]:
    return {str(entry.kind): entry.points for entry in detection.evidence}


def beacon(src: str, dst: str, port: int, hours: int = 12, **more: object) -> list[dict[str, object]]:
    return [zeek_row(DAY + at, src, dst, port, **more) for at in range(0, hours * 3600, 60)]


def test_http_on_110_out_of_a_secure_zone_is_critical() -> None:
    [found] = judge(beacon("10.20.4.9", "203.0.113.35", 110, service="http"), policy_of(CELL)).detections
    assert points(found) == {"policy": 60, "protocol": 25, "rhythm": 20, "direction": 10}
    assert (found.grade.score, found.grade.rating, found.flows) == (100, "critical", 720)
    assert found.attack == ("T1071", "T1571")
    assert "secure zone cell-3 expects no pop3" in found.evidence[0].because
    assert found.evidence[1].because == "http was spoken, not pop3"
    assert found.following == "on 10.20.4.9: ss -tnp dst 203.0.113.35"
    assert found.direction == "out"
    assert ", or http in the first bytes of a capture of it, or the same rhythm while nobody" in found.confirmed
    assert dict(found.measures) == {"gaps": 1.0, "sizes": 1.0, "hours": 1.0, "duration": 1.0}
    assert found.refuted == "a greeting of pop3 in a capture, or a change record for cell-3, then a [[traffic]] entry"


@pytest.mark.parametrize(
    ("src", "dst", "direction"),
    [
        ("10.20.4.9", "203.0.113.35", "out"),
        ("203.0.113.35", "10.20.4.9", "in"),
        ("10.20.4.9", "10.30.0.1", "within"),
        ("203.0.113.35", "198.51.100.1", "outside"),
    ],
)
def test_the_direction_of_a_conversation(src: str, dst: str, direction: str) -> None:
    [found] = judge(beacon(src, dst, 5888, conn_state="REJ"), policy_of(CELL)).detections
    assert found.direction == direction


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        (zeek_row(DAY, "10.20.4.9", "203.0.113.35", 25, service="smtp"), None),
        (zeek_row(DAY, "10.20.4.9", "203.0.113.35", 25), None),
        (zeek_row(DAY, "10.20.4.9", "203.0.113.35", 25, service="http"), 60),
        (zeek_row(DAY, "10.20.4.9", "10.30.0.1", 25), 60),
        (zeek_row(DAY, "10.30.0.9", "10.20.4.9", 22, service="ssh"), None),
        (zeek_row(DAY, "10.40.0.9", "10.20.4.9", 22, service="ssh"), 60),
        (zeek_row(DAY, "10.20.4.9", "10.20.4.10", 445), 60),
        (zeek_row(DAY, "10.30.0.9", "198.51.100.1", 6667), 35),
        (zeek_row(DAY, "10.40.0.9", "198.51.100.1", 6667), None),
    ],
)
def test_the_policy_of_both_sides_decides(row: dict[str, object], wanted: int | None) -> None:
    matches = judge([row], policy_of(CELL))
    found = [points(detection).get("policy") for detection in matches.detections]
    assert found == ([] if wanted is None else [wanted])


def test_what_is_allowed_is_shown_as_allowed_and_not_rated() -> None:
    matches = judge(beacon("10.30.0.9", "10.20.4.9", 22, service="ssh"), policy_of(CELL))
    assert matches.detections == ()
    [spared] = matches.allowed
    assert points(spared) == {"allowed": -50, "rhythm": 20, "port list": 10, "direction": 6}
    assert any(entry.because.endswith(": jump hosts") for entry in spared.evidence)


def test_an_entry_that_has_expired_allows_nothing() -> None:
    text = CELL.replace('services = ["dns", "smtp"]', 'services = ["dns", "smtp"]\nexpires = 2020-01-01')
    [found] = judge([zeek_row(DAY, "10.20.4.9", "203.0.113.35", 25, service="smtp")], policy_of(text)).detections
    assert points(found)["policy"] == 60


@pytest.mark.parametrize("port", [5353, 5355, 137])
def test_what_has_the_format_of_dns_may_be_called_dns(port: int) -> None:
    rows = [zeek_row(DAY, "10.1.2.3", "224.0.0.251", port, proto="udp", service=name) for name in ("dns", "http")]
    assert [points(found).get("protocol") for found in judge(rows[:1]).detections] == []
    assert [points(found).get("protocol") for found in judge(rows[1:]).detections] == [25]


def test_failures_and_rhythm_without_any_policy() -> None:
    rows = beacon("10.1.2.3", "203.0.113.35", 5888, conn_state="REJ")
    [found] = judge(rows).detections
    assert points(found) == {"rhythm": 20, "failure": 12, "direction": 10}
    assert found.grade.rating == "medium"


def test_our_own_scan_is_recognised_by_place_and_time() -> None:
    rows = [zeek_row(DAY + at, "10.1.0.1", "203.0.113.35", 110, service="http", duration="0.1") for at in range(30)]
    scan = OwnScan("run-1", AddressSet.of("10.1.0.1"), AddressSet.of("203.0.113.35"), PortSet(((1, 65_535),)), DAY, DAY + 60)
    [found] = judge(rows).detections
    assert judge(rows, scans=(scan,)).detections == ()
    assert points(found)["protocol"] == 25


@pytest.mark.parametrize(
    ("classes", "rating"),
    [
        ({"port list": 10}, "noted"),
        ({"port list": 10, "rhythm": 20, "direction": 10, "rarity": 8, "duration": 10}, "low"),
        ({"policy": 60}, "high"),
        ({"policy": 35}, "low"),
        ({"policy": 35, "port list": 10}, "medium"),
        ({"policy": 35, "direction": 10, "rhythm": 20}, "high"),
        ({"indicator": 40}, "medium"),
        ({"indicator": 40, "port list": 20}, "medium"),
        ({"policy": 60, "protocol": 25}, "critical"),
        ({"policy": 60, "own scanner": -30}, "low"),
    ],
)
def test_hard_rules(classes: dict[str, int], rating: str) -> None:
    assert grade(tuple(Evidence(kind, points, "because") for kind, points in classes.items())).rating == rating


def test_addresses_of_networks() -> None:
    target = parse_target("10.20.0.0/16").addresses
    assert target is not None
    assert policy_of(CELL).zones[0].area == target
