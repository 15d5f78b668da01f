"""What stands open and what changed, from the command line: exposures, assets, the letter, tickets, columns of the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import html5lib
import pytest

from cli.inside import run
from cli.test_runs import Pop3, Redis, free_port, serving
from detect.captures import zeek_conn, zeek_row
from reconshield import scan_targets

POLICY = """\
version = 1

[[zone]]
name = "here"
targets = ["127.0.0.0/24"]
owner = "platform team"

[[asset]]
name = "mail-1"
addresses = ["127.0.0.1"]
owner = "mail team"
tags = ["mx"]

[[asset]]
name = "spare"
addresses = ["127.0.0.77"]

[[expect]]
on = "mail-1"
service = "pop3"
ports = "1-65535"
reason = "old scanners"
owner = "mail team"
expires = 2999-01-31
"""


@dataclass(frozen=True)
class Place:
    """A home with a policy and two runs: POP3 was there all the time, Redis opened, a third one closed."""

    home: Path
    pop3: int
    redis: int
    gone: int


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home, redis, gone = tmp_path_factory.mktemp("home"), free_port(), free_port()
    (home / "reconshield.toml").write_text(POLICY)
    with serving(Pop3) as pop3:
        ports = f"{pop3},{redis},{gone}"
        with serving(Pop3, gone):
            scan_targets("127.0.0.1", ports=ports, level=3, home=home)
        with serving(Redis, redis):
            scan_targets("127.0.0.1", ports=ports, level=3, home=home)
        yield Place(home, pop3, redis, gone)


def test_exposures_say_whose_they_are_and_since_when(place: Place) -> None:
    head, redis, redis_whose, *_ = run(place.home, "exposures").out.splitlines()
    assert head == "2 exposures · 1 unexpected · 1 expected"
    assert redis.split() == ["100", "critical", f"127.0.0.1:{place.redis}/tcp", "redis", "Redis", "7.0.15", "unexpected"]
    assert redis_whose.strip().startswith("mail-1 · here · mail team · opened between ")


def test_exposures_as_lines(place: Place) -> None:
    lines = {line["port"]: line for line in run(place.home, "exposures", "--json").lines}
    assert set(lines) == {place.pop3, place.redis}
    assert lines[place.pop3]["shut_before"] is None
    assert lines[place.redis]["shut_before"] < lines[place.redis]["opened"] <= lines[place.redis]["seen"]
    assert (lines[place.redis]["owner"], lines[place.redis]["assets"], lines[place.redis]["zone"]) == (
        "mail team",
        ["mail-1"],
        "here",
    )
    # the arithmetic: 44 for POP3, 25 less because somebody answers for it until a day
    assert [f["name"] for f in lines[place.pop3]["risk"]["factors"]][-1] == "allow-listed"
    assert lines[place.pop3]["risk"]["score"] == 19
    assert [line["port"] for line in run(place.home, "exposures", "--failing", "--json").lines] == [place.redis]
    assert run(place.home, "exposures", "--zone", "wan").out == "Nothing is known to be open.\n"
    assert [line["port"] for line in run(place.home, "exposures", "-p", str(place.redis), "--json").lines] == [place.redis]
    for verb in ("exposures", "assets"):
        mistyped = run(place.home, verb, "--zone", "hree")
        assert (mistyped.code, mistyped.err.splitlines()[0]) == (2, "error: there is no zone hree")


def test_where_nothing_was_measured_nothing_is_said_to_be_shut(tmp_path: Path) -> None:
    assert run(tmp_path, "exposures").out == "Nothing was measured yet; this does not mean that nothing is open.\n"


def test_assets_say_what_they_expose(place: Place) -> None:
    lines = {line["asset"]: line for line in run(place.home, "assets", "--json").lines}
    assert set(lines) == {"mail-1", "spare"}
    mail = lines["mail-1"]
    assert (mail["open"], mail["failing"], mail["risk"]["score"], mail["tags"]) == (2, 1, 100, ["mx"])
    assert (lines["spare"]["open"], lines["spare"]["measured"], lines["spare"]["owner"]) == (0, None, "platform team")
    out = run(place.home, "assets").out
    assert "2 assets · 2 declared in the policy" in out
    assert "127.0.0.77 · here · platform team · never measured" in out


def test_without_a_policy_addresses_are_the_assets(place: Place, tmp_path: Path) -> None:
    bare = tmp_path / "bare.toml"
    bare.write_text("version = 1\n")
    (line,) = run(place.home, "assets", "--policy", str(bare), "--json").lines
    assert (line["asset"], line["declared"], line["zone"], line["open"]) == ("127.0.0.1", False, "wan", 2)


def test_the_letter_says_only_what_changed(place: Place, tmp_path: Path) -> None:
    done = run(place.home, "letter", "--since", "1h")
    text = " ".join(done.out.split())
    assert "1 opened; 1 closed, as measured. 2 measurements" in text
    assert f"127.0.0.1:{place.redis}/tcp on mail-1 (here): redis Redis 7.0.15" in text
    assert "Why Redis answers without a password (confirmed); risk 100 of 100, critical:" in text
    assert "Nobody has said that it is wanted. Fix redis.conf:" in text
    assert f"Proof reconshield scan 127.0.0.1 -p {place.redis} says closed" in text
    assert f"Proof 127.0.0.1:{place.gone}/tcp was measured, and is closed" in text
    assert f"{place.pop3}/tcp" not in text, "what stayed as it was is not in it"
    run(place.home, "letter", "-o", str(tmp_path / "letter.txt"))
    assert (tmp_path / "letter.txt").read_text().startswith("What changed since ")
    lines = run(place.home, "letter", "--json").lines
    assert {(line["change"], line["port"]) for line in lines} == {("opened", place.redis), ("closed", place.gone)}
    assert {line["service_before"]["service"] for line in lines if line["change"] == "closed"} == {"pop3"}


@pytest.mark.parametrize(("since", "message"), [("tomorrow", "no date, time or duration"), ("2999-01-01", "still to come")])
def test_a_letter_has_a_beginning(place: Place, since: str, message: str) -> None:
    done = run(place.home, "letter", "--since", since)
    assert (done.code, message in done.err) == (2, True)


def test_a_letter_about_nothing_says_which_nothing(tmp_path: Path) -> None:
    assert "Nothing was measured in the workspace main" in run(tmp_path, "letter").out


def test_tickets_name_who_answers_and_keep_their_ids(place: Place) -> None:
    first, again = (json.loads(run(place.home, "report", "latest", "--format", "tickets-json").out) for _ in range(2))
    assert [ticket["id"] for ticket in first] == [ticket["id"] for ticket in again]
    ticket = first[0]
    assert (ticket["port"], ticket["owner"], ticket["zone"], ticket["assets"]) == (place.redis, "mail team", "here", ["mail-1"])
    assert (ticket["policy"], ticket["open_since"] is None) == ("unexpected", False)


def test_a_wide_table_has_the_policy_and_the_day(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    rows = run(place.home, "report", "latest").out.splitlines()
    head = next(row for row in rows if "RISK" in row)
    assert head.split() == ["RISK", "PORT", "SERVICE", "PRODUCT", "TLS", "FINDINGS", "EXPECTED", "SINCE", "EVIDENCE"]
    redis = next(row for row in rows if f"{place.redis}/tcp" in row)
    assert redis[head.index("EXPECTED") :].split()[0] == "unexpected"
    assert max(map(len, rows)) <= 130


def test_flows_say_who_talks_to_what_is_open(place: Place) -> None:
    rows = [zeek_row(1_760_000_000 + at * 3600, f"127.0.0.{at % 2 + 2}", "127.0.0.1", place.pop3) for at in range(9)]
    (place.home / "conn.log").write_bytes(zeek_conn(rows))
    flows = ("--flows", str(place.home / "conn.log"))
    done = run(place.home, "exposures", *flows)
    text = " ".join(done.out.split())
    assert "1 with no flow in 8 h 0 min of conn.log" in text
    assert "2 peers talk to it: 9 flows in 8 h 0 min of conn.log, the last 2025-10-09" in text
    assert "most 127.0.0.2 (5), 127.0.0.3 (4)" in text
    assert "no flow in 8 h 0 min of conn.log, though this host has others there" in text
    assert f"reconshield firewall advise {place.redis}   close what nobody talks to" in done.err
    assert "conn.log  zeek-conn  9 records" in done.err
    lines = {line["port"]: line["talk"] for line in run(place.home, "exposures", "--json", *flows).lines}
    assert (lines[place.pop3]["flows"], lines[place.pop3]["peers"]) == (9, 2)
    assert (lines[place.redis]["flows"], lines[place.redis]["host_seen"]) == (0, True)
    assert [line["port"] for line in run(place.home, "exposures", "--json", "--unused", *flows).lines] == [place.redis]
    assert run(place.home, "exposures", "--json").lines[0]["talk"] is None
    for words in (["--unused"], ["--since", "1h"]):
        assert "nothing says who talks" in run(place.home, "exposures", *words).err


def test_the_page_of_a_run_says_who_talks(place: Place) -> None:
    rows = [zeek_row(1_760_000_000 + at * 3600, "127.0.0.2", "127.0.0.1", place.pop3) for at in range(9)]
    (place.home / "page.log").write_bytes(zeek_conn(rows))
    flows = ("--flows", str(place.home / "page.log"))
    page = run(place.home, "report", "latest", "--format", "html", *flows).out
    html5lib.HTMLParser(strict=True).parse(page)
    assert "1 peer, 9 flows" in page
    assert "no flow in 8 h 0 min of page.log, though this host has others there" in page
    refused = run(place.home, "report", "latest", *flows)
    assert (refused.code, "table does not say who talks" in refused.err) == (2, True)
