"""False alarms and true ones: an ordinary day without a policy is quiet, and what is planted in it stands out from it."""

from __future__ import annotations

import pytest

from detect.captures import zeek_row
from detect.office import DAY, HOUR, UDP, UNANSWERED, Row, beacon, office_day
from detect.test_match import CELL, judge, points, policy_of
from reconshield.detect.flows import Flows, FlowState, new_rows
from reconshield.detect.match import Matches, match
from reconshield.detect.tally import Tally
from reconshield.jobs.detect import make_setting

PLANTED: dict[tuple[str, str, int], tuple[str, list[Row]]] = {
    ("10.30.1.7", "192.0.2.35", 110): ("high", beacon("10.30.1.7", "192.0.2.35", 110, service="http")),
    ("10.30.1.9", "192.0.2.36", 4444): ("high", beacon("10.30.1.9", "192.0.2.36", 4444, conn_state="REJ")),
    ("10.30.1.11", "192.0.2.37", 53): ("high", beacon("10.30.1.11", "192.0.2.37", 53, service="ssh")),
    ("10.30.1.13", "192.0.2.38", 443): ("medium", beacon("10.30.1.13", "192.0.2.38", 443, 12, **UNANSWERED)),
    ("2001:db8:30::5", "2001:db8:f::1", 25): ("high", beacon("2001:db8:30::5", "2001:db8:f::1", 25, service="http")),
}
"""By ends and port: the rating that each must have without any policy, and its flows."""


@pytest.fixture(scope="module")
def day() -> Matches:
    return judge([*office_day(), *(row for _, rows in PLANTED.values() for row in rows)], policy_of(ZONE))


ZONE = """
version = 1
[[zone]]
name = "office"
targets = ["10.30.0.0/16", "2001:db8:30::/48"]
"""
"""Says what is inside, and nothing of what may talk."""


def test_an_ordinary_day_gives_nothing_above_low_and_what_is_planted_in_it_is_found(day: Matches) -> None:
    loud = {(each.src, each.dst, each.port): each.grade.rating for each in day.detections if each.grade.rating != "low"}
    assert loud == {ends: rating for ends, (rating, _) in PLANTED.items()}
    assert day.conversations > 10_000


def test_groups_are_in_no_detection_of_the_day(day: Matches) -> None:
    assert not [each for each in day.detections if each.dst.startswith(("224.", "239.", "ff02:"))]


UPLOAD = {"orig_bytes": 5_000_000_000, "resp_bytes": 200_000, "duration": "16000"}


@pytest.mark.parametrize(
    ("row", "rating", "kinds"),
    [
        (zeek_row(DAY, "10.30.1.9", "192.0.2.40", 21, service="ftp", **UPLOAD), "medium", {"policy", "volume", "direction"}),
        (zeek_row(DAY, "10.30.1.9", "192.0.2.40", 443, service="smtp", **UPLOAD), "high", {"policy", "protocol", "volume"}),
        (zeek_row(DAY, "10.20.4.9", "192.0.2.40", 443, service="ssl", **UPLOAD), "high", {"policy", "volume"}),
        (zeek_row(DAY, "10.20.4.9", "192.0.2.40", 110, service="http"), "critical", {"policy", "protocol"}),
        (zeek_row(DAY, "10.20.4.9", "10.20.4.10", 4444), "high", {"policy", "port list"}),
        (zeek_row(DAY, "10.30.1.9", "192.0.2.41", 4444), "medium", {"policy", "port list", "direction"}),
    ],
)
def test_what_a_policy_adds(row: Row, rating: str, kinds: set[str]) -> None:
    """Data that leaves, an enclave that speaks, a documented port with a second class."""
    [found] = judge([row], policy_of(CELL)).detections
    assert found.grade.rating == rating
    assert kinds <= set(points(found))


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (beacon("10.30.1.9", "192.0.2.41", 123, 12, **UDP, **UNANSWERED), "failure"),
        (beacon("10.30.1.9", "192.0.2.41", 443, 12, **UNANSWERED), "port list"),
        (beacon("10.30.1.9", "10.30.1.10", 5985, service="http"), "protocol"),
        (beacon("10.30.1.9", "10.30.1.10", 9100, service="http"), "protocol"),
        (beacon("10.30.1.9", "10.30.1.10", 631, service="http"), "protocol"),
        (beacon("10.30.1.9", "239.255.255.250", 1900, 12, **UDP, **UNANSWERED), "rhythm"),
    ],
)
def test_what_is_no_evidence(rows: list[Row], kind: str) -> None:
    assert all(kind not in points(found) for found in judge(rows).detections)


def test_a_filter_that_stops_udp_counts() -> None:
    rows = new_rows(30)
    rows["src_lo"], rows["dst_lo"] = 0xFFFF_0A1E_0109, 0xFFFF_C000_0229
    rows["transport"], rows["dport"], rows["state"] = 17, 4444, FlowState.DENIED
    rows["start"] = [DAY + 60.0 * number for number in range(30)]
    rows["end"], rows["record"] = rows["start"], range(30)
    with Tally() as tally:
        tally.add(Flows(rows, ("",)))
        [found] = match(tally, make_setting(None, DAY + 24.0 * HOUR)).detections
    assert points(found)["failure"] == 12
