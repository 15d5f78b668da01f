"""Hosts and paths that make ports look open, in own namespaces: what is believed of them, and what the report says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from system import scanning
from system.listeners import listening
from system.netns import Lab, Namespace, can_make_namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

HOST, PLAIN = "10.98.2.2", "10.98.3.2"
PORTS = "1-400,6379"
SYN_PROXY = """
table inet proxy {
  chain pre { type filter hook prerouting priority -300; iif != "lo" ip daddr 10.98.2.2 tcp flags syn notrack; }
  chain forward {
    type filter hook forward priority 0;
    ip daddr 10.98.2.2 ct state { invalid, untracked } synproxy mss 1460 wscale 7 timestamp sack-perm
    ct state invalid drop
  }
}
"""
TARPIT = """
table ip tarpit {
  chain pre { type nat hook prerouting priority -100; ip daddr 10.98.2.2 tcp dport != 6379 redirect to :9; }
}
"""
MAIL_FILTER = """
table ip filter_mail {
  chain pre { type nat hook prerouting priority -100; tcp dport 25 redirect to :10025; }
}
"""


class World(NamedTuple):
    here: Namespace
    router: Namespace
    server: Namespace


def talk_redis(made: socket.socket) -> None:
    while data := made.recv(4096):
        made.sendall(b"+PONG\r\n" if b"PING" in data else b"-ERR unknown command\r\n")


def talk_mail(made: socket.socket) -> None:
    made.sendall(b"220 filter.invalid ESMTP\r\n")
    while data := made.recv(4096):
        made.sendall(b"250 filter.invalid\r\n" if data[:4].upper() in {b"EHLO", b"HELO"} else b"221 bye\r\n")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Us, a router, and behind it a host with one real service, and a network of 40 addresses without any."""
    with Lab() as lab, ExitStack() as stack:
        here, router, server = lab.namespace("here"), lab.namespace("router"), lab.namespace("server")
        lab.link(here, router, "10.98.1.1/24", "10.98.1.2/24")
        _, end = lab.link(router, server, "10.98.2.1/24", f"{HOST}/24")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        router.run("ip", "route", "add", "10.98.3.0/24", "via", HOST)
        here.run("ip", "route", "add", "default", "via", "10.98.1.2")
        server.run("ip", "route", "add", "default", "via", "10.98.2.1")
        for number in range(40):
            server.run("ip", "address", "add", f"10.98.3.{number + 1}/32", "dev", end)
        stack.enter_context(listening(server, HOST, 6379, talk_redis))
        yield World(here, router, server)


def scan(world: World, home: Path, target: str, ports: str, *more: str) -> scanning.Answer:
    return scanning.scan(world.here, home, target, "-p", ports, "--engine", "connect", *more)


def test_an_honest_host_is_not_doubted(world: World, tmp_path: Path) -> None:
    answer = scan(world, tmp_path, HOST, PORTS)
    assert answer.of("doubt") == []
    assert {row["port"] for row in answer.of("service")} == {6379}


def test_a_syn_proxy_answers_for_all_and_only_what_holds_is_believed(world: World, tmp_path: Path) -> None:
    world.router.run("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0", "net.ipv4.tcp_timestamps=1")
    world.router.firewall(SYN_PROXY)
    try:
        answer = scan(world, tmp_path, HOST, PORTS)
    finally:
        world.router.run("nft", "flush", "ruleset")
    assert answer.summary["open"] == 401  # what was measured stays what it is
    assert {(row["port"], row["service"], row["confidence"]) for row in answer.of("service")} == {(6379, "redis", "confirmed")}
    [doubt] = answer.of("doubt")
    assert (doubt["ip"], doubt["port"], doubt["measured"], doubt["open"], doubt["confirmed"]) == (HOST, None, 401, 401, 1)
    report = " ".join(scanning.reconshield(world.here, tmp_path, "report", "latest").out.split())
    assert f"! doubtful {HOST}: 401 of 401 TCP ports look open, 1 confirmed, the others not believed" in report
    assert "redis" in report
    assert "399 more" not in report


def test_a_tarpit_holds_every_connection_and_only_a_protocol_counts(world: World, tmp_path: Path) -> None:
    with listening(world.server, HOST, 9):
        world.server.firewall(TARPIT)
        try:
            answer = scan(world, tmp_path, HOST, PORTS)
        finally:
            world.server.run("nft", "flush", "ruleset")
    assert {(row["port"], row["service"]) for row in answer.of("service")} == {(6379, "redis")}
    [doubt] = answer.of("doubt")
    assert (doubt["open"], doubt["confirmed"]) == (401, 1)
    assert answer.code == 0


def test_a_tarpit_at_the_level_of_a_port_scan(world: World, tmp_path: Path) -> None:
    with listening(world.server, HOST, 9):
        world.server.firewall(TARPIT)
        try:
            answer = scan(world, tmp_path, HOST, PORTS, "--level", "2")
        finally:
            world.server.run("nft", "flush", "ruleset")
    [doubt] = answer.of("doubt")
    assert doubt["open"] == 401
    assert doubt["confirmed"] < 100


def test_a_mail_filter_on_the_way_gives_the_same_answer_for_every_address(world: World, tmp_path: Path) -> None:
    with listening(world.router, "10.98.1.2", 10025, talk_mail):
        world.router.firewall(MAIL_FILTER)
        try:
            answer = scan(world, tmp_path, "10.98.3.1-40", "24-26")
        finally:
            world.router.run("nft", "flush", "ruleset")
    [doubt] = answer.of("doubt")
    assert (doubt["ip"], doubt["port"], doubt["measured"], doubt["open"]) == (None, 25, 40, 40)
    assert "the same answer from all of them" in doubt["because"]
