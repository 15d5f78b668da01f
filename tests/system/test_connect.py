"""The connect engine against a real kernel's answers, in own namespaces, beside `nmap -sT` on the same ports."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import fromstring

import numpy as np
import pytest

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.model import Observation, State
from reconshield.scan.batch import records
from reconshield.scan.connect import BlockDone, Options, Progress, measure
from reconshield.scan.plan import Plan
from reconshield.scope import Request, Targets, authorise
from system.netns import Lab, Namespace, can_make_namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

V4, V6, NOBODY, NOWHERE = "10.91.7.2", "fd91:7::2", "10.91.7.77", "10.250.0.1"
OPEN, DROPPED = (22, 80, 8080), range(1000, 1010)

RULES = """
table inet test {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport { 1000-1009, 3000-3499 } drop
    tcp dport 1100 reject with tcp reset
    ip version 4 tcp dport vmap { 1200 : jump r0, 1201 : jump r1, 1202 : jump r2, 1203 : jump r3, 1204 : jump r4,
                                  1205 : jump r5, 1206 : jump r6 }
    ip6 version 6 tcp dport vmap { 1200 : jump s0, 1201 : jump s1, 1203 : jump s3, 1205 : jump s5, 1206 : jump s6 }
  }
  chain r0 { reject with icmp type net-unreachable; }
  chain r1 { reject with icmp type host-unreachable; }
  chain r2 { reject with icmp type prot-unreachable; }
  chain r3 { reject with icmp type port-unreachable; }
  chain r4 { reject with icmp type net-prohibited; }
  chain r5 { reject with icmp type host-prohibited; }
  chain r6 { reject with icmp type admin-prohibited; }
  chain s0 { reject with icmpv6 type no-route; }
  chain s1 { reject with icmpv6 type addr-unreachable; }
  chain s3 { reject with icmpv6 type port-unreachable; }
  chain s5 { reject with icmpv6 type policy-fail; }
  chain s6 { reject with icmpv6 type admin-prohibited; }
}
"""

ANSWERS = {
    80: ("open", "syn-ack"),
    81: ("closed", "conn-refused"),
    1000: ("filtered", "no-response"),
    1100: ("closed", "conn-refused"),
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
    81: ("closed", "conn-refused"),
    1000: ("filtered", "no-response"),
    1100: ("closed", "conn-refused"),
    1200: ("unreachable", "no-route"),
    1201: ("unreachable", "host-unreach"),
    1203: ("filtered", "port-unreach"),
    1205: ("filtered", "admin-prohibited"),
    1206: ("filtered", "admin-prohibited"),
}


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[Namespace, Namespace]]:
    """A scanner and a target with a firewall, joined by a cable."""
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        lab.link(scanner, target, "10.91.7.1/24", f"{V4}/24", "fd91:7::1/64", f"{V6}/64")
        # A kernel thins out its ICMP errors; here each one counts.
        target.run(
            "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=100000", "net.ipv6.icmp.ratelimit=0"
        )
        target.firewall(RULES)
        with target.listeners([(address, port) for address in (V4, V6) for port in OPEN]):
            yield scanner, target


def targets_of(*texts: str) -> Targets:
    """Targets that need no grant, because they count as this lab's own."""
    wanted = tuple(parse_target(text) for text in texts)
    decided = authorise(Request(wanted), (), AddressSet.of(*texts), {}, time.time())
    assert isinstance(decided, Targets)
    return decided


def scan(where: Namespace, address: str, ports: PortSet, options: Options | None = None) -> dict[int, Observation]:
    targets = targets_of(address)
    plan = Plan(targets.addresses, ports, seed=11, block_size=500)

    def work() -> dict[int, Observation]:
        done = [event for event in measure(plan, targets, range(plan.blocks), options) if isinstance(event, BlockDone)]
        assert sorted(event.number for event in done) == list(range(plan.blocks))
        return {seen.endpoint.port: seen for event in done for seen in records(event.batch)}

    return where.inside(work)


def nmap(where: Namespace, address: str, ports: PortSet) -> dict[int, str]:
    six = ("-6",) if ":" in address else ()
    out = where.run("nmap", "-sT", "-n", "-Pn", "-T4", "-v", "-p", ports.text(), "-oX", "-", *six, address)
    tree = fromstring(out[out.index("<nmaprun") :])
    found = {int(port.attrib["portid"]): port.find("state") for port in tree.iter("port")}
    states = {port: state.attrib["state"] for port, state in found.items() if state is not None}
    for group in tree.iter("extraports"):
        for port in range(1, 65536):
            if ("tcp", port) in ports and port not in states:
                states[port] = group.attrib["state"]
    return states


