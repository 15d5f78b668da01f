"""The raw engine against real kernels' answers, in own namespaces, beside `nmap -sS` on the same ports."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import fromstring

import pytest

from reconshield.addresses import AddressSet, PortSet, parse_ports, parse_target
from reconshield.errors import PartialResult
from reconshield.model import Observation
from reconshield.scan import raw
from reconshield.scan.batch import records
from reconshield.scan.crew import BlockDone
from reconshield.scan.effort import Options, Progress
from reconshield.scan.plan import Plan
from reconshield.scope import Grant, GrantTarget, Request, Targets, authorise
from system.netns import Lab, Namespace, can_make_namespaces
from system.scanning import reconshield
from system.test_connect import RULES

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

OWN, V4, V6, NOBODY = "10.91.8.1", "10.91.8.2", "fd91:8::2", "10.91.8.77"
FARM, SHORE = "10.92.0.0/22", "10.93.0.0/24"
"""A network behind the target for whose every address it answers, and one behind it of which it knows no way."""
OPEN = (22, 80, 8080)

ANSWERS = {
    80: ("open", "syn-ack"),
    81: ("closed", "reset"),
    1000: ("filtered", "no-response"),
    1100: ("closed", "reset"),
    1200: ("unreachable", "net-unreach"),
    1201: ("unreachable", "host-unreach"),
    1202: ("filtered", "proto-unreach"),
    1203: ("filtered", "port-unreach"),
    1204: ("filtered", "net-prohibited"),
    1205: ("filtered", "host-prohibited"),
    1206: ("filtered", "admin-prohibited"),
}
ANSWERS_V6 = {
    80: ("open", "syn-ack"),
    81: ("closed", "reset"),
    1000: ("filtered", "no-response"),
    1100: ("closed", "reset"),
    1200: ("unreachable", "no-route"),
    1201: ("unreachable", "host-unreach"),
    1203: ("filtered", "port-unreach"),
    1205: ("filtered", "admin-prohibited"),
    1206: ("filtered", "admin-prohibited"),
}
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
    words = where.run("nft", "list", "ruleset").split()
    return [int(words[at + 1]) for at, word in enumerate(words) if word == "packets"]


def nmap(where: Namespace, address: str, ports: PortSet) -> dict[int, str]:
    six = ("-6",) if ":" in address else ()
    out = where.run("nmap", "-sS", "-n", "-Pn", "-T4", "-v", "-p", ports.text(), "-oX", "-", *six, address)
    tree = fromstring(out[out.index("<nmaprun") :])
    states: dict[int, str] = {}
    for group in tree.iter("extraports"):
        for reason in group.iter("extrareasons"):
            for first, last in parse_ports(reason.attrib["ports"]).ports.tcp:
                states |= dict.fromkeys(range(first, last + 1), group.attrib["state"])
    for one in tree.iter("port"):
        state = one.find("state")
        assert state is not None
        states[int(one.attrib["portid"])] = state.attrib["state"]
    return states


@pytest.mark.parametrize(("address", "answers"), [(V4, ANSWERS), (V6, ANSWERS_V6)], ids=["ipv4", "ipv6"])
def test_every_answer_has_its_state_and_reason(world: World, address: str, answers: dict[int, tuple[str, str]]) -> None:
    with rules(world.target, RULES):
        seen = scan(world.scanner, targets_of(address), *((port, port) for port in answers))
    assert told(seen) == answers
    for one in seen.values():
        assert (one.rtt_ms is not None, one.ttl) == ((False, None) if one.reason.label == "no-response" else (True, 64))


ICMPX = ("port-unreachable", "admin-prohibited", "no-route", "host-unreachable")


def random_rules(rng: random.Random) -> str:
    """A firewall that treats some ports in every way that a firewall can."""
    ways = [
        "drop",
        "reject with tcp reset",
        *(
            f"reject with icmpx type {kind}"
            for kind in ("port-unreachable", "admin-prohibited", "no-route", "host-unreachable")
        ),
        "accept",
    ]
    lines = [
        f"tcp dport {{ {', '.join(str(p) for p in rng.sample(range(1, 2000), 40))} }} {rng.choice(ways)}" for _ in range(8)
    ]
    return "chain in { type filter hook input priority 0;\n" + "\n".join(lines) + "\n}"


@pytest.mark.skipif(not shutil.which("nmap"), reason="needs nmap")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("address", [V4, V6])
def test_same_states_as_nmap_behind_random_firewalls(world: World, address: str, seed: int) -> None:
    rng = random.Random(seed)
    ports = PortSet(tcp=tuple((port, port) for port in sorted({*rng.sample(range(1, 2000), 500), *OPEN})))
    with rules(world.target, random_rules(rng)):
        seen, _ = measure(world.scanner, targets_of(address), ports)
        theirs = nmap(world.scanner, address, ports)
    # nmap has no word for unreachable
    ours = {port: one.state.label.replace("unreachable", "filtered") for (_, port), one in seen.items()}
    assert ours == theirs


def test_two_families_many_hosts_own_addresses_and_nobody_in_one_plan(world: World) -> None:
    allowed = targets_of(V4, V6, NOBODY, OWN, "fd91:8::1", FARM, "10.250.0.1")
    seen = scan(world.scanner, allowed, (79, 81))
    for (address, port), one in seen.items():
        if address == NOBODY:
            assert one.reason.label == "no-neighbour"
        elif address == "10.250.0.1":
            assert one.reason.label == "net-unreach"
        else:
            listens = port == 80 and address not in {OWN, "fd91:8::1"}
            assert one.reason.label == ("syn-ack" if listens else "reset"), (address, port)


def test_loopback(world: World) -> None:
    seen = scan(world.target, targets_of("127.0.0.1", "127.1.2.3", "::1"), (79, 81))
    opened = {place for place, one in seen.items() if one.state.label == "open"}
    assert opened == {("127.0.0.1", 80), ("127.1.2.3", 80)}
    assert Counter(one.reason.label for one in seen.values()) == {"syn-ack": 2, "reset": 7}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("unreachable", ("unreachable", "host-unreach")),
        ("prohibit", ("filtered", "admin-prohibited")),
        ("blackhole", ("unreachable", "no-route")),
    ],
)
def test_own_routes_that_lead_nowhere(world: World, kind: str, answer: tuple[str, str]) -> None:
    world.scanner.run("ip", "route", "add", kind, "10.250.9.0/24")
    seen = scan(world.scanner, targets_of("10.250.9.1"), (80, 80))
    world.scanner.run("ip", "route", "del", kind, "10.250.9.0/24")
    assert told(seen) == {80: answer}


def test_a_router_that_knows_no_way(world: World) -> None:
    seen = scan(world.scanner, targets_of("10.93.0.1-3"), (80, 81))
    assert {(one.state.label, one.reason.label) for one in seen.values()} == {("unreachable", "net-unreach")}


def test_a_hop(world: World) -> None:
    """Scanner, router, host: TTL tells the hop; of an address that nobody has the router says so."""
    with Lab() as lab:
        scanner, router, host = lab.namespace("scan"), lab.namespace("router"), lab.namespace("host")
        lab.link(scanner, router, "10.94.1.1/24", "10.94.1.2/24")
        lab.link(router, host, "10.94.2.1/24", "10.94.2.2/24")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        scanner.run("ip", "route", "add", "10.94.2.0/24", "via", "10.94.1.2")
        host.run("ip", "route", "add", "10.94.1.0/24", "via", "10.94.2.1")
        with host.listeners([("10.94.2.2", 80)]):
            seen = scan(scanner, targets_of("10.94.2.2", "10.94.1.2"), (80, 81))
            nobody, _ = measure(scanner, targets_of("10.94.2.3"), PortSet(tcp=((80, 80),)), Options(retries=3))
    assert {place: (one.reason.label, one.ttl) for place, one in seen.items()} == {
        ("10.94.1.2", 80): ("reset", 64),
        ("10.94.1.2", 81): ("reset", 64),
        ("10.94.2.2", 80): ("syn-ack", 63),
        ("10.94.2.2", 81): ("reset", 63),
    }
    assert told(nobody) == {80: ("unreachable", "host-unreach")}


def test_a_vlan() -> None:
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        ends = lab.link(scanner, target)
        try:
            for where, end, address in ((scanner, ends[0], "10.94.1.1/24"), (target, ends[1], "10.94.1.2/24")):
                where.run("ip", "link", "add", "link", end, "name", "tag", "type", "vlan", "id", "7")
                where.run("ip", "address", "add", address, "dev", "tag")
                where.run("ip", "link", "set", "tag", "up")
        except RuntimeError:
            pytest.skip("this kernel makes no VLAN devices")
        with target.listeners([("10.94.1.2", 80)]):
            seen = scan(scanner, targets_of("10.94.1.2"), (80, 81))
    assert told(seen) == {80: ("open", "syn-ack"), 81: ("closed", "reset")}


TAGGING = """
import socket, struct, sys
sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
sock.bind((sys.argv[1], 3))
print("up", flush=True)
while True:
    frame, (_, _, kind, *_) = sock.recvfrom(2000)
    packet = frame[14:]
    if kind != 0 or frame[12:14] != b"\\x08\\0" or packet[9] != 6 or packet[33] != 2:
        continue
    source, port, sequence = struct.unpack("!HHI", packet[20:28])
    tcp = struct.pack("!HHIIBBHHH", port, source, 1, sequence + 1 & 0xFFFFFFFF, 0x50, 0x12, 100, 0, 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 61, 6, 0) + packet[16:20] + packet[12:16]
    # Port 90 answers with a priority tag (VLAN 0), any other in VLAN 7
    tag = 0xA000 if port == 90 else 7
    sock.send(frame[6:12] + frame[:6] + struct.pack("!HHH", 0x8100, tag, 0x0800) + head + tcp)
