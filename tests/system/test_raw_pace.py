"""The raw engine under loss, limits, floods and stops, and what its processes may do and hold; in own namespaces."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from reconshield.addresses import PortSet
from reconshield.errors import PartialResult
from reconshield.scan import raw
from reconshield.scan.batch import records
from reconshield.scan.crew import BlockDone
from reconshield.scan.effort import Options
from reconshield.scan.plan import Plan
from system.netns import Lab
from system.raw_world import (
    FARM,
    NOBODY,
    OPEN,
    OWN,
    SYSTEM,
    V4,
    World,
    counted,
    measure,
    rules,
    scan,
    targets_of,
    told,
    world,
)
from system.scanning import reconshield

__all__ = ["world"]

pytestmark = SYSTEM


@pytest.mark.quiet
def test_loss_is_measured_and_made_good(world: World) -> None:
    """One packet in fifty is lost each way: every open endpoint is still found, and the loss is told."""
    losing = "numgen random mod 100 < 2 drop;"
    with rules(
        world.target,
        f"chain pre {{ type filter hook prerouting priority -300; ip daddr {FARM} tcp flags syn {losing} }}\n"
        f"chain post {{ type filter hook postrouting priority 300; ip saddr {FARM} {losing} }}",
    ):
        seen, last = measure(world.scanner, targets_of(FARM, own=True), PortSet(tcp=((75, 84),)), Options(rate=20_000))
    missed = [place for place, one in seen.items() if one.reason.label != ("syn-ack" if place[1] == 80 else "reset")]
    assert len(missed) <= 3  # 10,240 endpoints, each asked at least three times: 0.04^3 of them are 0.7
    assert last.loss is not None
    assert 0.02 < last.loss < 0.07
    assert last.retransmitted > 200


@pytest.mark.quiet
def test_a_policer_slows_it_down_and_loses_nothing(world: World) -> None:
    """2,000 packets a second pass, without a word; the rate is found, and every endpoint too."""
    policer = f"ip daddr {FARM} tcp flags syn limit rate over 2000/second burst 500 packets drop;"
    with rules(world.target, f"chain pre {{ type filter hook prerouting priority -300; {policer} }}"):
        seen, last = measure(world.scanner, targets_of(FARM, own=True), PortSet(tcp=((75, 84),)), Options(rate=20_000))
    assert sum(one.state.label in {"open", "closed"} for one in seen.values()) >= 0.999 * len(seen)
    assert last.rate < 2000 or "replies are lost" in (last.slowed or "")  # a busy machine does not come up to the limit


def test_half_open_connections_are_ended_by_us_where_our_kernel_may_not(world: World) -> None:
    """The own firewall drops the kernel's RST. The target repeats its SYN-ACK after a second, and gets an RST of ours."""
    counting = "chain in { type filter hook input priority 0; tcp flags & rst == rst tcp dport 80 counter; }"
    with (
        rules(world.target, counting),
        rules(world.scanner, "chain out { type filter hook output priority 0; tcp flags & rst == rst drop; }"),
    ):
        # Port 81 of an address that nobody has keeps the scan alive for the three seconds of the neighbour search.
        seen = scan(world.scanner, targets_of(V4, NOBODY), (80, 80))
        assert seen[V4, 80].state.label == "open"
        assert counted(world.target)[0] >= 1


FLOOD = """
import socket, struct, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
end, port = time.monotonic() + 6, 61000
while time.monotonic() < end:
    for port in range(61000, 65536, 3):
        for flags in (0x12, 0x14):
            sock.sendto(struct.pack("!HHIIBBHHH", 81, port, 1, port, 0x50, flags, 100, 0, 0), (sys.argv[1], 0))
"""


def test_a_flood_of_forged_answers_changes_nothing(world: World) -> None:
    flood = ["ip", "netns", "exec", world.target.name, sys.executable, "-c", FLOOD, OWN]
    with (
        rules(world.target, "chain in { type filter hook input priority 0; tcp dport 81 drop; }"),
        subprocess.Popen(flood) as other,
    ):
        time.sleep(0.5)
        seen = scan(world.scanner, targets_of(V4), (80, 82))
        other.terminate()
    assert told(seen) == {80: ("open", "syn-ack"), 81: ("filtered", "no-response"), 82: ("closed", "reset")}