@pytest.mark.parametrize(("address", "answers"), [(V4, ANSWERS), (V6, ANSWERS_V6)], ids=["ipv4", "ipv6"])
def test_every_answer_has_its_state_and_reason(
    world: tuple[Namespace, Namespace], address: str, answers: dict[int, tuple[str, str]]
) -> None:
    seen = scan(world[0], address, PortSet(tcp=tuple((port, port) for port in answers)))
    assert {port: (one.state.label, one.reason.label) for port, one in seen.items()} == answers
    assert all((one.rtt_ms is not None) == (one.reason.label != "no-response") for one in seen.values())


@pytest.mark.skipif(not shutil.which("nmap"), reason="needs nmap")
@pytest.mark.parametrize("address", [V4, V6])
def test_same_states_as_nmap(world: tuple[Namespace, Namespace], address: str) -> None:
    ports = PortSet(tcp=((1, 1024), (1100, 1100), (1200, 1206), (8080, 8080)))
    ours = {port: one.state.label for port, one in scan(world[0], address, ports).items()}
    theirs = nmap(world[0], address, ports)
    # nmap has no word for unreachable. Port unreachable is ECONNREFUSED to connect(), and nmap -sT calls it closed; with the
    # ICMP message in hand it is a firewall's answer, as nmap -sS says.
    compared = {port: "filtered" if state == "unreachable" else state for port, state in ours.items()}
    assert {port: (compared[port], theirs[port]) for port in compared if compared[port] != theirs[port]} == {
        1203: ("filtered", "closed")
    }


@pytest.mark.parametrize(
    ("address", "reason"),
    [(NOBODY, "no-neighbour"), ("fd91:7::77", "no-neighbour"), (NOWHERE, "net-unreach"), ("fd92::1", "net-unreach")],
)
def test_hosts_that_are_not_there(world: tuple[Namespace, Namespace], address: str, reason: str) -> None:
    seen = scan(world[0], address, PortSet(tcp=((80, 81),)))
    assert {(one.state, one.reason.label) for one in seen.values()} == {(State.UNREACHABLE, reason)}


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("unreachable", ("unreachable", "host-unreach")),
        ("prohibit", ("filtered", "admin-prohibited")),
        ("blackhole", ("unreachable", "no-route")),
    ],
)
def test_own_routes_that_lead_nowhere(world: tuple[Namespace, Namespace], kind: str, answer: tuple[str, str]) -> None:
    world[0].run("ip", "route", "add", kind, "10.250.9.0/24")
    seen = scan(world[0], "10.250.9.1", PortSet(tcp=((80, 80),)))
    world[0].run("ip", "route", "del", kind, "10.250.9.0/24")
    assert [(one.state.label, one.reason.label) for one in seen.values()] == [answer]


def test_own_firewall(world: tuple[Namespace, Namespace]) -> None:
    """A rejected packet is told at once; a dropped one looks like silence, because TCP in the kernel tries again."""
    scanner, _ = world
    scanner.firewall(
        "table inet own { chain out { type filter hook output priority 0;"
        " tcp dport 80 drop; tcp dport 81 reject with icmpx type admin-prohibited; }; }"
    )
    try:
        seen = scan(scanner, V4, PortSet(tcp=((80, 82),)))
    finally:
        scanner.run("nft", "flush", "ruleset")
    assert {port: one.reason.label for port, one in seen.items()} == {
        80: "no-response",
        81: "admin-prohibited",
        82: "conn-refused",
    }


def test_no_ipv6_address_of_our_own(world: tuple[Namespace, Namespace]) -> None:
    """There is a route, but no source address: not a shortage of ports, however often it is tried."""
    with Lab() as lab:
        scanner, target = lab.namespace("bare"), lab.namespace("host")
        scanner.run("sysctl", "-qw", "net.ipv6.conf.default.addr_gen_mode=1")
        end, _ = lab.link(scanner, target)
        scanner.run("ip", "route", "add", "fd93::/64", "dev", end)
        scanner.run("ip", "address", "del", "::1/128", "dev", "lo")
        seen = scan(scanner, "fd93::2", PortSet(tcp=((80, 81),)))
    assert {(one.state.label, one.reason.label) for one in seen.values()} == {("unreachable", "no-route")}


