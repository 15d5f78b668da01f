"""Detections as alerts: raised once, updated, ended by evidence only, told by routes; through the whole command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.inside import Done, run
from detect.captures import zeek_conn, zeek_row
from detect.test_match import CELL, DAY, beacon
from reconshield.addresses import AddressSet
from reconshield.alert.message import DETECTION, Alert, Message, event_json, event_of
from reconshield.alert.route import Rule, Silence
from reconshield.alert.words import mail_text, subject
from reconshield.detect.fallen_silent import Watched, fallen_silent
from reconshield.detect.flows import Flows
from reconshield.detect.readers import recognise
from reconshield.detect.tally import Tally
from reconshield.detection import Suppressed
from reconshield.jobs import detect_alerts
from reconshield.jobs.alerting import list_alerts
from reconshield.jobs.detect_alerts import Alarm
from reconshield.model import Severity
from reconshield.policy import Policy
from reconshield.report.detections import detection_id
from reconshield.store.db import open_store
from report.detected import AT, BEACON, REPORT

ROUTES = """
[[channel]]
name = "soc"
kind = "file"
path = "{folder}/alerts.jsonl"
[[route]]
to = ["soc"]
when = {{ severity = "high", change = "detection" }}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "reconshield.toml").write_text(CELL + ROUTES.format(folder=tmp_path))
    (tmp_path / "conn.log").write_bytes(zeek_conn(beacon("10.20.4.9", "203.0.113.35", 110, service="http")))
    return tmp_path


def detect(home: Path, *words: str, log: str = "conn.log") -> Done:
    return run(home, "detect", "run", str(home / log), "--policy", str(home / "reconshield.toml"), "--alert", *words)


def sent(home: Path) -> list[dict[str, object]]:
    file = home / "alerts.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_a_detection_is_told_once_however_often_it_is_read(home: Path) -> None:
    first, second = detect(home), detect(home)
    assert "alerts   1 new, 0 changed, 0 over; 1 sent, 0 waiting" in first.err
    assert "alerts   0 new, 0 changed, 0 over; 0 sent, 0 waiting" in second.err
    [told] = sent(home)
    assert (told["change"], told["severity"], told["ip"], told["peers"]) == (
        "detection",
        "critical",
        "203.0.113.35",
        ["10.20.4.9"],
    )
    listed = run(home, "alert", "list")
    assert "[Critical 100] 10.20.4.9 talks to 203.0.113.35:110/tcp: secure zone cell-3 expects no pop3 here" in listed.out
    [line] = run(home, "alert", "list", "--json").lines
    assert line["fingerprint"] == next(each for each in detect(home, "--json").lines if each["type"] == "detection")["id"]


def test_only_from_a_rating_on_and_only_what_a_route_takes(home: Path) -> None:
    rows = [zeek_row(DAY + at, "10.30.0.9", "198.51.100.1", 6667) for at in range(5)]  # medium
    (home / "irc.log").write_bytes(zeek_conn(rows))
    assert "0 new" in detect(home, "--alert-from", "high", log="irc.log").err
    assert "1 new, 0 changed, 0 over; 0 sent" in detect(home, log="irc.log").err
    assert sent(home) == []
    assert detect(home, "--alert-from", "worst", log="irc.log").code == 2


def test_what_the_policy_allows_or_suppresses_is_over(home: Path) -> None:
    detect(home)
    text = (home / "reconshield.toml").read_text()
    entry = '[[suppress]]\nfrom = "10.20.4.9"\nreason = "known"\nowner = "mail team"\nexpires = 2099-12-31\n'
    (home / "reconshield.toml").write_text(f"{text}\n{entry}")
    assert "0 new, 0 changed, 1 over; 1 sent" in detect(home).err
    assert sent(home)[-1]["status"] == "resolved"
    assert sent(home)[-1]["ending"] == "suppressed by the policy"
    assert "No alert stands." in run(home, "alert", "list").out