def test_limits_hold(world: World) -> None:
    """The target counts what arrives: 600 ports of one host at 400 a second, no more than one packet for each."""
    counting = "chain in { type filter hook input priority 0; tcp flags & (syn | ack) == syn counter; }"
    with rules(world.target, counting):
        began = time.perf_counter()
        measure(world.scanner, targets_of(V4), PortSet(tcp=((2000, 2599),)), Options(per_host=400))
        seconds = time.perf_counter() - began
        assert 600 <= counted(world.target)[0] <= 660  # and at most one in twenty again, as a control
    assert seconds > 1.3


@pytest.mark.parametrize(
    ("rule", "state", "time_out"), [("drop", "filtered", 1.2), ("reject with icmp type host-unreachable", "unreachable", 0.1)]
)
def test_a_silent_network_is_asked_slowly(world: World, rule: str, state: str, time_out: float) -> None:
    """100 addresses of a /24 a second at most while none answers: 256 of them take a second and a half at least.

    That nobody is there is no answer: who says so has looked for the address in vain, which is what the limit is for.
    """
    with rules(world.target, f"chain in {{ type filter hook input priority 0; ip daddr 10.92.1.0/24 {rule}; }}"):
        began = time.perf_counter()
        seen, _ = measure(world.scanner, targets_of("10.92.1.0/24"), PortSet(tcp=((80, 80),)), Options(retries=0))
        seconds = time.perf_counter() - began
    assert state in {one.state.label for one in seen.values()} <= {state, "filtered"}
    assert seconds > 1.5 + time_out  # of the last


def test_shards_share_the_work(world: World) -> None:
    allowed = targets_of(V4)
    plan = Plan(allowed.addresses, PortSet(tcp=((1, 2000),)), seed=3, block_size=100)

    def work() -> list[BlockDone]:
        parts = (raw.measure(plan, allowed, plan.shard(index, 3), Options(per_host=None)) for index in range(3))
        return [event for part in parts for event in part if isinstance(event, BlockDone)]

    done = world.scanner.inside(work)
    assert sorted(event.number for event in done) == list(range(20))
    opened = {one.endpoint.port for event in done for one in records(event.batch) if one.state.label == "open"}
    assert opened == {port for port in OPEN if port <= 2000}


def test_stop_does_not_wait_for_the_rest(world: World) -> None:
    """The plan takes 100 s at this rate."""
    allowed = targets_of(V4)
    plan = Plan(allowed.addresses, PortSet(tcp=((2000, 2999),)), seed=3, block_size=10)
    stop = threading.Event()

    def work() -> tuple[float, int]:
        done = 0
        for event in raw.measure(plan, allowed, range(plan.blocks), Options(rate=10), stop):
            done += isinstance(event, BlockDone)
            if done == 2 and not stop.is_set():
                stop.set()
                began = time.perf_counter()
        return time.perf_counter() - began, done

    seconds, done = world.scanner.inside(work)
    assert seconds < 50
    assert 2 <= done < plan.blocks / 2


RESTS = """
import sys
sys.path.insert(0, sys.argv[1])
from reconshield.scan.raw_lane import RawLane
from system.raw_world import V4, Options, Plan, PortSet, raw, targets_of
rest = RawLane._rest
def seen(self, *words):
    print(len(self._flights))
    rest(self, *words)
RawLane._rest = seen
allowed = targets_of(V4)
plan = Plan(allowed.addresses, PortSet(tcp=((1, 100),)), seed=3, block_size=50)
list(raw.measure(plan, allowed, range(plan.blocks), Options(per_host=None)))
"""


def test_nothing_is_waited_for_when_all_is_known(world: World) -> None:
    """It would be the tenth of a second after which a stop is noticed, at the end of each scan."""
    under_way = world.scanner.python(RESTS, str(Path(__file__).parents[1])).split()
    assert under_way
    assert "0" not in under_way


def test_a_device_that_goes_down_is_a_partial_result() -> None:
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        end, _ = lab.link(scanner, target, "10.96.0.1/24", "10.96.0.2/24")
        allowed = targets_of("10.96.0.2")
        plan = Plan(allowed.addresses, PortSet(tcp=((1, 5000),)), seed=3, block_size=100)

        def work() -> None:
            for event in raw.measure(plan, allowed, range(plan.blocks), Options(rate=1000)):
                if isinstance(event, BlockDone):
                    scanner.run("ip", "link", "set", end, "down")

        with pytest.raises(PartialResult, match="cannot be sent any more"):
            scanner.inside(work)


