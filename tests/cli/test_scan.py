"""`reconshield scan` as a user runs it: real listeners on loopback, real exit codes, its own process where that matters."""

from __future__ import annotations

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cli import inside
from cli.inside import Done


class Redis(socketserver.BaseRequestHandler):
    """As much of a Redis server as a harmless question reaches."""

    def handle(self) -> None:
        while data := self.request.recv(4096):
            if b"PING" in data:
                self.request.sendall(b"+PONG\r\n")
            elif b"INFO" in data:
                info = b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
                self.request.sendall(b"$%d\r\n%s\r\n" % (len(info), info))
            else:
                self.request.sendall(b"-ERR unknown command\r\n")


@pytest.fixture
def redis_port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Redis) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "reconshield", "--home", str(home), *words]


def run_alone(home: Path, *words: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A process of its own, for what depends on one: signals, pipes, the language of the terminal."""
    chosen = os.environ | {"COLUMNS": "80", "LC_ALL": "C.UTF-8"} | dict(environ or {})
    return subprocess.run(command(home, *words), capture_output=True, text=True, timeout=60, check=False, env=chosen)


def run(home: Path, *words: str, text: str = "") -> Done:
    return inside.run(home, *words, text=text, environ={"COLUMNS": "80"})


def test_an_open_database_is_found_rated_and_explained(tmp_path: Path, redis_port: int, closed_port: int) -> None:
    done = run_alone(tmp_path, "scan", "127.0.0.1", "-p", f"{redis_port},{closed_port}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "127.0.0.1 · 2 TCP ports · connect · from local · needs" in lines[0]
    row = next(line for line in lines if f"{redis_port}/tcp" in line and "redis" in line)
    assert row.split()[:6] == ["100", "critical", f"{redis_port}/tcp", "redis", "Redis", "7.0.15"]
    assert any(line.startswith("✗ critical  Redis answers without a password") for line in lines)
    assert "risk 100 = 85 base + 15 proven open" in " ".join(done.stdout.split())
    assert "2 of 2 TCP ports measured" in done.stdout
    assert done.stderr.startswith("next  reconshield evidence latest 127.0.0.1:")


class VersionBind(socketserver.BaseRequestHandler):
    """A DNS server that says who it is, refuses everything else, and hears no other protocol."""

    def handle(self) -> None:
        question, answers_to = self.request
        if b"\x07version\x04bind\0" in question:
            record = b"\xc0\x0c\0\x10\0\x03\0\0\0\0\0\x07\x06" + b"9.18.1"
            answers_to.sendto(question[:2] + b"\x80\0\0\1\0\1\0\0\0\0" + question[12:] + record, self.client_address)
        elif question[4:13] == b"\0\1\0\0\0\0\0\0\0":
            answers_to.sendto(question[:2] + b"\x80\5" + question[4:], self.client_address)


def test_a_silent_udp_port_is_asked_by_the_probes(tmp_path: Path) -> None:
    """What the port's own question does not wake is found, where few ports are named."""
    with socketserver.ThreadingUDPServer(("127.0.0.1", 0), VersionBind) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        port = server.server_address[1]
        asked = run(tmp_path, "scan", "127.0.0.1", "-p", f"U:{port}", "--format", "jsonl").lines
        server.shutdown()
    [service] = [line for line in asked if line["type"] == "service"]
    assert (service["service"], service["product"], service["version"]) == ("dns", "ISC BIND", "9.18.1")
    [seen] = [line for line in asked if line["type"] == "observation"]
    assert (seen["state"], seen["reason"]) == ("open", "udp-response")
    assert asked[-1]["open"] == 1
    stored = run(tmp_path, "report", asked[0]["id"], "--format", "jsonl", "--all-states").lines
    assert [line["state"] for line in stored if line["type"] == "observation"] == ["open"]


def test_json_lines_follow_the_schema(tmp_path: Path, redis_port: int, closed_port: int) -> None:
    done = run(tmp_path, "scan", "127.0.0.1", "-p", f"{redis_port},{closed_port}", "--format", "jsonl", "--all-states")
    lines = done.lines
    assert [line["type"] for line in lines if line["type"] != "finding"] == [
        "run",
        "observation",
        "observation",
        "service",
        "summary",
    ]
    states = {line["port"]: (line["state"], line["reason"]) for line in lines if line["type"] == "observation"}
    assert states == {redis_port: ("open", "syn-ack"), closed_port: ("closed", "conn-refused")}
    service = next(line for line in lines if line["type"] == "service")
    assert (service["service"], service["confidence"], service["version"]) == ("redis", "confirmed", "7.0.15")
    assert {line["check"] for line in lines if line["type"] == "finding"} == {"redis-no-auth", "redis-version-banner"}
    assert lines[-1]["state"] == "complete"
    assert len({line.get("run", line.get("id")) for line in lines if line["type"] != "finding"}) == 1


def test_level_2_sends_nothing_and_guesses(tmp_path: Path, redis_port: int) -> None:
    lines = run(tmp_path, "scan", "127.0.0.1", "-p", str(redis_port), "--level", "2", "--json").lines
    service = next(line for line in lines if line["type"] == "service")
    assert (service["confidence"], service["evidence"]) == ("guess", [])
    assert not [line for line in lines if line["type"] == "finding"]


@pytest.mark.parametrize(("severity", "code"), [("low", 1)])
def test_fail_on(tmp_path: Path, redis_port: int, severity: str, code: int) -> None:
    assert run(tmp_path, "scan", "127.0.0.1", "-p", str(redis_port), "--fail-on", severity).code == code


def test_fail_on_without_findings(tmp_path: Path, closed_port: int) -> None:
    done = run(tmp_path, "scan", "127.0.0.1", "-p", str(closed_port), "--fail-on", "low")
    assert done.code == 0
    assert "Nothing listens here: 1 of 1 TCP ports closed" in done.out
    assert done.err == "next  reconshield port 110   what a port page says\n"


@pytest.mark.parametrize("format_", ["csv"])
def test_a_report_file_is_written_whole(tmp_path: Path, redis_port: int, format_: str) -> None:
    target = tmp_path / "out" / "report"
    target.parent.mkdir()
    done = run(tmp_path, "scan", "127.0.0.1", "-p", str(redis_port), "--format", format_, "-o", str(target))
    assert (done.code, done.out) == (0, "")
    assert "redis" in target.read_text()
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mode & 0o777 == 0o600


def test_dry_run_sends_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        port = server.getsockname()[1]
        done = run(tmp_path, "scan", "127.0.0.1", "-p", f"{port},9100-9102,515", "--dry-run", "--seed", "7")
        with pytest.raises(TimeoutError):
            server.accept()
    assert done.code == 0
    assert done.out.splitlines()[0] == "plan    1 address × 5 TCP ports = 5 endpoints   (nothing was sent)"
    assert "held    515, 9100-9102 (print): state is measured, no byte is sent" in done.out
    assert "--seed 7 repeats this order" in done.err


def test_targets_from_standard_input_and_files(tmp_path: Path, closed_port: int) -> None:
    listed = tmp_path / "targets.txt"
    listed.write_text("# mine\n127.0.0.2\n\n127.0.0.3 # too\n")
    words = ["scan", "127.0.0.1", "-iL", str(listed), "-iL", "-", "--exclude", "127.0.0.2", "-p", str(closed_port), "--json"]
    done = run(tmp_path, *words, "--all-states", text="127.0.0.4\n127.0.0.1\n")
    seen = sorted(line["ip"] for line in done.lines if line["type"] == "observation")
    assert seen == ["127.0.0.1", "127.0.0.3", "127.0.0.4"]


def test_a_run_keeps_the_targets_of_a_file_and_not_its_name(tmp_path: Path, closed_port: int) -> None:
    listed = tmp_path / "targets.txt"
    listed.write_text("\ufeff127.0.0.2 127.0.0.3\n", encoding="utf-8")
    for words in (["-iL", str(listed)], [f"@{listed}"]):
        head = run(tmp_path, "scan", *words, "-p", str(closed_port), "--json").lines[0]
        assert head["targets"] == ["127.0.0.2", "127.0.0.3"]


def test_ctrl_c_keeps_what_was_measured_and_resume_finishes(tmp_path: Path) -> None:
    words = ("scan", "127.0.0.1", "-p", "1-9000", "--rate", "3000", "--level", "2", "--json")
    environ = os.environ | {"LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        command(tmp_path, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )
    assert process.stdout is not None
    assert '"type":"run"' in process.stdout.readline()
    time.sleep(0.7)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - asked < 3
    assert process.returncode == 130
    assert "endpoints are measured and saved" in err
    assert "reconshield scan --resume latest --rate 3000\n" in err
    lines = run(tmp_path, "scan", "--resume", "latest", "--json").lines
    assert (lines[-1]["state"], lines[-1]["measured"]) == ("complete", 9000)
    assert run(tmp_path, "scan", "--resume", "latest").code == 2


def test_shards_share_the_work(tmp_path: Path) -> None:
    seen: list[int] = []
    for share in ("1/2", "2/2"):
        words = (
            "scan",
            "127.0.0.1",
            "-p",
            "1-6000",
            "--level",
            "2",
            "--seed",
            "5",
            "--shard",
            share,
            "--json",
            "--all-states",
        )
        lines = [json.loads(line) for line in run(tmp_path, *words).out.splitlines()]
        assert lines[-1]["state"] == "complete"
        seen += [line["port"] for line in lines if line["type"] == "observation"]
    assert sorted(seen) == list(range(1, 6001))


def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    words = " ".join(command(tmp_path, "scan", "127.0.0.1", "-p", "1-3000", "--level", "2", "--json", "--all-states"))
    done = subprocess.run(["bash", "-c", f"{words} | head -1"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_is_full(tmp_path: Path) -> None:
    words = " ".join(command(tmp_path, "scan", "127.0.0.1", "-p", "1-300", "--level", "2", "--json", "--all-states"))
    done = subprocess.run(["bash", "-c", f"{words} > /dev/full"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[:2] == ["error: the output cannot be written: no space left", "  where  standard output"]


def test_ascii_where_the_terminal_wants_it(tmp_path: Path, redis_port: int) -> None:
    done = run_alone(
        tmp_path, "scan", "127.0.0.1", "-p", str(redis_port), environ={"LC_ALL": "C", "PYTHONUTF8": "0", "TERM": "dumb"}
    )
    assert done.stdout.isascii()
    assert "x critical" in done.stdout


REFUSED = [
    ("a public address", ["203.0.113.7"], "no grant covers 203.0.113.7"),
    ("hexadecimal", ["0x0a580304"], "no grant covers 10.88.3.4"),
    ("one number", ["167772161"], "no grant covers 10.0.0.1"),
    ("short", ["10.88.3"], "no grant covers 10.88.0.3"),
    ("mapped", ["::ffff:10.88.3.4"], "no grant covers 10.88.3.4"),
    ("multicast", ["224.0.0.1"], "224.0.0.1"),
    ("broadcast", ["255.255.255.255"], "255.255.255.255"),
    ("this network", ["0.0.0.1"], "0.0.0.1"),
]


@pytest.mark.parametrize(("targets", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_without_a_grant(tmp_path: Path, targets: list[str], message: str) -> None:
    done = run(tmp_path, "scan", *targets, "-p", "110")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("refused: ")
    assert message in done.err
    assert "Nothing was sent" in done.err


BAD_INPUT: list[tuple[str, list[str], str]] = [
    ("no target", ["scan"], "a scan needs a target"),
    ("unknown port name", ["scan", "127.0.0.1", "-p", "pop33"], "pop3"),
    ("reversed range", ["scan", "127.0.0.1", "-p", "100-20"], "20-100"),
    ("port 70000", ["scan", "127.0.0.1", "-p", "22,70000"], "port 70000 is out of range (0–65535)"),
    ("no ports", ["scan", "127.0.0.1", "-p", ""], "port"),
    ("UDP held back", ["scan", "127.0.0.1", "-p", "U:502"], "there is nothing to measure: plc port held back"),
    ("no UDP port", ["scan", "127.0.0.1", "-p", "U:pop3"], "pop3 has no UDP port"),
    ("empty target file", ["scan", "-iL", "EMPTY"], "EMPTY"),
    ("missing target file", ["scan", "-iL", "nowhere.txt"], "cannot be read"),
    ("binary target file", ["scan", "-iL", "BINARY"], "not text in UTF-8"),
    ("a /0", ["scan", "0.0.0.0/0"], "0.0.0.0/0"),
    ("a v6 /64", ["scan", "2001:db8::/64"], "2001:db8::/64"),
    ("reversed addresses", ["scan", "10.0.0.9-10.0.0.1"], "10.0.0.9-10.0.0.1"),
    ("scope id", ["scan", "fe80::1%eth0"], "fe80::1%eth0"),
    ("nonsense", ["scan", "10.0.0.300"], "10.0.0.300"),
    ("unknown name", ["scan", "no-such-host.invalid"], "no-such-host.invalid"),
    ("unknown flag", ["scan", "127.0.0.1", "--turbo"], "--turbo"),
    ("unknown verb", ["scna"], "scna"),
    ("unknown format", ["scan", "127.0.0.1", "--format", "pdf"], "unknown format 'pdf'"),
    ("unknown severity", ["scan", "127.0.0.1", "--fail-on", "bad"], "unknown severity 'bad'"),
    ("no such engine", ["scan", "127.0.0.1", "--engine", "turbo"], "no engine turbo"),
    ("unknown engine", ["scan", "127.0.0.1", "--engine", "warp"], "--engine warp"),
    ("level 9", ["scan", "127.0.0.1", "--level", "9"], "level"),
    ("two manners", ["scan", "127.0.0.1", "--polite", "--fast"], "one manner only"),
    ("fast without a yes", ["scan", "127.0.0.1", "--fast"], "--yes"),
    ("rate 0", ["scan", "127.0.0.1", "--rate", "0"], "above 0"),
    ("share 3 of 2", ["scan", "127.0.0.1", "--shard", "3/2"], "--shard 3/2"),
    ("ports twice", ["scan", "127.0.0.1", "-p", "22", "--top", "10"], "not both"),
    ("resume nothing", ["scan", "--resume", "latest"], "there are no runs yet"),
    ("bad seed", ["scan", "127.0.0.1", "--seed", "-1"], "seed"),
    ("no such directory", ["scan", "127.0.0.1", "-p", "1", "-o", "/nowhere/report"], "cannot be written"),
]


@pytest.mark.parametrize(("words", "message"), [row[1:] for row in BAD_INPUT], ids=[row[0] for row in BAD_INPUT])
def test_bad_input_is_answered(tmp_path: Path, words: list[str], message: str) -> None:
    (tmp_path / "EMPTY").write_text("# nothing\n\n")
    (tmp_path / "BINARY").write_bytes(b"\xff\xfe\x00")
    words = [str(tmp_path / w) if w in {"EMPTY", "BINARY"} else w for w in words]
    done = run(tmp_path, *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err
    assert "Traceback" not in done.err
    assert "\n  next   " in done.err


def test_a_broken_database(tmp_path: Path) -> None:
    (tmp_path / "reconshield.db").write_bytes(b"this is no database" * 100)
    done = run(tmp_path, "scan", "127.0.0.1", "-p", "1")
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert str(tmp_path / "reconshield.db") in done.err


def test_a_config_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("vantage = ")
    done = run(tmp_path, "scan", "127.0.0.1", "-p", "1")
    assert (done.code, done.err.splitlines()[1]) == (2, f"  where  {tmp_path / 'config.toml'}")


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path / "file" / "home", "scan", "127.0.0.1", "-p", "1")
    assert done.code == 2
    assert done.err.startswith("error: ")


def test_a_full_disk(tmp_path: Path) -> None:
    """The file size limit stands for a full disk: writing fails with an error either way."""
    script = f"ulimit -f 8; exec {' '.join(command(tmp_path, 'scan', '127.0.0.1', '-p', '1-5000', '--level', '2'))}"
    done = subprocess.run(["bash", "-c", f"trap '' XFSZ; {script}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
