"""The raw engine against real kernels' answers, in own namespaces, beside `nmap -sS` on the same ports."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections import Counter
from xml.etree.ElementTree import fromstring

import pytest

from reconshield.addresses import PortSet, parse_ports
from reconshield.scan.effort import Options
from system.netns import Lab, Namespace
from system.raw_world import (
    FARM,
    NOBODY,
    OPEN,
    OWN,
    SYSTEM,
    V4,
    V6,
    World,
    measure,
    rules,
    scan,
    targets_of,
    told,
    world,
)
from system.test_connect import RULES

__all__ = ["world"]

pytestmark = SYSTEM

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
        *(f"reject with icmpx type {kind}" for kind in ICMPX),
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
