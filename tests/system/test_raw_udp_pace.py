"""Raw UDP's limits, stops and patience, and what its processes may do; in own namespaces."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from system.raw_udp_world import (
    FARM,
    FLOWING,
    NEAR,
    SYSTEM,
    Options,
    Plan,
    World,
    answering,
    counted,
    measure,
    rules,
    scan,
    states,
    targets_of,
    udp,
    world,
)

__all__ = ["world"]

pytestmark = SYSTEM


def test_limits_of_hosts_and_of_the_scan_are_kept(world: World) -> None:
    """400 silent ports of one host at 200 a second to a host: two questions each take four seconds, not less."""
    with rules(world.target, "chain in { type filter hook input priority 0; udp dport 21000-21399 counter drop; }"):
        began = time.monotonic()
        seen = scan(world.scanner, targets_of(NEAR), udp((21_000, 21_399)), Options(engine="raw", per_host=200))
        seconds = time.monotonic() - began
        assert counted(world.target) == [800]
    assert states(seen) == {"open|filtered": 400}
    assert 800 / seconds <= 205


def test_errors_that_flow_and_are_missed_all_the_same(world: World) -> None:
    """Ten errors a second, asked 40 times a second: the first pass looks like a host that gives all its errors. It is not."""
    world.target.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=100")
    try:
        seen = scan(world.scanner, targets_of(NEAR), udp((21_100, 21_159)), Options(engine="raw", per_host=40))
    finally:
        world.target.run("sysctl", "-qw", *FLOWING)
    assert states(seen)["closed"] >= 50
    assert set(states(seen)) <= {"closed", "open|filtered"}


@pytest.mark.parametrize("engine", ["raw", "connect"])
def test_a_silent_network_is_asked_slowly_and_holds_up_no_other(world: World, engine: str) -> None:
    """100 silent addresses of a /24 a second: 256 take a second and a half at least, while a host elsewhere answers at once."""
    ports = list(range(21_000, 21_010))
    live = [(NEAR, port) for port in ports]
    with (
        rules(world.target, f"chain in {{ type filter hook input priority 0; ip daddr {FARM} meta l4proto udp drop; }}"),
        answering(world.target, live, lambda _: b"hello"),
    ):
        began = time.time()
        seen = scan(world.scanner, targets_of(FARM, NEAR), udp((ports[0], ports[-1])), Options(engine=engine, retries=0))
        ended = time.time()
        free = Options(engine=engine, retries=0, per_net=None)
        scan(world.scanner, targets_of(FARM), udp((ports[0], ports[0])), free)
        unlimited = time.time() - ended
    assert states(seen) == {"open": 10, "open|filtered": 2560}
    assert ended - began > 1.5 + 0.9  # and the time-out of the last
    assert max(seen[place].at for place in live) < ended - 1.5
    assert unlimited < ended - began


def test_who_works_has_no_privileges(world: World) -> None:
    """While a scan waits for a silent host, its child process has no capability at all."""
    program = f"""
import sys; sys.path[:0] = {sys.path!r}
from system.raw_udp_world import Options, Plan, measure, targets_of, udp
allowed = targets_of("{NEAR}")
plan = Plan(allowed.addresses, udp((21000, 21001)), 1, 2)
list(measure(plan, allowed, range(plan.blocks), Options(engine="raw")))
"""
    with (
        rules(world.target, "chain in { type filter hook input priority 0; udp dport 21000-21001 drop; }"),
        subprocess.Popen(["ip", "netns", "exec", world.scanner.name, sys.executable, "-c", program]) as scanner,
    ):
        effective = set()
        while scanner.poll() is None:
            for child in children_of(scanner.pid):
                with suppress(OSError):
                    status = Path(f"/proc/{child}/status").read_text(encoding="ascii")
                    effective |= {line.split()[1] for line in status.splitlines() if line.startswith("CapEff")}
            time.sleep(0.01)
        assert scanner.returncode == 0
    assert "0000000000000000" in effective


def children_of(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


def test_without_the_right_it_is_not_possible(world: World) -> None:
    program = f"""
import os, sys; sys.path[:0] = {sys.path!r}
from system.raw_udp_world import Options, Plan, measure, targets_of, udp
allowed = targets_of("{NEAR}")
plan = Plan(allowed.addresses, udp((21000, 21001)), 1, 2)
list(measure(plan, allowed, [], Options(engine="raw")))  # loads what this user may not read
os.setuid(65534)
try:
    list(measure(plan, allowed, range(plan.blocks), Options(engine="raw")))
except PermissionError:
    print("refused")
"""
    assert world.scanner.python(program).strip() == "refused"


def test_a_stop_is_heeded_at_once(world: World) -> None:
    """The plan takes most of a minute at this rate."""
    stop = threading.Event()
    allowed = targets_of(FARM)
    plan = Plan(allowed.addresses, udp((21_000, 21_099)), 1, 500)

    def run() -> float:
        threading.Timer(1.0, stop.set).start()
        list(measure(plan, allowed, range(plan.blocks), Options(engine="raw", rate=500), stop))
        return time.monotonic()

    began = time.monotonic()
    assert world.scanner.inside(run) - began < 20
