"""The main job from the command to the answer, in namespaces: own listeners, firewalls, grants, names, and kills."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from system.kill_scan import rounds
from system.listeners import listening
from system.netns import Lab, Namespace, can_make_namespaces
from system.scanning import reconshield, scan

pytestmark = [pytest.mark.system, pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft")]

FIRST, SPARED, THIRD, SIX = "10.96.0.2", "10.96.0.3", "10.96.0.4", "fd96::2"
NAME = "mail.world.test"
OPEN, DROPPED, REJECTED, PROHIBITED, CLOSED = 2201, 2202, 2203, 2204, 2205
RULES = f"""
table inet wall {{
  chain input {{
    type filter hook input priority 0;
    tcp dport {DROPPED} drop
    tcp dport {REJECTED} reject with tcp reset
    tcp dport {PROHIBITED} reject with icmpx admin-prohibited
  }}
}}
table inet gauge {{
  counter first {{ }}
  counter spared {{ }}
  chain input {{
    type filter hook prerouting priority -300;
    ip daddr {FIRST} counter name first
    ip daddr {SPARED} counter name spared
  }}
}}
table arp gauge {{
  counter asked {{ }}
  chain input {{
    type filter hook input priority 0;
    arp operation request arp daddr ip {SPARED} counter name asked
  }}
}}
"""


class World(NamedTuple):
    scanner: Namespace
    host: Namespace
    device: str


def greet(connection: socket.socket) -> None:
    """As much of SSH as is needed to be named."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n")
    connection.recv(1024)
    connection.close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A scanner and a host with three IPv4 addresses, one IPv6 address, a firewall and packet counters."""
    with Lab() as lab, ExitStack() as stack:
        scanner, host = lab.namespace("scan"), lab.namespace("host")
        ends = lab.link(scanner, host, "10.96.0.1/24", f"{FIRST}/24", "fd96::1/64", f"{SIX}/64")
        for address in (SPARED, THIRD):
            host.run("ip", "address", "add", f"{address}/24", "dev", ends[1])
        host.firewall(RULES)
        for address in (FIRST, SPARED, THIRD, SIX):
            stack.enter_context(listening(host, address, OPEN, greet))
        yield World(scanner, host, ends[1])


@pytest.fixture
def own() -> Iterator[Namespace]:
    """A machine of its own with one address beside loopback; nothing listens yet."""
    with Lab() as lab:
        machine, other = lab.namespace("own"), lab.namespace("other")
        lab.link(machine, other, "10.98.0.1/24", "10.98.0.2/24", "fd98::1/64", "fd98::2/64")
        yield machine


def packets(host: Namespace, counter: str, family: str = "inet") -> int:
    found = re.search(r"packets (\d+)", host.run("nft", "list", "counter", family, "gauge", counter))
    assert found
    return int(found[1])


# ── this machine ──


def test_own_listeners_are_rated_where_others_can_reach_them(own: Namespace, tmp_path: Path) -> None:
    with ExitStack() as stack:
        for address, port in (("0.0.0.0", 6001), ("::", 6002), ("127.0.0.1", 6003), ("::1", 6004), ("10.98.0.1", 6005)):
            stack.enter_context(listening(own, address, port, greet))
        table = reconshield(own, tmp_path, "scan", "localhost", "-p", "6001-6010")
        lines = scan(own, tmp_path, "localhost", "-p", "6001-6010")
    assert table.code == 0, table.error
    found = {(row["ip"], row["port"]) for row in lines.of("observation")}
    assert found == {
        *((ip, 6001) for ip in ("127.0.0.1", "10.98.0.1")),
        *((ip, 6002) for ip in ("::1", "fd98::1")),
        ("127.0.0.1", 6003),
        ("::1", 6004),
        ("10.98.0.1", 6005),
    }
    # Loopback-only listeners stand in one line, without a rating.
    [only] = [line for line in table.out.splitlines() if "this machine only" in line]
    assert re.search(r"6003\b.*6004\b", only)
    rated = [line for line in table.out.splitlines() if re.search(r"\b(?:low|medium|high|critical)\b", line, re.IGNORECASE)]
    assert {port for line in rated for port in re.findall(r"\b60\d\d\b", line)} == {"6001", "6002", "6005"}, table.out


def test_own_addresses_need_no_grant_and_others_do(own: Namespace, tmp_path: Path) -> None:
    assert reconshield(own, tmp_path, "scan", "10.98.0.1", "-p", "6001").code == 0
    refused = reconshield(own, tmp_path, "scan", "10.98.0.2", "-p", "6001")
    assert refused.code == 3
    assert "10.98.0.2" in refused.error
    assert "--authorized-by" in refused.error


def test_nothing_listening_is_still_useful(own: Namespace, tmp_path: Path) -> None:
    answer = reconshield(own, tmp_path, "scan", "localhost")
    assert answer.code == 0, answer.error
    assert re.search(r"nothing|no open|none", answer.out, re.IGNORECASE), answer.out
    assert "reconshield port 110" in answer.out + answer.error


# ── other hosts ──


@pytest.mark.parametrize("address", [FIRST, SIX])
def test_states_behind_a_firewall(world: World, tmp_path: Path, address: str) -> None:
    told = (address, "-p", f"{OPEN}-{CLOSED}", "--all-states", "--level", "3")
    answer = scan(world.scanner, tmp_path, *told)
    assert answer.code == 0
    assert {row["port"]: (row["state"], row["reason"]) for row in answer.of("observation")} == {
        OPEN: ("open", "syn-ack"),
        DROPPED: ("filtered", "no-response"),
        REJECTED: ("closed", "reset"),
        PROHIBITED: ("filtered", "admin-prohibited"),
        CLOSED: ("closed", "reset"),
    }
    assert {key: row["service"] for key, row in answer.services().items()} == {(address, OPEN): "ssh"}
    counts = {key: answer.summary[key] for key in ("open", "closed", "filtered", "unreachable")}
    assert counts == {"open": 1, "closed": 2, "filtered": 2, "unreachable": 0}


def test_several_hosts_in_one_scan(world: World, tmp_path: Path) -> None:
    answer = scan(world.scanner, tmp_path, f"{FIRST}-4", SIX, "10.96.0.77", "-p", f"{OPEN}-{OPEN}", "--level", "3")
    assert answer.services().keys() == {(ip, OPEN) for ip in (FIRST, SPARED, THIRD, SIX)}
    # Beside hosts that answer at once, the one that is not there is given up before the kernel says that it has no neighbour.
    assert (answer.summary["open"], answer.summary["filtered"] + answer.summary["unreachable"]) == (4, 1)


def test_an_excluded_address_gets_not_one_packet(world: World, tmp_path: Path) -> None:
    before = packets(world.host, "first"), packets(world.host, "spared"), packets(world.host, "asked", "arp")
    added = reconshield(world.scanner, tmp_path, "grant", "add", "10.96.0.0/29", "--by", "test", "--exclude", SPARED)
    assert added.code == 0, added.error
    answer = reconshield(world.scanner, tmp_path, "scan", "10.96.0.0/29", "-p", f"{OPEN}-{CLOSED}", "--format", "jsonl")
    assert {row["ip"] for row in answer.of("service")} == {FIRST, THIRD}, answer.error
    refused = reconshield(world.scanner, tmp_path, "scan", SPARED, "-p", str(OPEN))
    assert refused.code == 3
    assert SPARED in refused.error
    assert packets(world.host, "first") > before[0]
    assert (packets(world.host, "spared"), packets(world.host, "asked", "arp")) == before[1:]


def test_without_a_grant_not_one_packet_is_sent(world: World, tmp_path: Path) -> None:
    before = packets(world.host, "first")
    for target in (FIRST, "10.96.2", "0x0a600002", "::ffff:10.96.0.2", "10.96.0.0/24"):
        refused = reconshield(world.scanner, tmp_path, "scan", target, "-p", str(OPEN))
        assert refused.code in {2, 3}, (target, refused.out)
    dry = reconshield(world.scanner, tmp_path, "scan", FIRST, "-p", "-", "--dry-run", "--authorized-by", "test")
    assert dry.code == 0, dry.error
    assert packets(world.host, "first") == before


def test_a_name_in_a_grant(world: World, tmp_path: Path) -> None:
    """Names are resolved when the grant is made; when they lead elsewhere later, the scan is refused."""
    files = Path("/etc/netns") / world.scanner.name  # `ip netns exec` lays these over /etc
    files.mkdir(parents=True)
    try:
        (files / "hosts").write_text(f"{FIRST} {NAME}\n")
        added = reconshield(world.scanner, tmp_path, "grant", "add", NAME, "--by", "test")
        assert added.code == 0, added.error
        answer = reconshield(world.scanner, tmp_path, "scan", NAME, "-p", str(OPEN), "--format", "jsonl")
        assert answer.code == 0, answer.error
        assert [(row["ip"], row["name"], row["service"]) for row in answer.of("service")] == [(FIRST, NAME, "ssh")]
        (files / "hosts").write_text(f"{THIRD} {NAME}\n")
        moved = reconshield(world.scanner, tmp_path, "scan", NAME, "-p", str(OPEN))
        assert moved.code == 3, moved.out
        assert THIRD in moved.error
        assert "grant refresh" in moved.error
    finally:
        shutil.rmtree(files)
        with suppress(OSError):  # somebody else has files there
            files.parent.rmdir()


# ── kills ──


def test_killed_scans_go_on_and_lose_and_repeat_nothing() -> None:
    """Five of the rounds of kill_scan.py, which does a hundred by hand."""
    outcome = list(rounds(5, seed=1))
    assert [wrong for _, wrong in outcome if wrong] == []
    assert sum(len(killed) for killed, _ in outcome) >= 4
