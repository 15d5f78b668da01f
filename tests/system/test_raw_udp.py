"""Raw UDP beyond single hosts: many hosts, mixed routes, a tunnel, strangers' packets; in own namespaces."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from xml.etree.ElementTree import fromstring

import pytest

from reconshield.addresses import PortSet
from reconshield.scan import raw_udp
from reconshield.scan.batch import records
from reconshield.scan.engine import BlockDone
from system.netns import Namespace
from system.raw_udp_world import (
    FARM,
    NEAR,
    OWN,
    SILENT,
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


@pytest.mark.parametrize(
    ("network", "hosts", "live"),
    [(FARM, 256, "10.100.8.{}"), ("fd00:108::/123", 32, "fd00:108::{:x}")],
    ids=["ipv4", "ipv6"],
)
def test_a_network_of_hosts_with_open_closed_and_silent_ports(world: World, network: str, hosts: int, live: str) -> None:
    """Each host has 30 ports: a third silent, 20 in all live, the rest closed; each endpoint has its own state."""
    alive = [(live.format((3 + 11 * number) % hosts), 21_010 + number) for number in range(20)]
    with (
        rules(world.target, f"chain in {{ type filter hook input priority 0; {SILENT} }}"),
        answering(world.target, alive, lambda _: b"hello"),
    ):
        seen = scan(world.scanner, targets_of(network), udp((21_000, 21_029)))
    opened = {place for place, one in seen.items() if one.state.label == "open"}
    assert opened == set(alive)
    assert states(seen) == {"open": 20, "open|filtered": hosts * 10, "closed": hosts * 20 - 20}
    for place, one in seen.items():
        assert (one.ttl, one.rtt_ms is not None) == ((None, False) if place[1] < 21_010 else (64, True))


def test_own_and_remote_addresses_in_one_plan(world: World) -> None:
    """What raw packets cannot reach is asked in the ordinary way; every endpoint comes once."""
    with (
        answering(world.scanner, [(OWN, 21_003)], lambda _: b"me"),
        answering(world.target, [(NEAR, 21_004)], lambda _: b"you"),
    ):
        seen = scan(world.scanner, targets_of(f"{OWN}-2"), udp((21_000, 21_009)))
    assert {place for place, one in seen.items() if one.state.label == "open"} == {(OWN, 21_003), (NEAR, 21_004)}
    assert states(seen) == {"open": 2, "closed": 18}


def test_both_transports_with_raw_udp(world: World) -> None:
    ports = PortSet(tcp=((21_000, 21_009),), udp=((21_000, 21_009),))
    with world.target.listeners([(NEAR, 21_001)]), answering(world.target, [(NEAR, 21_002)], lambda _: b"x"):
        allowed = targets_of(NEAR)
        plan = Plan(allowed.addresses, ports, 3, 7)
        events = world.scanner.inside(lambda: list(measure(plan, allowed, range(plan.blocks), Options(engine="raw"))))
    seen = [one for event in events if isinstance(event, BlockDone) for one in records(event.batch)]
    assert len(seen) == 20
    assert {str(one.endpoint) for one in seen if one.state.label == "open"} == {f"{NEAR}:21001/tcp", f"{NEAR}:21002/udp"}


def test_an_answer_may_come_from_another_port(world: World) -> None:
    """TFTP answers from a fresh port; the same from a port that must not move is no answer."""

    def elsewhere(where: Namespace, port: int, ready: threading.Event) -> socket.socket:
        def bind() -> socket.socket:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((NEAR, port))
            return sock

        sock = where.inside(bind)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    _, sender = sock.recvfrom(65535)
                    with where.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
                        other.bind((NEAR, 0))
                        other.sendto(b"\0\5\0\1", sender)

        threading.Thread(target=serve, daemon=True).start()
        ready.set()
        return sock

    ready = threading.Event()
    socks = [elsewhere(world.target, port, ready) for port in (69, 21_055)]
    try:
        seen = scan(world.scanner, targets_of(NEAR), udp((69, 69), (21_055, 21_055)))
    finally:
        for sock in socks:
            sock.close()
    assert {place[1]: one.state.label for place, one in seen.items()} == {69: "open", 21_055: "open|filtered"}


def test_strangers_are_no_results(world: World) -> None:
    """Answers to ports of ours that were not for this endpoint, and forged errors, change nothing."""
    program = f"""
import socket, struct, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(("{NEAR}", 21000)); sock.settimeout(10)
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
end = time.monotonic() + 4
data, sender = sock.recvfrom(65535)
while time.monotonic() < end:
    for port in range(sender[1] - 15, sender[1] + 16):
        if port != sender[1]:
            sock.sendto(b"forged", (sender[0], port))
            ends = socket.inet_aton("{OWN}"), socket.inet_aton("{NEAR}")
            quoted = struct.pack("!BBHHHBBH4s4sHHI", 0x45, 0, 28, 0, 0, 64, 17, 0, *ends, port, 21000, 0)
            raw.sendto(struct.pack("!BBHI", 3, 3, 0, 0) + quoted, (sender[0], 0))
    time.sleep(0.05)