@pytest.mark.quiet
def test_loss_is_measured_and_made_good(world: tuple[Namespace, Namespace]) -> None:
    """One packet in twenty is dropped on the way in: every open port is still found."""
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("lossy")
        lab.link(scanner, target, "10.91.8.1/24", "10.91.8.2/24")
        target.firewall(
            "table inet loss { chain in { type filter hook prerouting priority -300;"
            " tcp flags syn numgen random mod 100 < 5 drop; }; }"
        )
        ports = range(2000, 4000)
        with target.listeners([("10.91.8.2", port) for port in ports]):
            targets = targets_of("10.91.8.2")
            plan = Plan(targets.addresses, PortSet(tcp=((2000, 3999),)), seed=3, block_size=250)
            events = scanner.inside(lambda: list(measure(plan, targets, range(plan.blocks))))
    batches = np.concatenate([event.batch for event in events if isinstance(event, BlockDone)])
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (batches["state"] == State.OPEN).sum() >= 1998  # each is asked up to four times: 0.05^4 × 2,000 = 0.01 missed
    assert last.loss is not None
    assert 0.02 < last.loss < 0.1
    assert last.retransmitted > 50


def test_stop_does_not_wait_for_the_rest(world: tuple[Namespace, Namespace]) -> None:
    """A silent host keeps the engine waiting, two minutes at this rate and longer; stop does not wait for it."""
    targets = targets_of(V4)
    plan = Plan(targets.addresses, PortSet(tcp=((1000, 1119),)), seed=3, block_size=1)
    stop = threading.Event()

    def work() -> tuple[float, list[BlockDone]]:
        events = measure(plan, targets, range(plan.blocks), Options(rate=1), stop)
        done = []
        for event in events:
            if isinstance(event, BlockDone):
                done.append(event)
            if len(done) == 2 and not stop.is_set():
                stop.set()
                began = time.perf_counter()
        return time.perf_counter() - began, done

    seconds, done = world[0].inside(work)
    assert seconds < 60
    assert 2 <= len(done) < plan.blocks / 2


STARVED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
sys.path.insert(0, sys.argv[1])
from system.test_connect import V4, BlockDone, Plan, PortSet, State, measure, np, targets_of
hogs = [open("/dev/null") for _ in range(180)]
targets = targets_of(V4)
plan = Plan(targets.addresses, PortSet(tcp=((3000, 3510),)), 1, 100)
events = list(measure(plan, targets, range(plan.blocks)))
batch = np.concatenate([event.batch for event in events if isinstance(event, BlockDone)])
print(np.bincount(batch["state"])[[State.CLOSED, State.FILTERED]], events[-1].slowed)
"""


def test_short_of_files_is_slower_not_lost(world: tuple[Namespace, Namespace]) -> None:
    """500 silent ports and some 110 descriptors: the window shrinks, every port gets its answer, and it is said."""
    said = world[0].python(STARVED, str(Path(__file__).parents[1])).strip()
    assert re.fullmatch(
        r"\[ 11 500\] slowed to \d+ connections at once: this process may open no more files \(ulimit -n\)", said
    ), said


def test_a_connection_that_meets_itself_is_no_open_port(world: tuple[Namespace, Namespace]) -> None:
    """With one source port in all, a connection to it on loopback can only come from itself."""
    with Lab() as lab:
        narrow = lab.namespace("narrow")
        narrow.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40000")
        echo = "import socket; s = socket.socket(); s.connect(('127.0.0.1', 40000)); print(s.getsockname() == s.getpeername())"
        assert narrow.python(echo).strip() == "True"
        seen = scan(narrow, "127.0.0.1", PortSet(tcp=((39_999, 40_001),)))
    assert {port: one.state for port, one in seen.items()} == dict.fromkeys(range(39_999, 40_002), State.CLOSED)


def test_host_limit_and_rate_hold(world: tuple[Namespace, Namespace]) -> None:
    """The target's own firewall counts what arrives."""
    scanner, target = world
    target.run("nft", "add", "table", "inet", "tally")
    target.run("nft", "add", "chain", "inet", "tally", "in", "{ type filter hook input priority -10; }")
    target.run("nft", "add", "rule", "inet", "tally", "in", "tcp flags & (syn|ack) == syn counter")
    began = time.perf_counter()
    seen = scan(scanner, V4, PortSet(tcp=((2000, 2599),)), Options(rate=400))
    seconds = time.perf_counter() - began
    counted = target.run("nft", "list", "table", "inet", "tally")
    target.run("nft", "delete", "table", "inet", "tally")
    assert len(seen) == 600
    assert "packets 600 " in counted
    assert seconds > 1.4