"""


def test_answers_with_a_tag(world: World) -> None:
    """A tag that is a priority alone changes nothing; an answer out of another VLAN is none."""
    command = ["ip", "netns", "exec", world.target.name, sys.executable, "-c", TAGGING, world.far]
    silent = "chain in { type filter hook input priority 0; tcp dport 90-91 drop; }"
    with rules(world.target, silent), subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        seen = scan(world.scanner, targets_of(V4), (90, 91))
        program.terminate()
    assert told(seen) == {90: ("open", "syn-ack"), 91: ("filtered", "no-response")}


TUN = """
import fcntl, os, struct, subprocess, sys
end = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(end, 0x400454CA, struct.pack("16sH22x", b"tun0", 0x1001))
for words in ("address add 10.95.0.1/24 dev tun0", "link set tun0 up"):
    subprocess.run(["ip", *words.split()], check=True)
print("up", flush=True)
def total(data):
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return ~words & 0xFFFF
while True:
    packet = os.read(end, 2000)
    if packet[0] != 0x45 or packet[9] != 6 or packet[33] != 2:
        continue
    source, port, sequence = struct.unpack("!HHI", packet[20:28])
    flags = 0x12 if port == 80 else 0x14
    tcp = struct.pack("!HHIIBBHHH", port, source, 1, sequence + 1 & 0xFFFFFFFF, 0x50, flags, 100, 0, 0)
    ends = packet[16:20] + packet[12:16]
    tcp = tcp[:16] + struct.pack("!H", total(ends + struct.pack("!HH", 6, 20) + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 61, 6, 0) + ends
    os.write(end, head[:10] + struct.pack("!H", total(head)) + head[12:] + tcp)
"""


def test_a_device_without_a_link_header() -> None:
    """A program at the other end of a tun device answers for 10.95.0.0/24."""
    with Lab() as lab:
        scanner = lab.namespace("tun")
        command = ["ip", "netns", "exec", scanner.name, sys.executable, "-c", TUN]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "up\n"
            seen = scan(scanner, targets_of("10.95.0.2-9"), (79, 81))
            program.terminate()
    assert Counter((one.reason.label, one.ttl) for one in seen.values()) == {("syn-ack", 61): 8, ("reset", 61): 16}


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
    assert last.slowed is not None
    assert "replies are lost" in last.slowed


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
    """The plan takes ten seconds at this rate."""
    allowed = targets_of(V4)
    plan = Plan(allowed.addresses, PortSet(tcp=((2000, 2999),)), seed=3, block_size=10)
    stop = threading.Event()

    def work() -> tuple[float, int]:
        done = 0
        for event in raw.measure(plan, allowed, range(plan.blocks), Options(rate=100), stop):
            done += isinstance(event, BlockDone)
            if done == 2 and not stop.is_set():
                stop.set()
                began = time.perf_counter()
        return time.perf_counter() - began, done

    seconds, done = world.scanner.inside(work)
    assert seconds < 5
    assert 2 <= done < plan.blocks


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
from system.test_raw import BlockDone, Options, PortSet, raw, targets_of
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
