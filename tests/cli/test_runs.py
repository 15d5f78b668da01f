"""Looking back: two real scans of loopback listeners, and what every verb on stored runs says of them."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cli.inside import run
from reconshield import scan_targets
from reconshield.store.db import open_store
from reconshield.store.services import save_service, services

ROOT = Path(__file__).parents[2]
FILES = ROOT / "tests" / "intake" / "files"


class Redis(socketserver.BaseRequestHandler):
    """As much of a Redis server as a harmless question reaches."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(4096):
                info = b"# Server\r\nredis_version:7.0.15\r\n"
                self.request.sendall(b"+PONG\r\n" if b"PING" in data else b"$%d\r\n%s\r\n" % (len(info), info))


class Pop3(socketserver.StreamRequestHandler):
    """A mail server that lets a password go in clear, and tries to colour the terminal."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            self.wfile.write(b"+OK Dovecot (Debian) ready\x1b[31m.\r\n")
            for line in self.rfile:
                word = line.strip().upper()
                self.wfile.write(b"+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n" if word == b"CAPA" else b"+OK\r\n")


@contextlib.contextmanager
def serving(handler: type[socketserver.BaseRequestHandler], port: int = 0) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), handler, bind_and_activate=False) as server:
        server.daemon_threads = server.allow_reuse_address = True
        server.server_bind()
        server.server_activate()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@dataclass(frozen=True)
class Past:
    """A home with two runs: in the first Redis was closed and POP3 open, in the second both were open."""

    home: Path
    first: str
    second: str
    pop3: int
    redis: int


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    home, redis = tmp_path_factory.mktemp("home"), free_port()
    with serving(Pop3) as pop3:
        ports = f"{pop3},{redis}"
        first = scan_targets("127.0.0.1", ports=ports, level=3, home=home)
        with serving(Redis, redis):
            second = scan_targets("127.0.0.1", ports=ports, level=3, home=home)
    return Past(home, first.head.id, second.head.id, pop3, redis)


def test_runs_are_listed_newest_first(past: Past) -> None:
    rows = run(past.home, "runs").out.splitlines()
    assert [row.split()[0] for row in rows[::2]] == [past.second, past.first]
    assert rows[0].endswith("2 open  3 findings")
    assert rows[1].strip() == f"127.0.0.1 · {','.join(map(str, sorted((past.pop3, past.redis))))} · connect · from local"
    newest, oldest = run(past.home, "runs", "--json").lines
    assert (newest["id"], newest["state"], newest["open"], oldest["open"]) == (past.second, "complete", 2, 1)


def test_a_report_is_what_the_scan_said(past: Past) -> None:
    done = run(past.home, "report", past.second)
    assert done.code == 0
    assert f"100 critical  {past.redis}/tcp" in done.out
    assert "2 of 2 TCP ports measured" in done.out
    types = [line["type"] for line in run(past.home, "report", "latest", "--json", "--all-states").lines]
    assert types == ["run", "observation", "observation", "service", "service", "finding", "finding", "finding", "summary"]


@pytest.mark.parametrize(("words", "code"), [(("--fail-on", "high"), 1), ((), 0), (("--fail-on", "bad"), 2)])
def test_a_report_may_fail(past: Past, words: tuple[str, ...], code: int) -> None:
    assert run(past.home, "report", "latest", *words).code == code


@pytest.mark.parametrize("format_", ["csv", "json", "html", "markdown", "nmap-xml", "tickets-csv", "tickets-json"])
def test_a_report_goes_to_a_file(past: Past, tmp_path: Path, format_: str) -> None:
    target = tmp_path / "report"
    done = run(past.home, "report", "latest", "--format", format_, "-o", str(target))
    assert (done.code, done.out) == (0, "")
    assert "redis" in target.read_text()


def test_a_diff_claims_only_what_both_measured(past: Past) -> None:
    done = run(past.home, "diff", past.first, "latest")
    assert done.out.splitlines()[0].startswith("1 opened · 0 closed")
    row = next(line for line in done.out.splitlines() if line.startswith("✗ opened"))
    assert row.split()[2:] == [f"127.0.0.1:{past.redis}/tcp", "redis", "Redis", "7.0.15", "100", "critical"]
    assert f"next  reconshield evidence {past.second} 127.0.0.1:{past.redis}/tcp" in done.err
    (line,) = run(past.home, "diff", past.first, past.second, "--json").lines
    assert (line["change"], line["before"], line["after"]) == ("opened", "closed", "open")
    assert line["runs"] == {"before": past.first, "after": past.second}
    assert line["last_seen"] < line["first_seen"]
    assert (line["service_after"]["service"], line["risk"]["score"]) == ("redis", 100)


def test_a_diff_backwards_says_so(past: Past) -> None:
    done = run(past.home, "diff", past.second, past.first)
    assert "the first run is the newer one" in done.err
    assert done.out.startswith("0 opened · 1 closed")


def test_the_same_run_does_not_differ(past: Past) -> None:
    assert run(past.home, "diff", "latest", past.second).out.startswith("Nothing changed where both runs measured.")
    assert run(past.home, "diff", "latest", past.second, "--json").out == ""


def test_evidence_shows_the_line_that_decides(past: Past) -> None:
    done = run(past.home, "evidence", "latest", f"127.0.0.1:{past.pop3}")
    head, check, *rest = done.out.splitlines()
    assert head.startswith(f"{past.pop3}/tcp pop3 on 127.0.0.1 · 20")
    assert check == "check    pop3-cleartext-login · severity medium · risk 44 · confirmed"
    assert rest[0].split()[2:6] == ["→", "connect", "←", "accepted,"]
    assert rest[0].endswith("rung: handshake")
    assert any("← +OK Dovecot (Debian) ready\\x1b[31m." in line and line.endswith("rung: bytes") for line in rest)
    (decides,) = (line for line in rest if line.endswith("decides"))
    assert "→ CAPA" in decides
    assert "USER  SASL PLAIN" in decides
    assert "because  the server offers login before TLS (PLAIN); TLS is not offered" in rest
    assert "not sent USER, PASS, AUTH: nobody's name, nobody's password" in rest
    assert any(line.startswith("refuted  if ") for line in rest)
    assert rest[-1].endswith("judge it again without a packet: reconshield rejudge latest")
    assert "\x1b" not in done.out


def test_evidence_of_a_closed_endpoint_says_what_was_seen(past: Past) -> None:
    lines = run(past.home, "evidence", past.first, f"127.0.0.1:{past.redis}").out.splitlines()
    assert lines[0].startswith(f"{past.redis}/tcp closed on 127.0.0.1")
    assert "← refused (RST)" in lines[1]
    assert lines[2] == "state    closed (conn-refused): the host answered, and nothing listened there"


def test_evidence_as_lines(past: Past) -> None:
    lines = run(past.home, "evidence", "latest", f"127.0.0.1:{past.redis}/tcp", "--json").lines
    assert [line["type"] for line in lines] == ["observation", "service", "finding", "finding"]
    assert "*1\\r\\n$4\\r\\nPING\\r\\n" in [turn["sent"] for turn in lines[1]["evidence"]]


def test_runs_can_be_asked_for_a_list_like_grants_and_alerts(past: Past) -> None:
    assert run(past.home, "runs", "list").out == run(past.home, "runs").out
    assert run(past.home, "runs", "list", "--json").lines == run(past.home, "runs", "--json").lines


def test_history_has_silence_and_answers_over_runs(past: Past) -> None:
    newest, oldest = run(past.home, "history", f"127.0.0.1:{past.redis}").out.replace("\n" + " " * 33, " ").splitlines()
    assert f"{past.redis}/tcp" in newest
    assert "open (syn-ack) · redis Redis 7.0.15 · risk 100 critical" in newest
    assert "closed (conn-refused)" in oldest
    lines = run(past.home, "history", "127.0.0.1", "--json").lines
    states = [(line["run"], line["port"], line["state"]) for line in lines if line["type"] == "observation"]
    ports = sorted((past.pop3, past.redis))
    assert [(r, p) for r, p, _ in states] == [(r, p) for r in (past.second, past.first) for p in ports]


def test_rejudge_sends_nothing_and_finds_the_same(past: Past) -> None:
    done = run(past.home, "rejudge", "latest")
    said = " ".join(done.out.split())
    assert "2 services judged again from stored facts; 2 dialogues (" in said
    assert said.endswith("read again; no packet was sent Nothing is judged differently.")


def test_rejudge_tells_what_today_knows_better(past: Past) -> None:
    """The store holds what an older probe understood and an older check did not find."""
    with open_store(str(past.home / "reconshield.db")) as store:
        redis = next(s for s in services(store, past.second) if s.service == "redis")
        save_service(store, past.second, replace(redis, version=None, facts={}), ())
    done = run(past.home, "rejudge", past.second)
    assert "2 findings appeared, 0 vanished, 0 risks changed" in done.out
    assert "appeared  redis-no-auth · critical: PING got +PONG before any AUTH" in done.out
    (line,) = run(past.home, "rejudge", past.second, "--save", "--json").lines
    assert line["appeared"] == ["redis-no-auth", "redis-version-banner"]
    assert set(line["fields"]) == {"version", "facts"}
    assert "Nothing is judged differently." in run(past.home, "rejudge", past.second).out


WRONG = [
    (("report", "20990101"), "there is no run of that id"),
    (("diff", "latest", "nope"), "there is no run of that id"),
    (("evidence", "latest", "127.0.0.1:1"), "did not measure 127.0.0.1:1"),
    (("evidence", "latest", "127.0.0.1"), "an endpoint has a port"),
    (("evidence", "latest", "[::1:1"), "this is no endpoint"),
    (("evidence", "latest", "127.0.0.1:1/sctp"), "a transport is tcp or udp"),
    (("evidence", "latest", "nowhere:22"), "this run has no target of that name"),
    (("history", "mx1.example.org"), "mx1.example.org is no address"),
    (("import", "no-such-file"), "the file cannot be read: no such file or directory"),
    (("import", __file__), "this looks like no result that can be imported"),
    (("import", __file__, "--format", "nmap-xml"), "nothing in the file could be read as nmap-xml"),
    (("import", __file__, "--format", "word"), "unknown format 'word'"),
    (("runs", "prune", "--older", "soon"), "this is no duration"),
    (("rejudge", "0"), "there is no run of that id"),
]


@pytest.mark.parametrize(
    ("words", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else " ".join(value)[:40]
)
def test_a_mistake_is_three_lines(past: Past, words: tuple[str, ...], message: str) -> None:
    done = run(past.home, *words)
    assert (done.code, done.out) == (2, "")
    what, where, further = done.err.splitlines()[:3]
    assert what.startswith("error: ")
    assert message in what
    assert where.startswith("  where  ")
    assert further.startswith("  next   ")


def test_old_runs_are_removed_and_counted(tmp_path: Path) -> None:
    assert run(tmp_path, "import", str(FILES / "nmap-old.xml")).code == 0  # measured in 2013
    assert run(tmp_path, "import", str(FILES / "masscan.list")).code == 0  # measured in 2026
    copy = tmp_path / "copy.db"
    assert run(tmp_path, "runs", "backup", str(copy)).code == 0
    done = run(tmp_path, "runs", "prune", "--older", "500w")
    assert done.out.startswith("1 run from before ")
    assert "2 observations, 2 services, 0 findings" in done.out
    assert len(run(tmp_path, "runs", "--json").lines) == 1
    assert "Nothing removed" in run(tmp_path, "runs", "prune", "--older", "500w").out
    assert len(run(tmp_path, "--db", str(copy), "runs", "--json").lines) == 2
    assert run(tmp_path, "runs", "backup", str(copy)).code == 2


@pytest.mark.parametrize(
    ("name", "code", "counts", "vantage"),
    [
        ("nmap-mixed.xml", 0, {"measured": 25, "open": 2, "closed": 9, "filtered": 11, "open_filtered": 3}, "import:nmap"),
        ("nmap-old.xml", 0, {"measured": 11, "open": 2, "closed": 9, "filtered": 0}, "import:nmap"),
        ("masscan-broken.json", 0, {"measured": 3, "open": 2, "closed": 1, "filtered": 0}, "import:masscan"),
        ("masscan.list", 0, {"measured": 4, "open": 3, "closed": 1}, "import:masscan"),
        ("naabu.jsonl", 0, {"measured": 2, "open": 2}, "import:naabu"),
        ("zgrab2.jsonl", 0, {"measured": 4, "open": 3, "closed": 1}, "import:zgrab2"),
    ],
)
def test_an_import_is_a_run_that_covers_what_its_file_says(
    tmp_path: Path, name: str, code: int, counts: dict[str, int], vantage: str
) -> None:
    done = run(tmp_path, "import", str(FILES / name), "--json")
    given, head, summary = done.lines
    assert done.code == code
    assert (given["file"], head["vantage"], head["engine"]) == (name, vantage, vantage.partition(":")[2])
    assert {key: summary[key] for key in counts} == counts
    assert summary["measured"] == sum(summary[k] for k in ("open", "closed", "filtered", "unreachable", "open_filtered"))
    everything = run(tmp_path, "report", "latest", "--all-states", "--json").lines
    assert len([line for line in everything if line["type"] == "observation"]) == summary["measured"]
    if given["bad"]:
        assert f"warning: {given['bad']} record" in done.err


def test_services_of_an_import_are_at_most_probable(tmp_path: Path) -> None:
    run(tmp_path, "import", str(FILES / "nmap-mixed.xml"))
    lines = run(tmp_path, "report", "latest", "--json").lines
    pop3, dns = sorted((line for line in lines if line["type"] == "service"), key=lambda line: line["port"])
    assert (pop3["service"], pop3["confidence"], pop3["tls"]) == ("pop3", "probable", "implicit")
    assert (pop3["product"], pop3["name"]) == ("Dovecot pop3d", "mx1.example.org")
    assert (dns["service"], dns["confidence"]) == ("dns", "guess")
    assert "7/tcp pop3 on mx1.example.org" in run(tmp_path, "evidence", "latest", "mx1.example.org:7").out
    silent = run(tmp_path, "evidence", "latest", "[2001:db8::2]:3").out
    assert "state    filtered (no-response)" in silent
    assert run(tmp_path, "evidence", "latest", "192.0.2.3:5").code == 2  # timed out: not measured, not silent


def test_a_cut_off_file_is_a_partial_result(tmp_path: Path) -> None:
    cut = tmp_path / "cut.xml"
    cut.write_bytes((FILES / "nmap-old.xml").read_bytes()[:900])
    done = run(tmp_path, "import", str(cut), "--json")
    assert done.code == 4
    assert "warning: the file ends or breaks at line" in done.err
    assert done.lines[2]["state"] == "partial"
    assert run(tmp_path, "scan", "--resume", "latest").code == 2


def test_two_vantages_are_not_compared(tmp_path: Path) -> None:
    run(tmp_path, "import", str(FILES / "masscan.list"))
    run(tmp_path, "import", str(FILES / "naabu.jsonl"))
    naabu, masscan = (
        line["id"] for line in sorted(run(tmp_path, "runs", "--json").lines, key=lambda line: line["engine"])[::-1]
    )
    done = run(tmp_path, "diff", naabu, masscan)
    assert "warning: " in done.err
    assert "two vantages" in " ".join(done.out.split())
    assert "0 opened" in done.out


def test_an_import_with_our_vantage_is_compared(tmp_path: Path) -> None:
    old, new = tmp_path / "old.xml", tmp_path / "new.xml"
    text = (FILES / "nmap-old.xml").read_text()
    old.write_text(text)
    later = text.replace("1384110", "1484110").replace('portid="22"><state state="open"', 'portid="22"><state state="closed"')
    new.write_text(later)
    for file in (old, new):
        assert run(tmp_path, "import", str(file), "--vantage", "local").code == 0
    second, first = (line["id"] for line in run(tmp_path, "runs", "--json").lines)
    changes = [(line["change"], line["ip"], line["port"]) for line in run(tmp_path, "diff", first, second, "--json").lines]
    assert changes == [("closed", "198.51.100.1", 22)]