"""
    with subprocess.Popen(["ip", "netns", "exec", world.target.name, sys.executable, "-c", program]) as forger:
        time.sleep(0.5)
        seen = scan(world.scanner, targets_of(NEAR), udp((21_000, 21_000)))
        forger.wait(20)
    assert states(seen) == {"open|filtered": 1}


def test_our_kernel_does_not_answer_the_answers(world: World) -> None:
    """Source ports are bound, so no "port unreachable" goes back to who answered us."""
    counting = "chain in { type filter hook input priority 0; icmp type destination-unreachable counter; }"
    with rules(world.target, counting), answering(world.target, [(NEAR, 21_000 + n) for n in range(10)], lambda _: b"x" * 100):
        seen = scan(world.scanner, targets_of(NEAR), udp((21_000, 21_009)))
        assert states(seen) == {"open": 10}
        assert counted(world.target) == [0]


def test_a_tunnel_without_a_link_layer(world: World) -> None:
    """Packets go out by a tun device as they are; what it writes back is heard."""
    stop = threading.Event()

    def make() -> int:
        file = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22x", b"tun8", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
        return file

    file = world.scanner.inside(make)
    world.scanner.run("ip", "address", "add", "10.100.20.1/24", "dev", "tun8")
    world.scanner.run("ip", "link", "set", "tun8", "up")

    def far_end() -> None:
        """Answers port 21,005 of every host; of 21,006 it says that it is closed."""
        os.set_blocking(file, False)
        while not stop.is_set():
            try:
                packet = os.read(file, 2048)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            if packet[0] != 0x45 or packet[9] != 17:
                continue
            source, target, (port_from, port) = packet[12:16], packet[16:20], struct.unpack("!HH", packet[20:24])
            if port == 21_005:
                body = struct.pack("!HHHH", port, port_from, 12, 0) + b"tuns"
                os.write(file, ip_packet(17, target, source, body))
            elif port == 21_006:
                message = struct.pack("!BBHI", 3, 3, 0, 0) + packet[:28]
                message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
                os.write(file, ip_packet(1, target, source, message))

    thread = threading.Thread(target=far_end, daemon=True)
    thread.start()
    try:
        seen = scan(world.scanner, targets_of("10.100.20.8-11"), udp((21_004, 21_006)))
    finally:
        stop.set()
        thread.join()
        os.close(file)
    by_port = {port: {one.state.label for (_, at), one in seen.items() if at == port} for port in (21_004, 21_005, 21_006)}
    assert by_port == {21_004: {"open|filtered"}, 21_005: {"open"}, 21_006: {"closed"}}


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(protocol: int, source: bytes, target: bytes, body: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 60, protocol, 0) + source + target
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + body


def test_what_is_reachable(world: World) -> None:
    area = targets_of("10.100.0.0/16").addresses
    found = world.scanner.inside(lambda: raw_udp.reachable(area))
    assert OWN not in found
    assert NEAR in found
    assert "10.100.77.1" in found  # nothing leads there: that is a measurement too


@pytest.mark.skipif(not shutil.which("nmap"), reason="needs nmap")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_same_states_as_nmap_behind_random_firewalls(world: World, seed: int) -> None:
    """Random ports, random rules (drop, each ICMP code, nothing), random servers; every state compared."""
    chance = random.Random(seed)
    ports = sorted(chance.sample(range(21_000, 30_000), 40))
    kinds = ["drop", *(f"reject with icmp type {kind}-{what}" for kind, what in REJECTS), "accept", "accept", "accept"]
    chosen = {port: chance.choice(kinds) for port in ports}
    text = " ".join(f"ip version 4 udp dport {port} {rule};" for port, rule in chosen.items())
    alive = [(NEAR, port) for port in chance.sample([port for port, rule in chosen.items() if rule == "accept"], 4)]
    with (
        rules(world.target, f"chain in {{ type filter hook input priority 0; {text} }}"),
        answering(world.target, alive, lambda _: b"hello"),
    ):
        seen = scan(world.scanner, targets_of(NEAR), udp(*((port, port) for port in ports)))
        theirs = nmap_states(world.scanner, ports)
    ours = {place[1]: {"unreachable": "filtered"}.get(one.state.label, one.state.label) for place, one in seen.items()}
    assert {port: (ours[port], theirs[port], chosen[port]) for port in ports if ours[port] != theirs[port]} == {}
    assert {port for port, state in ours.items() if state == "open"} == {port for _, port in alive}


REJECTS = [("net", "unreachable"), ("host", "unreachable"), ("prot", "unreachable"), ("port", "unreachable")] + [
    (kind, "prohibited") for kind in ("net", "host", "admin")
]


def nmap_states(where: Namespace, ports: list[int]) -> dict[int, str]:
    listed = ",".join(map(str, ports))
    out = where.run("nmap", "-sU", "-n", "-Pn", "-T4", "-vv", "-p", listed, "-oX", "-", NEAR, timeout=300)
    tree = fromstring(out[out.index("<nmaprun") :])
    found = {
        int(port.attrib["portid"]): state.attrib["state"]
        for port in tree.iter("port")
        if (state := port.find("state")) is not None
    }
    for group in tree.iter("extraports"):
        found |= {port: group.attrib["state"] for port in ports if port not in found}
    return found