def test_without_a_policy_it_stands_and_says_that_nobody_is_told(home: Path) -> None:
    rows = beacon("10.1.2.3", "203.0.113.35", 5888, conn_state="REJ")
    (home / "plain.log").write_bytes(zeek_conn(rows))
    (home / "reconshield.toml").unlink()
    done = run(home, "detect", "run", str(home / "plain.log"), "--alert")
    assert done.code == 0
    assert "1 new" in done.err
    assert "no [[route]] of the policy takes detections" in done.err
    assert "10.1.2.3 talks to 203.0.113.35:5888/tcp" in run(home, "alert", "list").out


@pytest.fixture
def alarm(tmp_path: Path) -> Alarm:
    return Alarm(open_store(f"sqlite:///{tmp_path}/reconshield.db"), Policy(), Severity.MEDIUM)


def test_it_is_told_again_when_rating_or_kinds_of_evidence_change(alarm: Alarm) -> None:
    steps = [
        (BEACON, (1, 0, 0)),
        (replace(BEACON, flows=900, last=AT + 90_000), (0, 0, 0)),
        (replace(BEACON, evidence=BEACON.evidence[:3]), (0, 1, 0)),
        (replace(BEACON, evidence=BEACON.evidence[:3], grade=replace(BEACON.grade, score=30, rating="low")), (0, 1, 0)),
        (replace(BEACON, suppressed=Suppressed("seen", live=True)), (0, 0, 1)),
        (replace(BEACON, suppressed=Suppressed("seen", live=False)), (1, 0, 0)),
    ]
    for number, (found, wanted) in enumerate(steps):
        told = alarm.raise_all([found], (), frozenset(), AT + number)
        assert (told.opened, told.changed, told.ended) == wanted, number
    assert alarm.watched()[0].last == BEACON.last
    assert alarm.raise_all((), [BEACON], frozenset(), AT + 99).ended == 1


def test_silence_ends_it_only_while_the_source_is_seen(alarm: Alarm) -> None:
    alarm.raise_all([BEACON], (), frozenset(), AT)
    [watched] = alarm.watched()
    assert (watched.fingerprint, watched.last) == (detection_id(BEACON), BEACON.last)
    ended = alarm.raise_all((), (), frozenset({watched.fingerprint}), AT + 200_000)
    assert ended.ended == 1
    [last] = list_alerts(alarm.store, everything=True)
    assert subject(last) == (
        "[Resolved] 10.20.4.9 talks to 203.0.113.35:110/tcp: no flow for a day while its source was seen, seen for 11 h 59 min"
    )


WATCHED = Watched("f", "10.20.4.9", "203.0.113.35", 110, "tcp", DAY)


@pytest.mark.parametrize(
    ("rows", "ended"),
    [
        ([zeek_row(DAY + 90_000, "10.20.4.9", "198.51.100.1", 443)], True),
        ([zeek_row(DAY + 90_000, "198.51.100.1", "10.20.4.9", 22)], True),
        ([zeek_row(DAY + 80_000, "10.20.4.9", "198.51.100.1", 443)], False),
        ([zeek_row(DAY + 90_000, "10.20.4.8", "198.51.100.1", 443)], False),
        ([zeek_row(DAY + at, "10.20.4.9", "203.0.113.35", 110) for at in (90_000, 90_060)], False),
        ([zeek_row(DAY + 90_000, "10.20.4.9", "203.0.113.35", 110, proto="udp")], True),
        ([zeek_row(DAY + 90_000, "10.20.4.9", "203.0.113.35", 111)], True),
    ],
)
def test_fallen_silent(rows: list[dict[str, object]], ended: bool) -> None:
    data = zeek_conn(rows)
    reader = recognise(data)
    assert reader is not None
    with Tally() as tally:
        for item in reader.read([data]):
            assert isinstance(item, Flows)
            tally.add(item)
        assert bool(fallen_silent(tally.parts(), [WATCHED])) is ended
    assert fallen_silent([np.zeros(0, tally.conversations.dtype)], [WATCHED]) == frozenset()


