"""The doctor beside real rules that fake answers, in own namespaces: on this machine and on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from system import scanning
from system.netns import Lab, Namespace, can_make_namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

SERVER = "10.97.2.2"
MAIL_PROXY = """
table ip mail {
  chain out { type nat hook output priority -100; tcp dport { 25, 110, 143 } redirect to :10025; }
}
"""
WEB_PROXY = """
table ip web {
  chain pre { type nat hook prerouting priority -100; tcp dport 80 redirect to :3128; }
}
"""


class World(NamedTuple):
    here: Namespace
    router: Namespace


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Us, a router, and a server with 443 open."""
    with Lab() as lab:
        here, router, server = lab.namespace("here"), lab.namespace("router"), lab.namespace("server")
        lab.link(here, router, "10.97.1.1/24", "10.97.1.2/24")
        lab.link(router, server, "10.97.2.1/24", f"{SERVER}/24")
        here.run("ip", "route", "add", "10.97.2.0/24", "via", "10.97.1.2")
        server.run("ip", "route", "add", "10.97.1.0/24", "via", "10.97.2.1")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        with (
            server.listeners([(SERVER, 443)]),
            here.listeners([("127.0.0.1", 10025)]),
            router.listeners([("10.97.1.2", 3128)]),
        ):
            yield World(here, router)


def path_and_rules(world: World, home: Path) -> tuple[scanning.Row, scanning.Row, int]:
    controls = ("--control", f"{SERVER}:443", "--control-closed", f"{SERVER}:25,80,110")
    answer = scanning.reconshield(world.here, home, "doctor", "--json", "--authorized-by", "test", *controls)
    named = {row["name"]: row for row in answer.of("diagnosis")}
    return named["path"], named["local rules"], answer.code


def test_an_honest_path(world: World, tmp_path: Path) -> None:
    path, rules, _ = path_and_rules(world, tmp_path)
    assert (path["state"], rules["state"]) == ("ok", "ok")
    assert path["what"] == "4 controls as expected, open and closed"


def test_a_mail_proxy_on_this_machine(world: World, tmp_path: Path) -> None:
    world.here.firewall(MAIL_PROXY)
    try:
        path, rules, code = path_and_rules(world, tmp_path)
    finally:
        world.here.run("nft", "flush", "ruleset")
    assert code == 1
    assert (path["state"], rules["state"]) == ("bad", "bad")
    assert "ip mail out: tcp 25, 110, 143 redirect to port 10025" in rules["what"]
    assert f"{SERVER}:25/tcp, {SERVER}:110/tcp should be closed and looks open" in path["what"]


def test_a_web_proxy_on_the_way(world: World, tmp_path: Path) -> None:
    world.router.firewall(WEB_PROXY)
    try:
        path, rules, code = path_and_rules(world, tmp_path)
    finally:
        world.router.run("nft", "flush", "ruleset")
    assert code == 1
    assert rules["state"] == "ok"
    assert (path["state"], f"{SERVER}:80/tcp should be closed" in path["what"]) == ("bad", True)


def test_raw_sending_works_for_root_in_a_namespace(world: World, tmp_path: Path) -> None:
    answer = scanning.reconshield(world.here, tmp_path, "doctor", "--json")
    assert {row["name"]: row["state"] for row in answer.of("diagnosis")}["raw sending"] == "ok"