def test_who_reads_packets_has_no_privileges(world: World, tmp_path: Path) -> None:
    """While a scan waits for silent ports, its child process has no capability at all."""
    command = ["ip", "netns", "exec", world.scanner.name, sys.executable, "-m", "reconshield", "--home", str(tmp_path), "scan"]
    with (
        rules(world.target, "chain in { type filter hook input priority 0; tcp dport 2000-2009 drop; }"),
        subprocess.Popen(
            [*command, V4, "-p", "2000-2009", "--authorized-by", "t", "--level", "2", "--retries", "4"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as scanner,
    ):
        found = wait_for_child(scanner.pid)
        scanner.wait(300)
    assert found == {"CapEff": 0, "CapPrm": 0, "CapInh": 0, "CapAmb": 0, "NoNewPrivs": 1}


def wait_for_child(parent: int) -> dict[str, int]:
    """What the kernel says of the privileges of a process's child, once it has given them up."""
    names = ("CapEff", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs")
    found: dict[str, int] = {}
    for _ in range(3000):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            rows = [line.split(":\t") for line in Path(f"/proc/{child}/status").read_text().splitlines()]
            found = {name: int(value, 16) for name, value in (row for row in rows if len(row) == 2) if name in names}
            if found.get("NoNewPrivs") and not found["CapEff"]:
                return found
        time.sleep(0.02)
    return found


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
def test_without_the_privilege_connections_are_made_and_it_is_said(world: World, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "reconshield", "--home", str(tmp_path), "scan", V4, "-p", "79-81", "--authorized-by", "t"]
    done = subprocess.run(
        ["ip", "netns", "exec", world.scanner.name, "setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "CAP_NET_RAW" in done.stderr
    assert "· connect ·" in done.stdout


def test_the_command_chooses_raw_and_says_what_it_knows(world: World, tmp_path: Path) -> None:
    answer = reconshield(
        world.scanner, tmp_path, "scan", V4, "-p", "1-1000", "--authorized-by", "t", "--level", "2", "--format", "jsonl"
    )
    [run] = answer.of("run")
    assert run["engine"] == "raw"
    assert answer.summary["open"] == 2
    assert answer.summary["loss"] == 0
    low, high = answer.summary["recall_estimate"]
    assert 0.999 < low <= high == 1
    assert answer.summary["rates"]


@pytest.mark.quiet
def test_memory_stays_flat_in_a_slash_8() -> None:
    """16.7 million addresses, none of which answers, at full speed for some seconds: both processes together under 300 MB."""
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("sink")
        _, far = lab.link(scanner, target, "192.168.8.1/24", "192.168.8.2/24")
        scanner.run("ip", "route", "add", "10.0.0.0/8", "via", "192.168.8.2")
        hook = f'type filter hook ingress device "{far}" priority 0;'
        target.firewall(f"table netdev sink {{ chain in {{ {hook} ip daddr 10.0.0.0/8 drop; }}; }}")
        out = scanner.python(SLASH_8, str(Path(__file__).parents[1]))
    blocks, most = map(int, out.split())
    assert blocks > 1
    assert most < 300_000


SLASH_8 = """
import os, sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from reconshield.scan.engine import engine_rate
from reconshield.scan.plan import make_plan
from system.raw_world import BlockDone, Options, PortSet, raw, targets_of
allowed, stop, began, blocks, most = targets_of("10.0.0.0/8"), threading.Event(), time.monotonic(), 0, 0
ports = PortSet(tcp=((80, 80),))
plan = make_plan(allowed.addresses, ports, rate=engine_rate(ports, "raw"))
def peak(process):
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "VmHWM" in line)  # one that has ended has none
for event in raw.measure(plan, allowed, range(plan.blocks), Options(per_host=None, per_net=None, retries=0), stop):
    blocks += isinstance(event, BlockDone)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    most = max([most, *(peak(os.getpid()) + peak(child) for child in children)])
    if time.monotonic() > began + 6 and blocks > 1:
        stop.set()
print(blocks, most)
"""
