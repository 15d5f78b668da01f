"""An exposure shows who really talks to it, as far as uploaded flows say, and what is not known is said to be unknown."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from detect.captures import zeek_conn, zeek_row
from reconshield.detection import Detection, Evidence, Grade
from reconshield.jobs import detect
from reconshield.report.detected import DetectionReport, InputNote
from reconshield.web.call import Site
from web.world import ADDRESS, LINE, PLACE, PORT, RAW, faults_of, make_run

Make = Callable[..., Any]
START = 1_790_000_000.0
PEERS = tuple(f"10.0.0.{number}" for number in range(1, 5))
LOG = zeek_conn([zeek_row(START + 60 * n, PEERS[n % 4], ADDRESS, PORT, service="pop3") for n in range(40)])
ELSEWHERE = zeek_conn([zeek_row(START + 60 * n, "10.0.0.1", "10.9.9.9", 443) for n in range(5)])
SOCKETS = b"State Recv-Q Send-Q Local Address:Port Peer Address:Port\nLISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"


@pytest.fixture
def place(site: Site, person: Make) -> str:
    """Where the page of an endpoint is that a scan found open."""
    person("admin")
    return f"/scans/{make_run(site.store_of('main'), time.time() - 3600)}/evidence/{PLACE}"


def upload(somebody: Any, log: bytes, name: str = "conn.log") -> None:
    answer = somebody.post("/detections", {"since": ""}, files={"flows": (name, log)})
    assert answer.status_code == 303, answer.text


def test_an_endpoint_shows_who_talks_to_it(person: Make, place: str) -> None:
    analyst = person("analyst")
    upload(analyst, LOG)
    seen = person("viewer").get(place).text
    assert "4 peers talk to it: 40 flows" in seen
    assert all(f"{peer} (10)" in seen for peer in PEERS[:3])
    assert "/tmp" not in seen.partition('id="traffic"')[2]
    assert f'{place}#traffic">4 peers, 40 flows</a>' in analyst.get("/exposures").text


def test_what_flows_do_not_show_is_unknown_and_not_silence(person: Make, place: str) -> None:
    analyst = person("analyst")
    assert "No flow log has been judged since the app began" in analyst.get(place).text
    for log in (ELSEWHERE, SOCKETS):
        upload(analyst, log)
    said = analyst.get(place).text
    assert said.count("How many talk to it is not known from these flows") == 2
    assert "#traffic" not in analyst.get("/exposures").text
    upload(analyst, LOG)
    upload(analyst, ELSEWHERE)
    assert "4 peers, 40 flows" in analyst.get("/exposures").text


def test_of_more_endpoints_than_are_kept_the_busiest_stay(person: Make, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "MOST_TALK", 0)
    upload(person("analyst"), LOG)
    assert "How many talk to it is not known from these flows" in person("viewer").get(place).text


def test_detections_about_it_are_the_worst_with_their_flows(site: Site, person: Make, place: str) -> None:
    about = [detection(ADDRESS, PORT, f"10.0.0.{number}") for number in range(5)]
    others = [detection(ADDRESS, PORT + 1, "10.0.1.1"), detection("127.77.0.10", PORT, "10.0.1.2")]
    note = InputNote(f"{LINE}.log", "zeek", 9, 0)
    name = site.reports.keep("main", DetectionReport((*others, *about), (), (), (note,), 7, 0, 0, time.time()))
    answer = person("viewer").get(place)
    said = answer.text.partition('id="traffic"')[2]
    assert [f"10.0.0.{number}" in said for number in range(5)] == [True, True, True, False, False]
    assert "10.0.1." not in said
    assert f'/detections/{name}">2 more detections</a>' in said
    assert faults_of(answer.text) == []


def detection(dst: str, port: int, src: str) -> Detection:
    evidence = (Evidence("policy", 60, RAW),)
    return Detection(
        src, dst, port, "tcp", Grade(60, "high"), evidence, START, START + 9, 12, 100, 200, sample=(f"{LINE}.log:7",)
    )
