"""The world of the raw engine's tests: a scanner, a target with a firewall, and what a scan saw, in own namespaces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.model import Observation
from reconshield.scan import raw
from reconshield.scan.batch import records
from reconshield.scan.crew import BlockDone
from reconshield.scan.effort import Options, Progress
from reconshield.scan.plan import Plan
from reconshield.scope import Grant, GrantTarget, Request, Targets, authorise
from system.netns import Lab, Namespace, can_make_namespaces

SYSTEM = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

OWN, V4, V6, NOBODY = "10.91.8.1", "10.91.8.2", "fd91:8::2", "10.91.8.77"
FARM, SHORE = "10.92.0.0/22", "10.93.0.0/24"
"""A network behind the target for whose every address it answers, and one behind it of which it knows no way."""
OPEN = (22, 80, 8080)
Seen = dict[tuple[str, int], Observation]


class World(NamedTuple):
    scanner: Namespace
    target: Namespace
    near: str
    far: str


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A scanner and a target with a firewall, joined by a cable; the target answers for a network too."""
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        near, far = lab.link(scanner, target, f"{OWN}/24", f"{V4}/24", "fd91:8::1/64", f"{V6}/64")
        for network in (FARM, SHORE):
            scanner.run("ip", "route", "add", network, "via", V4)
        target.run("ip", "route", "add", "local", FARM, "dev", "lo")
        target.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0")
        target.run(
            "sysctl", "-qw", "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv4.icmp_msgs_burst=10000", "net.ipv6.icmp.ratelimit=0"
        )
        with target.listeners([(address, port) for address in ("0.0.0.0", V6) for port in OPEN]):
            yield World(scanner, target, near, far)


@contextmanager
def rules(where: Namespace, text: str) -> Iterator[None]:
    where.firewall(text if text.lstrip().startswith("table") else f"table inet test {{\n{text}\n}}")
    try:
        yield
    finally:
        where.run("nft", "flush", "ruleset")


def targets_of(*texts: str, own: bool = False) -> Targets:
    """Granted targets; `own` ones count as this machine's, so no limit of a host holds."""
    asked = tuple(parse_target(text) for text in texts)
    area = AddressSet()
    for one in asked:
        area |= one.addresses or AddressSet()
    grant = Grant("g1", "tests", (GrantTarget("all", area),), (), 3, 0.0, 2e9)
    made = authorise(Request(asked), [grant], area if own else AddressSet(), {}, 1.0)
    assert isinstance(made, Targets)
    return made


def measure(where: Namespace, allowed: Targets, ports: PortSet, options: Options | None = None) -> tuple[Seen, Progress]:
    """Every pair with what was seen of it, each block once; and the last report."""
    plan = Plan(allowed.addresses, ports, seed=11, block_size=700)
    events = where.inside(lambda: list(raw.measure(plan, allowed, range(plan.blocks), options or Options(per_host=None))))
    done = [event for event in events if isinstance(event, BlockDone)]
    assert sorted(event.number for event in done) == list(range(plan.blocks))
    seen = {(one.endpoint.ip, one.endpoint.port): one for event in done for one in records(event.batch)}
    assert len(seen) == plan.size
    return seen, [event for event in events if isinstance(event, Progress)][-1]


def scan(where: Namespace, allowed: Targets, *ports: tuple[int, int]) -> Seen:
    return measure(where, allowed, PortSet(tcp=ports))[0]


def told(seen: Seen) -> dict[int, tuple[str, str]]:
    return {port: (one.state.label, one.reason.label) for (_, port), one in seen.items()}


def counted(where: Namespace) -> list[int]:
    """The counters of the rules that are loaded."""
    told = json.loads(where.run("nft", "-j", "list", "ruleset"))["nftables"]
    expressions = [part for row in told if "rule" in row for part in row["rule"]["expr"]]
    return [part["counter"]["packets"] for part in expressions if "counter" in part]
