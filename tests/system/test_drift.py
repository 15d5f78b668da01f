"""Services open and close in a namespace: `check`, `diff`, `exposures` and the letter tell it, and a lost packet is no news."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from system.listeners import listening
from system.netns import Lab, Namespace, can_make_namespaces
from system.scanning import Row, reconshield

pytestmark = [pytest.mark.system, pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft")]

HOST, SIX = "10.94.0.2", "fd94::2"
SSH, MAIL, EXTRA, LOSSY = 2201, 2202, 2203, 2204
PORTS = f"{SSH},{MAIL},{EXTRA},{LOSSY}"
LOST_SYN = f"ip daddr {HOST} tcp dport {LOSSY} tcp flags & (syn | ack) == syn"
POLICY = f"""\
version = 1

[[zone]]
name = "lab"
targets = ["10.94.0.2/32", "fd94::/64"]
owner = "lab team"
secure = true

[[asset]]
name = "host"
addresses = ["{HOST}", "{SIX}"]

[[expect]]
on = "host"
service = "ssh"
ports = "{SSH},{LOSSY}"
reason = "administration"
owner = "lab team"
expires = 2999-01-01

[[closed]]
on = "host"
ports = "{MAIL}"
severity = "critical"
reason = "clear-text mail is retired"
"""


class World(NamedTuple):
    scanner: Namespace
    host: Namespace
    home: Path

    def run(self, *words: str, code: int | None = None) -> list[Row]:
        """The JSON Lines of a command."""
        answer = reconshield(self.scanner, self.home, *words, "--json")
        assert code is None or answer.code == code, answer.error
        return list(answer.rows)

    def check(self, code: int) -> dict[str, str]:
        """Measure and judge; the verdicts on single endpoints of the host's IPv4 address, by port."""
        lines = self.run("check", "-p", PORTS, "--authorized-by", "Ada", code=code)
        return {str(line["port"]): line["verdict"] for line in lines if line.get("ip") == HOST}


def wall(rule: str) -> str:
    return f"table inet wall {{\n  chain input {{\n    type filter hook input priority 0;\n    {rule}\n  }}\n}}"


def greet(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n")
    connection.recv(1024)
    connection.close()


def ready(connection: socket.socket) -> None:
    connection.sendall(b"+OK POP3 ready\r\n")
    while data := connection.recv(1024):
        connection.sendall(b"+OK\r\nUSER\r\n.\r\n" if data.upper().startswith(b"CAPA") else b"+OK\r\n")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "reconshield.toml").write_text(POLICY)
    with Lab() as lab, ExitStack() as stack:
        scanner, host = lab.namespace("scan"), lab.namespace("host")
        lab.link(scanner, host, "10.94.0.1/24", f"{HOST}/24", "fd94::1/64", f"{SIX}/64")
        for port in (SSH, LOSSY):
            stack.enter_context(listening(host, HOST, port, greet))
        yield World(scanner, host, tmp_path)


def count_syn_bytes(world: World, home: Path) -> int:
    """How many bytes of SYNs a check sends to a silent port that nobody knows to be open, by the kernel's count."""
    home.mkdir()
    (home / "reconshield.toml").write_text(POLICY)
    world.host.firewall(wall(f"{LOST_SYN} counter drop"))
    World(world.scanner, world.host, home).check(0)
    listed = world.host.run("nft", "-j", "list", "ruleset")
    rules = [item["rule"]["expr"] for item in json.loads(listed)["nftables"] if "rule" in item]
    return int(next(part["counter"]["bytes"] for expressions in rules for part in expressions if "counter" in part))


def changes(world: World) -> list[tuple[str, int]]:
    """What the latest run found changed, as the letter has it."""
    latest = world.run("runs")[0]["id"]
    return [(line["change"], line["port"]) for line in world.run("letter", "--since", "1h") if line["runs"]["after"] == latest]


def test_a_service_that_must_not_be_there_comes_and_goes(world: World) -> None:
    assert world.check(0) == {str(SSH): "expected", str(LOSSY): "expected"}
    assert changes(world) == []

    with listening(world.host, HOST, MAIL, ready), listening(world.host, HOST, EXTRA, greet):
        assert world.check(1) == {
            str(MAIL): "forbidden", str(EXTRA): "unexpected", str(SSH): "expected", str(LOSSY): "expected"
        }  # fmt: skip
        assert changes(world) == [("opened", MAIL), ("opened", EXTRA)]
        standing = {line["port"]: line for line in world.run("exposures")}
        mail = standing[MAIL]
        assert (mail["service"]["service"], mail["owner"], mail["verdict"]) == ("pop3", "lab team", "forbidden")
        assert mail["shut_before"] < mail["opened"]
        added = [factor["name"] for factor in mail["risk"]["factors"]][-2:]
        assert added == ["newly-opened", "secure-enclave"]
        assert standing[SSH]["shut_before"] is None

    assert world.check(0) == {str(SSH): "expected", str(LOSSY): "expected"}
    assert changes(world) == [("closed", MAIL), ("closed", EXTRA)]
    assert {line["port"] for line in world.run("exposures")} == {SSH, LOSSY}

    oldest, middle, newest = (line["id"] for line in reversed(world.run("runs")))
    assert [(line["change"], line["port"]) for line in world.run("diff", oldest, middle)] == [
        ("opened", MAIL),
        ("opened", EXTRA),
    ]
    assert world.run("diff", oldest, newest) == []


def test_a_lost_packet_is_no_news_and_a_firewall_is(world: World, tmp_path: Path) -> None:
    world.check(0)
    lost = count_syn_bytes(world, tmp_path / "elsewhere")
    # As many SYNs are lost as a scan sends before it gives up, and as many of those that ask again; then the way is free.
    world.host.firewall(wall(f"{LOST_SYN} quota until {2 * lost + 1} bytes drop"))
    assert str(LOSSY) not in world.check(0), "the run itself heard nothing"
    assert changes(world) == []
    assert {line["port"] for line in world.run("exposures")} == {SSH, LOSSY}

    world.host.firewall(wall(f"tcp dport {LOSSY} drop"))
    world.check(0)
    assert changes(world) == [("closed", LOSSY)]
    assert {line["port"] for line in world.run("exposures")} == {SSH}


def test_what_a_grant_excludes_is_not_measured_and_says_why(world: World) -> None:
    reconshield(world.scanner, world.home, "grant", "add", "10.94.0.0/24", "fd94::2", "--by", "Ada", "--exclude", HOST)
    lines = world.run("check", "-p", PORTS, code=1)
    lost = [line for line in lines if line.get("verdict") == "not-measured"]
    assert all("excluded by grant g1" in line["because"] for line in lost)
    assert sum(line["endpoints"] for line in lost) == 3  # the assertion, and the two ports of the expectation
