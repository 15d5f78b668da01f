"""The world of raw UDP's tests: a scanner, and one kernel that answers for a whole network behind it, in own namespaces."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from reconshield.addresses import PortSet
from reconshield.scan.batch import records
from reconshield.scan.engine import BlockDone, Options, measure
from reconshield.scan.plan import Plan
from reconshield.scope import Targets
from system.netns import Lab, Namespace
from system.raw_world import SYSTEM, Seen, World, counted, rules, targets_of

__all__ = ["SYSTEM", "Options", "Plan", "World", "counted", "measure", "rules", "targets_of"]

FARM, NEAR, OWN = "10.100.8.0/24", "10.100.1.2", "10.100.1.1"
SILENT = "meta l4proto udp udp dport 21000-21009 drop;"
FLOWING = ("net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=1000000", "net.ipv4.icmp_msgs_burst=100000")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A scanner, and one kernel that answers for a whole network behind it."""
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("farm")
        near, far = lab.link(scanner, target, f"{OWN}/24", f"{NEAR}/24", "fd00:100::1/64", "fd00:100::2/64")
        scanner.run("ip", "route", "add", FARM, "via", NEAR)
        scanner.run("ip", "-6", "route", "add", "fd00:108::/112", "via", "fd00:100::2")
        target.run("ip", "route", "add", "local", FARM, "dev", "lo")
        for number in range(32):  # each a real one: for a whole local network, Linux sends IPv6 errors from another address
            target.run("ip", "address", "add", f"fd00:108::{number:x}/128", "dev", "lo", "nodad")
        target.run("sysctl", "-qw", *FLOWING, "net.ipv6.icmp.ratelimit=0")
        yield World(scanner, target, near, far)


@contextmanager
def answering(where: Namespace, endpoints: list[tuple[str, int]], reply: Callable[[bytes], bytes]) -> Iterator[None]:
    """UDP servers that answer everything."""
    socks: list[socket.socket] = []

    def bind() -> None:
        for address, port in endpoints:
            socks.append(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM))
            socks[-1].bind((address, port))

    def serve(sock: socket.socket) -> None:
        with suppress(OSError):
            while True:
                data, sender = sock.recvfrom(65535)
                if data == b"end":
                    return
                sock.sendto(reply(data), sender)

    where.inside(bind)
    threads = [threading.Thread(target=serve, args=(sock,), daemon=True) for sock in socks]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for sock in socks:
            sock.sendto(b"end", sock.getsockname()[:2])
        for thread in threads:
            thread.join(5)
        for sock in socks:
            sock.close()


def scan(where: Namespace, allowed: Targets, ports: PortSet, options: Options | None = None, block_size: int = 700) -> Seen:
    plan = Plan(allowed.addresses, ports, seed=5, block_size=block_size)
    events = where.inside(lambda: list(measure(plan, allowed, range(plan.blocks), options or Options(engine="raw"))))
    seen = [one for event in events if isinstance(event, BlockDone) for one in records(event.batch)]
    assert len(seen) == plan.size
    found = {(one.endpoint.ip, one.endpoint.port): one for one in seen if one.endpoint.transport == "udp"}
    assert len(found) == plan.targets.count * PortSet(udp=ports.udp).count
    return found


def udp(*ranges: tuple[int, int]) -> PortSet:
    return PortSet(udp=ranges)


def states(seen: Seen) -> Counter[str]:
    return Counter(one.state.label for one in seen.values())
