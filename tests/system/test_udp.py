"""UDP without privileges against real servers and a real kernel's errors, in own namespaces, beside `nmap -sU`."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import fromstring

import pytest

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.model import Observation
from reconshield.scan.batch import records
from reconshield.scan.engine import BlockDone, Options, Progress, measure
from reconshield.scan.plan import Plan
from reconshield.scope import Grant, GrantTarget, Request, Targets, authorise
from system import scanning
from system.netns import Lab, Namespace, can_make_namespaces
from system.servers import SEARCH_PATH, Server, running

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

V4, V6, BEHIND = "10.95.7.2", "fd95:7::2", "10.95.8.2"
NOBODY, NOWHERE = "10.95.7.77", "10.250.0.1"
SILENT = (2000, 2001, 5061)

NAMED = 'options { directory "/run/world/named"; pid-file none; listen-on { @V4@; }; listen-on-v6 { @V6@; }; recursion no; };'
CHRONY = "local stratum 3\nallow all\nbindaddress @V4@\ncmdport 0\npidfile /run/chronyd.pid\n"
NAMED_SERVER = Server(
    "named",
    ("named",),
    ("udp:53",),
    ("named -f -g -n 1 -c @D@/named.conf",),
    {"named.conf": NAMED},
    "mkdir -p /run/world/named",
)
SERVERS = (
    Server("named", ("named",), (), ("named -f -g -n 1 -c @D@/named.conf",), {"named.conf": NAMED}),
    Server(
        "snmpd", ("snmpd",), (), ("snmpd -f -Lo -C -c @D@/conf udp:@V4@:161 udp6:[@V6@]:161",), {"conf": "rocommunity none\n"}
    ),
    Server("chronyd", ("chronyd",), (), ("chronyd -d -x -u root -f @D@/conf",), {"conf": CHRONY}),
    Server("tftpd", ("in.tftpd",), (), ("in.tftpd -L -u root -a @V4@:69 -s /run/world/tftpd",)),
    Server("memcached", ("memcached",), (), ("memcached -u root -p 0 -U 11211 -l @V4@",)),
    Server("rpcbind", ("rpcbind",), (), ("rpcbind -f -w -h @V4@",)),
)
PORT_OF = {"named": 53, "snmpd": 161, "chronyd": 123, "tftpd": 69, "memcached": 11211, "rpcbind": 111}

RULES = """
table inet test {
  chain input {
    type filter hook input priority 0; policy accept;
    udp dport 1000-1019 drop
    ip version 4 udp dport vmap { 1200 : jump r0, 1201 : jump r1, 1202 : jump r2, 1203 : jump r3, 1204 : jump r4,
                                  1205 : jump r5, 1206 : jump r6 }
    ip6 version 6 udp dport vmap { 1200 : jump s0, 1201 : jump s1, 1203 : jump s3, 1205 : jump s5, 1206 : jump s6 }
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
ROUTER = """
table inet test {
  chain forward {
    type filter hook forward priority 0; policy accept;
    udp dport 3000 reject with icmp type port-unreachable
    udp dport 3001 reject with icmp type admin-prohibited
    udp dport 3002 drop
  }
}
"""

ANSWERS = {
    53: ("open", "udp-response"),
    161: ("open", "udp-response"),
    54: ("closed", "port-unreach"),
    2000: ("open|filtered", "no-response"),
    1000: ("open|filtered", "no-response"),
    1200: ("unreachable", "net-unreach"),
    1201: ("unreachable", "host-unreach"),
    1202: ("filtered", "proto-unreach"),
    1203: ("closed", "port-unreach"),  # the target itself says so: nobody can tell its firewall from its kernel
    1204: ("filtered", "net-prohibited"),
    1205: ("filtered", "host-prohibited"),
    1206: ("filtered", "admin-prohibited"),
}
ANSWERS_V6 = {
    53: ("open", "udp-response"),
    161: ("open", "udp-response"),
    54: ("closed", "port-unreach"),
    1000: ("open|filtered", "no-response"),
    1200: ("unreachable", "no-route"),
    1201: ("unreachable", "host-unreach"),
    1203: ("closed", "port-unreach"),
    1205: ("filtered", "admin-prohibited"),
    1206: ("filtered", "admin-prohibited"),
}


class World(NamedTuple):
    scanner: Namespace
    target: Namespace
    live: dict[str, int]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A scanner, a router with a firewall, a target with servers of which those run that are installed."""
    missing = [name for name in ("named", "snmpd") if shutil.which(name, path=SEARCH_PATH) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    servers = [server for server in SERVERS if shutil.which(server.programs[0], path=SEARCH_PATH)]
    with Lab() as lab, ExitStack() as stack:
        scanner, target, router = lab.namespace("scan"), lab.namespace("host"), lab.namespace("router")
        lab.link(scanner, target, "10.95.7.1/24", f"{V4}/24", "fd95:7::1/64", f"{V6}/64")
        lab.link(scanner, router, "10.95.9.1/24", "10.95.9.2/24")
        lab.link(router, target, "10.95.8.1/24", f"{BEHIND}/24")
        router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        scanner.run("ip", "route", "add", "10.95.8.0/24", "via", "10.95.9.2")
        target.run("ip", "route", "add", "10.95.9.0/24", "via", "10.95.8.1")
        router.firewall(ROUTER)
        target.firewall(RULES)
        target.inside(lambda: [stack.enter_context(bound(V4, port)) for port in SILENT])
        stack.enter_context(running(target, servers, tmp_path_factory.mktemp("udp"), {"V4": V4, "V6": V6}))
        live = {server.name: PORT_OF[server.name] for server in servers}
        await_ports(target, set(live.values()))
        yield World(scanner, target, live)


@pytest.fixture
def errors_flow(world: World) -> Iterator[None]:
    """A kernel thins out its ICMP errors; here each one counts."""
    limit_errors(world.target, 0, 100_000)
    yield
    limit_errors(world.target, 1000, 1000)


@pytest.fixture(params=[False, True], ids=["ordinary", "raw"])
def raw(request: pytest.FixtureRequest) -> bool:
    """Whether packet sockets are used."""
    return bool(request.param)


def limit_errors(target: Namespace, milliseconds: int, per_second: int) -> None:
    target.run(
        *("sysctl", "-qw", f"net.ipv4.icmp_ratelimit={milliseconds}", f"net.ipv4.icmp_msgs_per_sec={per_second}"),
        f"net.ipv6.icmp.ratelimit={milliseconds}",
    )


def bound(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    return sock


def await_ports(where: Namespace, ports: set[int]) -> None:
    deadline = time.monotonic() + 30
    while absent := ports - {int(line.split()[3].rsplit(":", 1)[1]) for line in where.run("ss", "-Huln").splitlines()}:
        if time.monotonic() > deadline:
            raise RuntimeError(f"nobody listens on {sorted(absent)}")
        time.sleep(0.1)


def targets_of(address: str, level: int = 3) -> Targets:
    grant = Grant("g1", "tests", (GrantTarget(address, AddressSet.of(address)),), (), level, 0.0, 2e9)
    made = authorise(Request((parse_target(address),)), [grant], AddressSet(), {}, 1.0)
    assert isinstance(made, Targets)
    return made


def udp(*ports: int) -> PortSet:
    return PortSet(udp=tuple((port, port) for port in ports))


def scan(where: Namespace, address: str, ports: PortSet, raw: bool, options: Options | None = None) -> dict[int, Observation]:
    return scan_and_tell(where, address, ports, raw, options)[0]


def scan_and_tell(
    where: Namespace, address: str, ports: PortSet, raw: bool, options: Options | None = None
) -> tuple[dict[int, Observation], Progress]:
    allowed = targets_of(address)
    plan = Plan(allowed.addresses, ports, seed=11, block_size=500)
    options = replace(options or Options(), engine="raw" if raw else "connect")
    events = where.inside(lambda: list(measure(plan, allowed, range(plan.blocks), options)))
    seen = {one.endpoint.port: one for event in events if isinstance(event, BlockDone) for one in records(event.batch)}
    assert len(seen) == plan.size
    last = events[-1]
    assert isinstance(last, Progress)
    return seen, last


def told(seen: dict[int, Observation]) -> dict[int, tuple[str, str]]:
    return {port: (one.state.label, one.reason.label) for port, one in seen.items()}


def nmap(where: Namespace, address: str, ports: PortSet) -> dict[int, str]:
    six = ("-6",) if ":" in address else ()
    numbers = ports.text().removeprefix("U:")
    out = where.run("nmap", "-sU", "-n", "-Pn", "-T4", "-vv", "-p", numbers, "-oX", "-", *six, address, timeout=300)
    tree = fromstring(out[out.index("<nmaprun") :])
    found = {int(port.attrib["portid"]): port.find("state") for port in tree.iter("port")}
    states = {port: state.attrib["state"] for port, state in found.items() if state is not None}
    for group in tree.iter("extraports"):
        for first, last in ports.udp:
            states |= {port: group.attrib["state"] for port in range(first, last + 1) if port not in states}
    return states


@pytest.mark.usefixtures("errors_flow")
@pytest.mark.parametrize(("address", "answers"), [(V4, ANSWERS), (V6, ANSWERS_V6)], ids=["ipv4", "ipv6"])
def test_every_answer_has_its_state_and_reason(
    world: World, raw: bool, address: str, answers: dict[int, tuple[str, str]]
) -> None:
    seen = scan(world.scanner, address, udp(*answers), raw)
    assert told(seen) == answers
    assert all((one.rtt_ms is not None) == (one.reason.label != "no-response") for one in seen.values())


def test_every_server_answers_its_payload(world: World, raw: bool) -> None:
    seen = scan(world.scanner, V4, udp(*world.live.values()), raw)
    assert {name: seen[port].state.label for name, port in world.live.items()} == dict.fromkeys(world.live, "open")


def test_a_router_on_the_way_is_no_closed_port(world: World, raw: bool) -> None:
    assert told(scan(world.scanner, BEHIND, udp(3000, 3001, 3002, 3003), raw)) == {
        3000: ("filtered", "port-unreach"),
        3001: ("filtered", "admin-prohibited"),
        3002: ("open|filtered", "no-response"),
        3003: ("closed", "port-unreach"),
    }


@pytest.mark.parametrize(
    ("address", "reason"), [(NOBODY, "no-neighbour"), ("fd95:7::77", "no-neighbour"), (NOWHERE, "net-unreach")]
)
def test_hosts_that_are_not_there(world: World, raw: bool, address: str, reason: str) -> None:
    assert set(told(scan(world.scanner, address, udp(53, 69, 80), raw)).values()) == {("unreachable", reason)}


def test_own_firewall(world: World) -> None:
    world.scanner.firewall("table inet own { chain out { type filter hook output priority 0; udp dport 53 drop; }; }")
    try:
        seen = scan(world.scanner, V4, udp(53, 54), raw=False)
    finally:
        world.scanner.run("nft", "flush", "ruleset")
    assert told(seen) == {53: ("filtered", "admin-prohibited"), 54: ("closed", "port-unreach")}


def test_closed_is_earned_from_a_kernel_that_thins_out_its_errors(world: World, raw: bool) -> None:
    """Linux as it is: six errors at once, then one a second. All 12 closed ports are known, the silent ones are not claimed."""
    closed = range(4000, 4012)
    limit_errors(world.target, 1000, 1000)
    time.sleep(7)  # until the target owes us six again
    begun = time.monotonic()
    seen = scan(world.scanner, V4, udp(53, *closed, 2000, 1000), raw)
    assert {told(seen)[port] for port in closed} == {("closed", "port-unreach")}
    assert {told(seen)[port] for port in (2000, 1000)} == {("open|filtered", "no-response")}
    assert seen[53].state.label == "open"
    assert time.monotonic() - begun < 30


def test_patience_ends_and_is_said(world: World, raw: bool) -> None:
    """Ports that a thinned-out error would have told are never called closed."""
    limit_errors(world.target, 1000, 1000)
    seen, last = scan_and_tell(world.scanner, V4, udp(*range(4100, 4140)), raw, Options(patience=3))
    states = [one.state.label for one in seen.values()]
    assert set(states) == {"closed", "open|filtered"}
    assert states.count("closed") < 20
    assert last.slowed is not None
    assert "not waited for" in last.slowed


@pytest.mark.usefixtures("errors_flow")
def test_loss_is_made_good(world: World, raw: bool) -> None:
    """One packet in ten is dropped on the way in: open ports are found all the same."""
    world.scanner.firewall(
        "table inet loss { chain in { type filter hook input priority 0; meta l4proto udp numgen random mod 10 == 0 drop; }; }"
    )
    try:
        opened = [scan(world.scanner, V4, udp(53, 161), raw)[port].state.label for _ in range(5) for port in (53, 161)]
    finally:
        world.scanner.run("nft", "flush", "ruleset")
    assert opened.count("open") >= 9


@pytest.mark.skipif(not shutil.which("nmap"), reason="needs nmap")
@pytest.mark.usefixtures("errors_flow")
@pytest.mark.parametrize("address", [V4, V6])
def test_same_states_as_nmap(world: World, raw: bool, address: str) -> None:
    """About sixty ports. nmap has no word for unreachable, and hears no answer from another port, which is how TFTP answers."""
    ports = PortSet(
        udp=(
            (50, 70),
            (111, 111),
            (120, 125),
            (160, 162),
            (1000, 1009),
            (1200, 1206),
            (2000, 2001),
            (4200, 4210),
            (11211, 11211),
        )
    )
    ours = {
        port: "filtered" if state == "unreachable" else state
        for port, (state, _) in told(scan(world.scanner, address, ports, raw)).items()
    }
    theirs = nmap(world.scanner, address, ports)
    assert len(ours) == len(theirs) == ports.count
    assert {port: (ours[port], theirs[port]) for port in ours if ours[port] != theirs[port]} == (
        {69: ("open", "open|filtered")} if address == V4 and "tftpd" in world.live else {}
    )


@pytest.mark.usefixtures("errors_flow")
def test_the_command_measures_and_identifies_both_transports(world: World, tmp_path: Path) -> None:
    answer = scanning.scan(world.scanner, tmp_path, V4, "-p", "22,U:53,54,161,502,2000", "--all-states")
    assert answer.code == 0, answer.error
    states = {(row["port"], row["transport"]): (row["state"], row["reason"]) for row in answer.of("observation")}
    assert states == {
        (22, "tcp"): ("closed", "reset"),
        (53, "udp"): ("open", "udp-response"),
        (54, "udp"): ("closed", "port-unreach"),
        (161, "udp"): ("open", "udp-response"),
        (2000, "udp"): ("open|filtered", "no-response"),
    }
    services = {row["port"]: (row["service"], row["transport"], row["confidence"]) for row in answer.of("service")}
    assert services == {53: ("dns", "udp", "confirmed"), 161: ("snmp", "udp", "confirmed")}
    counts = {name: answer.summary[name] for name in ("probes", "measured", "open", "closed", "filtered", "open_filtered")}
    assert counts == {"probes": 5, "measured": 5, "open": 2, "closed": 2, "filtered": 0, "open_filtered": 1}
    report = scanning.reconshield(world.scanner, tmp_path, "report", "latest")
    assert "U:502: plc port held back" in " ".join(report.out.split())
    plan = scanning.reconshield(
        world.scanner, tmp_path, *("scan", V4, "-p", "U:53,502", "--authorized-by", "test", "--dry-run", "--json")
    )
    told_plan = json.loads(plan.out)
    assert (told_plan["packets"], told_plan["endpoints"]) == ([1, 3], 1)
    assert told_plan["not_measured"] == ["U:502: plc port held back, and UDP shows no state without a datagram"]
