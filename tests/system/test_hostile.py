"""Servers that mean harm, all on one host, measured by the real command: it ends, stays small, and shows nothing raw.

`test_identify_hostile.py` looks at each of them inside this process; here the whole command has to survive them together.
"""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from system.listeners import Listener, Talk, listening
from system.netns import Lab, Namespace, can_make_namespaces
from system.scanning import Answer, command, environment, reconshield
from system.test_identify_hostile import SERVERS

pytestmark = [pytest.mark.system, pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft")]

HOST = "10.95.0.2"
FIRST = 7000
MEMORY, HARM = 128 * 1024 * 1024, 32 * 1024 * 1024
"""Peak resident memory of the command, and how much of it servers that mean harm may cost. One harmless server costs 80 MB,
which are Python, NumPy, SQLAlchemy and the catalogue; all the hostile ones together cost 10 MB more."""
METER = """\
import os, subprocess, sys
child = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(child.pid, 0)
child.returncode = os.waitstatus_to_exitcode(status)
with open(sys.argv[1], "w") as file:
    file.write(str(usage.ru_maxrss * 1024))
sys.exit(child.returncode)
"""
"""Runs a command and writes down its peak. A small program of its own, because to Linux the peak of a process is at least what
its parent had in memory on starting it: begun from here, every command would be as large as pytest with all its tests."""
CONNECTIONS = 1 + 8
"""The port scan's own connection and the budget of identification."""
SECONDS = 140.0

EVIL = "\x1b[2J\x1b]0;owned\x07=cmd|' /C calc'!A1 \u202egnp.exe\u2066 \x9b31m\u200b \x00end"
"""Clears the screen, sets the title, is a formula, turns the direction of reading, hides characters."""
BYTES = EVIL.encode()


def flood(sent: list[int]) -> Talk:
    """Sends a gigabyte, as far as anybody takes it, and counts."""

    def talk(connection: socket.socket) -> None:
        connection.settimeout(20)
        for _ in range(1 << 14):
            sent[0] += connection.send(b"\xab\xcd" * 32768)

    return talk


def evil_text(connection: socket.socket) -> None:
    connection.sendall(BYTES + b"\r\n")


def evil_ssh(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-" + BYTES.replace(b"\x00", b"") + b"\r\n")


def evil_smtp(connection: socket.socket) -> None:
    connection.sendall(b"220 " + BYTES + b" ESMTP Postfix (" + BYTES + b")\r\n")
    while line := connection.recv(4096):
        connection.sendall(
            b"250-" + BYTES + b"\r\n250 AUTH PLAIN " + BYTES + b"\r\n" if line[:4] == b"EHLO" else b"250 " + BYTES
        )


def evil_http(connection: socket.socket) -> None:
    connection.recv(4096)
    head = b"HTTP/1.1 200 " + BYTES + b"\r\nServer: " + BYTES + b"\r\nX-Powered-By: =1+1\r\nConnection: close\r\n\r\n"
    connection.sendall(head + b"<title>" + BYTES + b"</title>")
    connection.close()


def evil_ftp(connection: socket.socket) -> None:
    connection.sendall(b'220 =HYPERLINK("http://x") FTP ' + BYTES + b"\r\n")
    while line := connection.recv(4096):
        connection.sendall(b"211-Features:\r\n AUTH TLS" + BYTES + b"\r\n211 End\r\n" if line[:4] == b"FEAT" else b"530 no\r\n")


TALKERS = {21: evil_ftp, 22: evil_ssh, 25: evil_smtp, 80: evil_http, 6543: evil_text}


class Measured(NamedTuple):
    answer: Answer
    seconds: float
    memory: int
    listeners: dict[int, Listener]


class World(NamedTuple):
    scanner: Namespace
    host: Namespace


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Lab() as lab:
        scanner, host = lab.namespace("scan"), lab.namespace("hostile")
        lab.link(scanner, host, "10.95.0.1/24", f"{HOST}/24")
        yield World(scanner, host)


def weigh(world: World, home: Path, talks: dict[int, Talk]) -> Measured:
    """One scan of servers at level 3; what it cost by the kernel's own count, in whichever of its processes."""
    out, peak = home / "out", home / "peak"
    with ExitStack() as stack:
        listeners = {port: stack.enter_context(listening(world.host, HOST, port, talk)) for port, talk in talks.items()}
        ports = ",".join(map(str, talks))
        told = ("scan", HOST, "-p", ports, "--authorized-by", "test", "--level", "3", "--format", "jsonl")
        meter = (sys.executable, "-S", "-c", METER, str(peak))
        started = time.monotonic()
        with out.open("wb") as file:
            done = subprocess.run(
                [*meter, *command(world.scanner, home, *told)],
                stdout=file,
                stderr=subprocess.DEVNULL,
                env=environment(),
                check=False,
            )
        seconds = time.monotonic() - started
    rows = tuple(json.loads(line) for line in out.read_text().splitlines())
    return Measured(Answer(done.returncode, out.read_text(), "", rows), seconds, int(peak.read_text()), listeners)


@pytest.fixture(scope="module")
def sent() -> list[int]:
    """How many bytes the flood got rid of."""
    return [0]


@pytest.fixture(scope="module")
def measured(world: World, sent: list[int], tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """One scan of all hostile servers."""
    talks = {FIRST + number: row[0] for number, row in enumerate(SERVERS)} | {6999: flood(sent)}
    return weigh(world, tmp_path_factory.mktemp("home"), talks)


def harmless(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n")


def test_it_ends_in_time_and_memory(world: World, measured: Measured, tmp_path: Path) -> None:
    assert (measured.answer.code, measured.answer.summary["state"]) == (0, "complete")
    assert measured.seconds < SECONDS
    assert measured.memory < MEMORY
    ordinary = weigh(world, tmp_path, {22: harmless})
    assert ordinary.answer.services()[HOST, 22]["service"] == "ssh"
    assert measured.memory - ordinary.memory < HARM


def test_no_server_is_asked_more_than_the_budget_allows(measured: Measured) -> None:
    asked = {port: listener.connections for port, listener in measured.listeners.items()}
    assert max(asked.values()) <= CONNECTIONS, asked
    assert min(asked.values()) >= 1, asked
    for row in measured.answer.of("service"):
        assert len(row["evidence"]) <= 40
        assert all(len(turn["received"]) <= 4 * 4096 for turn in row["evidence"])  # `\xNN` is four characters a byte


@pytest.mark.usefixtures("measured")
def test_a_flood_is_not_drunk(sent: list[int]) -> None:
    """What the flood could send is what the kernel's buffers hold for each connection, not its gigabyte."""
    assert 0 < sent[0] < 16 * 1024 * 1024


def test_every_server_is_named_as_what_it_showed(measured: Measured) -> None:
    services = measured.answer.services()
    for number, (talk, names, _, _) in enumerate(SERVERS):
        assert services[HOST, FIRST + number]["service"] in names, talk.__name__
    assert services[HOST, 6999]["service"] == "unknown"


@pytest.fixture(scope="module")
def shown(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home with a run that holds what the talkers said."""
    home = tmp_path_factory.mktemp("shown")
    with ExitStack() as stack:
        for port, talk in TALKERS.items():
            stack.enter_context(listening(world.host, HOST, port, talk))
        told = ("scan", HOST, "-p", ",".join(map(str, TALKERS)), "--authorized-by", "test", "--level", "3")
        answer = reconshield(world.scanner, home, *told)
    assert answer.code == 0
    assert_harmless(answer)
    return home


@pytest.mark.parametrize("layout", ["table", "csv", "jsonl", "json", "markdown", "html"])
def test_nothing_raw_is_shown(world: World, shown: Path, layout: str) -> None:
    answer = reconshield(world.scanner, shown, "report", "latest", "--format", layout, "--with-evidence")
    assert answer.code == 0, answer.error
    assert_harmless(answer)
    for service in ("ftp", "ssh", "smtp", "http"):
        assert service in answer.out
    if layout == "csv":
        cells = [cell for row in csv.reader(io.StringIO(answer.out)) for cell in row]
        assert len(cells) > 20
        assert [cell for cell in cells if re.match(r"[=+@\t\r]|-\D", cell)] == []


def assert_harmless(answer: Answer) -> None:
    for text in (answer.out, answer.error):
        assert [hex(ord(c)) for c in text if is_dangerous(c)] == [], text


def is_dangerous(character: str) -> bool:
    """Control and format characters: what a terminal obeys, and what turns or hides text. Line feeds are ours."""
    return character != "\n" and unicodedata.category(character) in {"Cc", "Cf"}


def test_the_evidence_still_has_every_byte(world: World, shown: Path) -> None:
    answer = reconshield(world.scanner, shown, "report", "latest", "--format", "jsonl", "--with-evidence")
    [turn] = [turn for turn in answer.services()[HOST, 6543]["evidence"] if turn["received"]]
    written = turn["received"].replace("\\\\", "\\x5c")
    kept = re.sub(
        r"\\x([0-9a-f]{2})|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else {"r": "\r", "n": "\n"}.get(m[2], m[2]), written
    )
    assert kept.encode("latin-1") == BYTES + b"\r\n"
