"""What the doctor says: facts on the left, state and a part of the sentence on the right."""

from __future__ import annotations

import pytest

from reconshield.errors import UserError
from reconshield.host.abilities import Limits, Trial
from reconshield.host.ruleset import Ruleset, Turned
from reconshield.jobs import diagnosis
from reconshield.jobs.diagnosis import Control, Diagnosis
from reconshield.jobs.doctor import newest_of, split_control
from reconshield.jobs.intel import Status
from reconshield.model import Endpoint, State

WORKS, USER, NONE = Trial("root", raw=True), Trial("user", raw=True), Trial("", raw=False, why="no namespace can be made")
MAIL = Turned("ip nat OUTPUT", "output", "redirect", "port 10025", "tcp 25, 110")
PASSING = Turned("ip nat PREROUTING", "prerouting", "dnat", "192.0.2.9:8080", "tcp 80")


def control(expected: State, seen: State, port: int = 443) -> Control:
    return Control(Endpoint("192.0.2.7", port), expected, seen, "no-response")


def feed(state: str, days: int | None = 3, version: str = "2026.11.20") -> Status:
    return Status("kev", "CISA KEV", version, days, 10, "package", "", state, "")


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (diagnosis.judge_raw(True, WORKS, "linux"), "ok", "sent and heard"),
        (diagnosis.judge_raw(False, USER, "linux"), "warning", "this user may not"),
        (diagnosis.judge_raw(True, NONE, "linux"), "not-tested", "not tried: no namespace"),
        (diagnosis.judge_raw(False, NONE, "linux"), "warning", "connect engine"),
        (diagnosis.judge_raw(True, Trial("root", raw=False, why="not heard"), "linux"), "warning", "not heard"),
        (diagnosis.judge_raw(False, NONE, "darwin"), "warning", "Linux only"),
        (diagnosis.judge_capabilities(frozenset({"CAP_NET_RAW"})), "ok", "CAP_NET_RAW"),
        (diagnosis.judge_capabilities(frozenset()), "warning", "none"),
        (diagnosis.judge_capabilities(None), "not-tested", "none"),
        (diagnosis.judge_namespaces(WORKS), "ok", "proved"),
        (diagnosis.judge_namespaces(USER), "warning", "as root"),
        (diagnosis.judge_namespaces(NONE), "warning", "evaluated, not proved"),
        (diagnosis.judge_ruleset(Ruleset()), "ok", "no redirect"),
        (diagnosis.judge_ruleset(Ruleset((MAIL, PASSING))), "bad", "tcp 25, 110 redirect to port 10025"),
        (diagnosis.judge_ruleset(Ruleset((PASSING,))), "warning", "what passes through it is"),
        (diagnosis.judge_ruleset(Ruleset((), "nft is not installed")), "not-tested", "nft is not installed"),
        (diagnosis.judge_ruleset(Ruleset((MAIL,), "nft does not show")), "bad", "redirect"),
        (diagnosis.judge_path([]), "not-tested", "no control"),
        (diagnosis.judge_path([control(State.OPEN, State.OPEN)]), "warning", "half tested"),
        (diagnosis.judge_path([control(State.OPEN, State.OPEN), control(State.CLOSED, State.CLOSED)]), "ok", "2 controls"),
        (diagnosis.judge_path([control(State.OPEN, State.OPEN), control(State.CLOSED, State.FILTERED)]), "ok", "2 controls"),
        (diagnosis.judge_path([control(State.CLOSED, State.OPEN, 25)]), "bad", "192.0.2.7:25/tcp should be closed"),
        (diagnosis.judge_path([control(State.OPEN, State.FILTERED)]), "bad", "filtered (no-response)"),
        (diagnosis.judge_private("database", "/d", 0o600, 0o600), "ok", "0600"),
        (diagnosis.judge_private("database", "/d", 0o644, 0o600), "bad", "others can read"),
        (diagnosis.judge_private("database", "/d", None, 0o600), "ok", "not there yet"),
        (diagnosis.judge_feeds([feed("ok")])[0], "ok", "3 days old"),
        (diagnosis.judge_feeds([feed("old", 455)])[0], "warning", "455 days"),
        (diagnosis.judge_feeds([feed("broken")])[0], "bad", "differs"),
        (diagnosis.judge_feeds([feed("missing", None, "")])[0], "warning", "never fetched"),
        (diagnosis.judge_clock(True, 2e9, 1e9), "ok", "synchronised"),
        (diagnosis.judge_clock(False, 2e9, 1e9), "warning", "not synchronised"),
        (diagnosis.judge_clock(None, 2e9, 1e9), "not-tested", "does not say"),
        (diagnosis.judge_clock(True, 1e9, 2e9), "bad", "before the data"),
    ],
)
def test_states(found: Diagnosis, state: str, words: str) -> None:
    assert found.state == state
    assert words in found.what


def test_everything_bad_has_a_next_step() -> None:
    bad = [
        diagnosis.judge_ruleset(Ruleset((MAIL,))),
        diagnosis.judge_path([control(State.CLOSED, State.OPEN)]),
        diagnosis.judge_private("database", "/d", 0o644, 0o600),
        diagnosis.judge_clock(True, 1e9, 2e9),
    ]
    assert all(one.next for one in bad)


def test_limits() -> None:
    found = diagnosis.judge_limits(Limits((1024, 1024), (60_000, 61_000), (1000, 900), 1024))
    assert [(one.name, one.state) for one in found] == [
        ("open files", "warning"),
        ("source ports", "warning"),
        ("tracking", "warning"),
    ]
    assert [one.state for one in diagnosis.judge_limits(Limits((1024, None), (32_768, 60_999), (1000, 9), 1024))] == ["ok"] * 3
    assert diagnosis.judge_limits(Limits(None, None, None, None)) == []


def test_the_newest_table_is_the_least_time() -> None:
    rows = [feed("ok", 3, "2026.11.20"), feed("old", 300, "2026-02-13"), feed("missing", None, "")]
    assert newest_of(rows) == 1_795_132_800.0  # 2026-11-20 00:00 UTC


@pytest.mark.parametrize(
    ("text", "host", "ports"),
    [
        ("192.0.2.7:25,80", "192.0.2.7", "25,80"),
        ("[2001:db8::7]:443", "2001:db8::7", "443"),
        ("mx.example:25", "mx.example", "25"),
    ],
)
def test_controls_are_written_as_host_and_ports(text: str, host: str, ports: str) -> None:
    found, asked = split_control(text)
    assert (found, asked.text()) == (host, ports)


@pytest.mark.parametrize(
    "text", ["192.0.2.7", "192.0.2.7:", ":80", "2001:db8::7:443", "192.0.2.7:U:53", "192.0.2.7:http", "192.0.2.7:99999"]
)
def test_what_is_no_control(text: str) -> None:
    with pytest.raises(UserError):
        split_control(text)