def test_a_source_seen_in_one_part_and_a_conversation_in_another() -> None:
    def rows(*given: dict[str, object]) -> Any:
        with Tally() as tally:
            data = zeek_conn(given)
            reader = recognise(data)
            assert reader is not None
            for item in reader.read([data]):
                assert isinstance(item, Flows)
                tally.add(item)
            return tally.conversations

    six = Watched("six", "2001:db8::9", "2001:db8:1::35", 110, "tcp", DAY)
    late = rows(zeek_row(DAY + 90_000, "10.20.4.9", "198.51.100.1", 443), zeek_row(DAY + 90_000, "2001:db8::9", "::2", 1))
    both = [zeek_row(DAY, "10.20.4.9", "203.0.113.35", 110), zeek_row(DAY, "2001:db8::9", "2001:db8:1::35", 110)]
    assert fallen_silent([late], [WATCHED, six]) == {"f", "six"}
    assert fallen_silent([rows(both[0]), late], [WATCHED, six]) == {"six"}
    assert fallen_silent([late, rows(both[1])], [WATCHED, six]) == {"f"}
    assert fallen_silent([late, rows(*both)], [WATCHED, six]) == frozenset()


def test_either_end_brings_it_to_a_route_or_a_silence() -> None:
    event = detect_alerts.event_of(BEACON, Policy(), AT)
    for place in ("10.20.0.0/16", "203.0.113.35"):
        area = AddressSet.of(place) if "/" not in place else AddressSet(((0xFFFF0A140000, 0xFFFF0A14FFFF),))
        assert Rule(("soc",), area=area).takes(event)
        assert Silence(1, AT + 1, "me", "why", area=area).covers(event, AT)
    assert not Rule(("soc",), area=AddressSet.of("192.0.2.1")).takes(event)


def test_the_mail_has_the_sum_and_what_to_do() -> None:
    event = detect_alerts.event_of(BEACON, Policy(), AT)
    assert event_of(json.loads(json.dumps(event_json(event)))) == event
    text = mail_text(Message(Alert(7, event, AT, AT), "open"))
    assert "Score    100 Critical = + 60 policy" not in text
    assert "Score    100 Critical = 60 policy + 25 protocol + 20 rhythm + 10 direction, cut at 100" in text
    assert "Since    first flow" in text
    assert "Do       on 10.20.4.9: ss -tnp dst 203.0.113.35" in text


def test_hostile_text_and_a_log_without_times_are_harmless() -> None:
    event = detect_alerts.event_of(REPORT.detections[2], Policy(), AT)
    message = Message(Alert(7, event, AT, AT), "open")
    for text in (subject(message), mail_text(message)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "\n" not in subject(message)
    assert (event.kind, event.last, event.since) == (DETECTION, None, (None, None))


def test_a_followed_log_rings_as_it_grows(home: Path) -> None:
    """In a process of its own: an alert is delivered while the log is open, the next one after it grew, and Ctrl-C ends it."""
    words = ["detect", "run", str(home / "conn.log"), "--policy", str(home / "reconshield.toml"), "--alert", "--follow"]
    command = [sys.executable, "-m", "reconshield", "--home", str(home), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: len(sent(home)) == 1, process)
            more = zeek_conn(beacon("10.20.4.9", "203.0.113.36", 110, service="http"))
            with (home / "conn.log").open("ab") as file:
                file.write(b"".join(line for line in more.splitlines(keepends=True) if not line.startswith(b"#")))
            wait_for(lambda: len(sent(home)) == 2, process)
        finally:
            process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()  # where signals of the terminal are ignored it would go on for ever
    assert process.returncode == 130
    assert out.count("critical") == 2
    assert "alerts   1 new, 0 changed, 0 over; 1 sent, 0 waiting" in err
    assert {told["ip"] for told in sent(home)} == {"203.0.113.35", "203.0.113.36"}


def wait_for(seen: Callable[[], bool], process: subprocess.Popen[str], patience: float = 60) -> None:
    end = time.monotonic() + patience
    while not seen():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
