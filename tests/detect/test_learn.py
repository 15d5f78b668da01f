"""A zone learned from traffic with known content, the proposal tried as policy, and policies compared."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from detect.captures import zeek_conn, zeek_row
from detect.test_match import CELL, DAY, policy_of
from reconshield.detect.scene import Setting
from reconshield.errors import UserError
from reconshield.jobs.detect import make_setting
from reconshield.jobs.detect_policy import learn_files, replay_files
from reconshield.policy import Policy
from reconshield.report.replayed import replayed_line, replayed_text

ZONES = CELL[: CELL.index("[[traffic]]")]
NOW = DAY + 86_400.0
ROWS = [
    *(zeek_row(DAY + at, "10.20.4.9", "10.30.0.53", 53, proto="udp", service="dns") for at in range(3)),
    zeek_row(DAY, "10.20.4.9", "203.0.113.25", 25, service="smtp"),
    zeek_row(DAY, "10.20.4.9", "203.0.113.25", 465, service="ssl"),
    zeek_row(DAY, "10.30.0.9", "10.20.4.9", 22, service="ssh"),
    zeek_row(DAY, "10.20.4.9", "10.20.4.10", 445, service="smb"),
    zeek_row(DAY, "10.20.4.9", "203.0.113.35", 110, service="http"),
    zeek_row(DAY, "10.20.4.9", "203.0.113.36", 8888, conn_state="REJ"),
    zeek_row(DAY, "10.30.0.9", "203.0.113.25", 443, service="ssl"),
]


def setting_of(policy: Policy) -> Setting:
    return make_setting(policy, NOW)


def learn(tmp_path: Path, policy: str, zone: str = "cell-3") -> str:
    path = tmp_path / "conn.log"
    path.write_bytes(zeek_conn(ROWS))
    return learn_files([path], setting_of(policy_of(policy)), zone, told=lambda _: None)


def test_what_a_zone_talked_is_proposed_with_blanks(tmp_path: Path) -> None:
    text = learn(tmp_path, ZONES)
    found = {(e["direction"], e["ports"]): e for e in tomllib.loads(text)["traffic"]}
    assert set(found) == {("out", "T:25,T:465"), ("out", "U:53"), ("in", "T:22"), ("within", "T:445")}
    assert found["out", "T:25,T:465"]["with"] == ["203.0.113.25"]
    assert found["out", "U:53"]["with"] == ["office"]
    assert all(entry["reason"] == entry["owner"] == "" for entry in found.values())
    assert "# 53/udp (dns): 3 flows from 1 host, spoken: dns" in text
    assert "# not proposed: 10.20.4.9 to 203.0.113.35 port 110: http was spoken, not pop3" in text


def test_the_proposal_allows_what_it_was_learned_from_and_nothing_is_left_to_learn(tmp_path: Path) -> None:
    text = learn(tmp_path, ZONES).replace('""', '"learned"')
    again = learn(tmp_path, ZONES + text)
    assert "[[traffic]]" not in again
    path = tmp_path / "conn.log"
    old, new = policy_of(ZONES), policy_of(ZONES + text)
    found = replay_files([path], setting_of(old), setting_of(new), told=lambda _: None)
    vanished = {each.shown.port for each in found if each.change == "vanishes"}
    assert {22, 25, 53, 445, 465} <= vanished
    assert 110 not in vanished
    assert replayed_text(found).endswith(f"{len(vanished)} vanish")
    back = replay_files([path], setting_of(new), setting_of(old), told=lambda _: None)
    assert {each.shown.port for each in back if each.change == "appears"} == vanished
    assert all((each.old is None) == (replayed_line(each)["old_score"] is None) for each in back)


def test_the_same_policy_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "conn.log"
    path.write_bytes(zeek_conn(ROWS))
    same = setting_of(policy_of(ZONES))
    assert replay_files([path], same, same, told=lambda _: None) == ()


def test_a_zone_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        learn(tmp_path, ZONES, "cell-4")
    assert caught.value.hint == "did you mean cell-3?"
