"""Traffic over the API: judged, learned from, and tried against another policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from detect.captures import zeek_conn, zeek_row
from reconshield.report.detection_formats import FORMATS
from reconshield.web import heavy
from web.api.test_policy import TEXT, save

Make = Callable[..., Any]
START = 1_790_000_000.0
LOG = zeek_conn([zeek_row(START + 60 * number, "127.0.0.9", "203.0.113.35", 110, service="pop3") for number in range(40)])


def upload(program: Any, path: str, log: bytes = LOG, **fields: str) -> Any:
    return program.ask("POST", path, files={"flows": ("../conn.log", log)}, data=fields)


def test_traffic_is_judged_and_told_in_lines(program: Make) -> None:
    save(program("admin"))
    analyst = program("analyst")
    made = upload(analyst, "/detections")
    assert made.status_code == 201
    assert (made.json()["inputs"][0]["file"], made.json()["inputs"][0]["records"]) == ("conn.log", 40)
    found = analyst.all(made.headers["location"], limit=1)
    assert [(row["src"], row["dst"], row["port"]) for row in found] == [("127.0.0.9", "203.0.113.35", 110)]
    assert all("/tmp" not in text for row in found for text in row["sample"])
    assert analyst.all(made.headers["location"], allowed=True) == []
    assert [row["id"] for row in analyst.get("/detections").json()] == [made.json()["id"]]
    assert program("analyst", "other").get(made.headers["location"]).status_code == 404
    assert program("analyst", "other").get("/detections").json() == []


def test_detections_come_in_every_format(program: Make) -> None:
    save(program("admin"))
    analyst = program("analyst")
    place = upload(analyst, "/detections").headers["location"]
    for name in FORMATS:
        answer = analyst.get(f"{place}/report", params={"format": name})
        assert (answer.status_code, "203.0.113.35" in answer.text) == (200, True), name
        if name == "stix":
            assert json.loads(answer.text)["type"] == "bundle"


def test_a_zone_is_learned_and_a_policy_is_tried(program: Make) -> None:
    analyst = program("analyst")
    assert upload(analyst, "/detections/learn", zone="lab").status_code == 422
    save(program("admin"))
    assert "[[traffic]]" in upload(analyst, "/detections/learn", zone="lab").text
    assert upload(analyst, "/detections/learn", zone="nowhere").status_code == 422
    tried = upload(analyst, "/detections/replay", policy=TEXT.replace("secure = true", "secure = false"))
    assert {row["change"] for row in tried.json()} <= {"appears", "vanishes", "changes"}
    assert tried.json()
    assert upload(analyst, "/detections/replay", policy="zone = 7").status_code == 422


def test_who_comes_while_others_are_served_is_told_to_come_again(program: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heavy, "PATIENCE", 0.01)
    analyst = program("analyst")
    with heavy.turn("one"), heavy.turn("two"):
        answer = upload(analyst, "/detections")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert upload(analyst, "/detections").status_code == 201


def test_what_is_no_traffic_is_said_to_be_none(program: Make) -> None:
    analyst = program("analyst")
    answer = upload(analyst, "/detections", b"\x00\x01nothing")
    assert (answer.status_code, answer.json()["where"]) == (422, "conn.log")
    assert analyst.ask("POST", "/detections", data={"since": "1h"}).status_code == 422
    assert program("viewer").ask("POST", "/detections", data={}).status_code == 403
