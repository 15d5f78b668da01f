"""Routes and neighbours as the kernel sees them, in own namespaces: every kind of device and route, who answers on the link."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from typing import NamedTuple

import numpy as np
import pytest

from reconshield.addresses import AddressSet, parse_address, parse_target, text_of
from reconshield.scan.batch import split_address
from reconshield.scan.neighbours import FAILED, READY, WAITING, Neighbours
from reconshield.scan.route import Layer, Route, Routes, find_routes
from system.netns import Lab, Namespace, can_make_namespaces

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft"),
]

IPV6_SILENT = "fd95:9::77"


class World(NamedTuple):
    here: Namespace
    there: Namespace
    device: str
    mac: str
    second: str
    """The link-layer address of the other link to `there`."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Lab() as lab, ExitStack() as stack:
        here, there = lab.namespace("here"), lab.namespace("there")
        near, far = lab.link(here, there, "10.95.9.1/24", "10.95.9.2/24", "fd95:9::1/64", "fd95:9::2/64")
        there.run("ip", "address", "add", "10.95.9.128/25", "dev", far)
        _, other = lab.link(here, there, "10.95.10.1/24", "10.95.10.2/24")
        here.inside(lambda: make_tun(stack, "tun7"))
        here.run("ip", "address", "add", "10.95.11.1/24", "dev", "tun7")
        here.run("ip", "link", "set", "tun7", "up")
        here.run("ip", "link", "add", "over", "link", near, "type", "macvlan")
        here.run("ip", "address", "add", "10.95.12.1/24", "dev", "over")
        here.run("ip", "link", "set", "over", "mtu", "1400", "up")
        here.run("ip", "link", "add", "cut", "type", "veth", "peer", "name", "cut2")
        here.run("ip", "address", "add", "10.95.13.1/24", "dev", "cut")
        here.run("ip", "link", "set", "cut", "up")  # its other end is down: no carrier
        for route in (
            "10.96.0.0/16 via 10.95.9.2",
            "unreachable 10.96.1.0/24",
            "blackhole 10.96.2.0/24",
            "prohibit 10.96.3.0/24",
            "10.96.4.0/24 via inet6 fd95:9::2 dev " + near,
            "10.96.5.0/24 via 10.95.9.2 mtu 1280",
            "10.96.6.0/24 via 10.95.9.99",
        ):
            here.run("ip", "route", "add", *route.split())
        here.run("ip", "-6", "route", "add", "fd96::/32", "via", "fd95:9::2")
        here.run("ip", "-6", "route", "add", "prohibit", "fd96:0:1::/48")
        here.run("ip", "route", "add", "10.96.7.0/24", "via", "10.95.10.2", "table", "77")
        here.run("ip", "rule", "add", "to", "10.96.7.0/25", "lookup", "77", "pref", "100")
        yield World(here, there, near, mac_of(there, far), mac_of(there, other))


def make_tun(stack: ExitStack, name: str) -> None:
    """A device without link-layer header; it has a carrier for as long as its file is open."""
    file = os.open("/dev/net/tun", os.O_RDWR)
    stack.callback(os.close, file)
    fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI


def mac_of(space: Namespace, device: str) -> str:
    return str(json.loads(space.run("ip", "-j", "link", "show", device))[0]["address"])


def routes_to(world: World, *targets: str) -> Routes:
    wanted = AddressSet()
    for target in targets:
        part = parse_target(target).addresses
        assert part is not None
        wanted |= part
    return world.here.inside(lambda: find_routes(wanted))


def describe(route: Route) -> str:
    if route.verdict:
        return f"{route.verdict.state.label} {route.verdict.reason.label}: {route.why}"
    assert route.device is not None
    assert route.source is not None
    own = "own " if route.own else ""
    way = f"via {text_of(route.gateway)}" if route.gateway is not None else "on link"
    return f"{own}{route.device.kind or route.device.name} {route.device.layer} {way} from {text_of(route.source)}"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("10.95.9.2", "veth ethernet on link from 10.95.9.1"),
        ("fd95:9::2", "veth ethernet on link from fd95:9::1"),
        ("10.95.10.2", "veth ethernet on link from 10.95.10.1"),
        ("10.95.11.2", "tun none on link from 10.95.11.1"),
        ("10.95.12.2", "macvlan ethernet on link from 10.95.12.1"),
        ("10.95.9.1", "own lo loopback on link from 10.95.9.1"),
        ("fd95:9::1", "own lo loopback on link from fd95:9::1"),
        ("127.0.0.1", "own lo loopback on link from 127.0.0.1"),
        ("10.96.0.1", "veth ethernet via 10.95.9.2 from 10.95.9.1"),
        ("10.96.4.1", "veth ethernet via fd95:9::2 from 10.95.9.1"),
        ("10.96.7.1", "veth ethernet via 10.95.10.2 from 10.95.10.1"),
        ("10.96.7.200", "veth ethernet via 10.95.9.2 from 10.95.9.1"),
        ("fd96::1", "veth ethernet via fd95:9::2 from fd95:9::1"),
        ("10.95.13.2", "unreachable no-neighbour: cut is down or not connected"),
        ("10.96.1.1", "unreachable host-unreach: an unreachable route of this machine"),
        ("10.96.2.1", "unreachable no-route: a blackhole route of this machine"),
        ("10.96.3.1", "filtered admin-prohibited: a prohibit route of this machine"),
        ("fd96:0:1::1", "filtered admin-prohibited: a prohibit route of this machine"),
        ("192.0.2.1", "unreachable net-unreach: no route of this machine"),
        ("2001:db8::1", "unreachable net-unreach: no route of this machine"),
        ("10.95.9.255", "unreachable no-route: a broadcast or multicast address"),
    ],
)
def test_every_kind_of_route(world: World, target: str, expected: str) -> None:
    [route] = routes_to(world, target)
    assert describe(route) == expected


def test_mtu_is_the_least_on_the_way(world: World) -> None:
    assert [route.mtu for target in ("10.95.9.2", "10.95.12.2", "10.96.5.1") for route in routes_to(world, target)] == [
        1500,
        1400,
        1280,
    ]


def test_a_large_plan_is_cut_where_routes_differ_and_agrees_with_the_kernel(world: World) -> None:
    """10.0.0.0/8 and an IPv6 network in one plan; every piece is checked against `ip route get` at its ends."""
    began = time.perf_counter()
    routes = routes_to(world, "10.0.0.0/8", "fd96::/112", "fd95:9::/112")
    assert time.perf_counter() - began < 20  # not a measurement: 2^24 questions would take minutes
    assert sum(route.addresses.count for route in routes) == 2**24 + 2 * 2**16
    for route in (route for route in routes if "not connected" not in route.why):  # of which `ip route get` says nothing
        for first, last in route.addresses.ranges:
            for address in {first, last}:
                assert kernel_says(world, text_of(address)) == (
                    None
                    if route.verdict or route.device is None
                    else (route.device.name, text_of(route.gateway) if route.gateway is not None else None)
                ), text_of(address)


def kernel_says(world: World, address: str) -> tuple[str, str | None] | None:
    try:
        [found] = json.loads(world.here.run("ip", "-j", "route", "get", address))
    except RuntimeError:
        return None
    if found.get("type", "unicast") not in {"unicast", "local"}:
        return None
    via = found.get("via", {}).get("host")
    return found["dev"], found.get("gateway", via)


def resolve(world: World, routes: Routes, *targets: str, seconds: float = 10) -> tuple[list[int], list[str]]:
    """Look up until nothing is waited for; states and link-layer addresses in the order of the targets."""
    hi, lo = np.array([split_address(parse_address(target)) for target in targets], dtype=np.uint64).T
    with world.here.inside(lambda: Neighbours(routes)) as neighbours:
        end = time.monotonic() + seconds
        while True:
            known, mac = neighbours.look_up(routes.find(hi, lo), hi, lo)
            if not (known == WAITING).any():
                return known.tolist(), [row.tobytes().hex(":") for row in mac]
            assert time.monotonic() < end, "neighbours are still waited for"
            neighbours.step(time.monotonic())
            time.sleep(0.002)


def test_neighbours_answer_for_themselves_and_for_what_lies_behind(world: World) -> None:
    targets = ("10.95.9.2", "10.95.9.200", "fd95:9::2", "10.95.10.2", "10.96.0.9", "10.96.4.9", "fd96::9", "10.95.11.9")
    world.there.run("ip", "address", "add", "10.95.9.200/32", "dev", "lo")
    known, macs = resolve(world, routes_to(world, *targets), *targets)
    assert known == [READY] * len(targets)
    assert macs == [world.mac] * 3 + [world.second] + [world.mac] * 3 + ["00:00:00:00:00:00"]


def test_vlan() -> None:
    """A VLAN device is an Ethernet device of its own; the kernel adds the tag to what is sent there."""
    with Lab() as lab:
        here, there = lab.namespace("here"), lab.namespace("there")
        for space, end, address in zip((here, there), lab.link(here, there), ("10.95.20.1/24", "10.95.20.2/24"), strict=True):
            try:
                space.run("ip", "link", "add", "link", end, "name", "tagged", "type", "vlan", "id", "77")
            except RuntimeError as missing:
                pytest.skip(f"this kernel has no VLAN devices: {missing}")
            space.run("ip", "address", "add", address, "dev", "tagged")
            space.run("ip", "link", "set", "tagged", "up")
        world = World(here, there, "tagged", mac_of(there, "tagged"), "")
        routes = routes_to(world, "10.95.20.2")
        assert describe(routes[0]) == "vlan ethernet on link from 10.95.20.1"
        assert resolve(world, routes, "10.95.20.2") == ([READY], [world.mac])


def test_who_is_not_there_fails_and_holds_nobody_up(world: World) -> None:
    targets = ("10.95.9.77", "10.95.9.2", IPV6_SILENT, "10.96.6.1", "10.96.1.1", "10.95.9.2")
    known, _ = resolve(world, routes_to(world, *targets), *targets)
    assert known == [FAILED, READY, FAILED, FAILED, FAILED, READY]  # 10.96.6.1 lies behind a gateway that is not there


def test_nothing_of_this_machine_changes(world: World) -> None:
    """A hundred addresses on the link, most of them nobody's: the kernel's own table of neighbours is as before."""
    network = [str(address) for address in ip_network("10.95.9.0/24").hosts()][:100]
    world.here.run("ip", "neigh", "flush", "all")
    known, _ = resolve(world, routes_to(world, *network), *network, seconds=20)
    assert known.count(READY) == 2  # our own and the other end's
    assert world.here.run("ip", "-4", "neigh").strip() == ""


def test_questions_keep_to_their_rate(world: World) -> None:
    """Counted by the target."""
    world.there.firewall("table arp count { chain in { type filter hook input priority 0; counter accept; }; }")
    network = AddressSet(((parse_address("10.95.9.3"), parse_address("10.95.9.127")),))
    routes = world.here.inside(lambda: find_routes(network))
    numbers = np.arange(network.first, network.first + network.count, dtype=np.uint64)
    hi = np.zeros_like(numbers)
    with world.here.inside(lambda: Neighbours(routes, rate=50)) as neighbours:
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < 1.5:
            neighbours.look_up(routes.find(hi, numbers), hi, numbers)
            neighbours.step(time.monotonic())
            time.sleep(0.005)
    told = json.loads(world.there.run("nft", "-j", "list", "ruleset"))["nftables"]
    counted = next(
        part["counter"]["packets"] for row in told if "rule" in row for part in row["rule"]["expr"] if "counter" in part
    )
    assert 20 <= counted <= seconds * 50 + 10  # a tenth of a second may be made up for; a busy machine asks less


def test_privileges_are_needed_only_to_begin(world: World) -> None:
    """The sockets are opened, then root is given up for good; asking and hearing go on."""
    program = """
import os, sys, time
import numpy as np
from reconshield.addresses import AddressSet, parse_address
from reconshield.scan.batch import split_address
from reconshield.scan.neighbours import Neighbours
from reconshield.scan.route import find_routes
target = parse_address(sys.argv[1])
routes = find_routes(AddressSet(((target, target),)))
neighbours = Neighbours(routes)
os.setgid(65534); os.setuid(65534)
hi, lo = (np.array([half], dtype=np.uint64) for half in split_address(target))
for _ in range(1000):
    known, mac = neighbours.look_up(routes.find(hi, lo), hi, lo)
    if known[0]: break
    neighbours.step(time.monotonic()); time.sleep(0.005)
print(known[0], mac[0].tobytes().hex(":"), find_routes(AddressSet(((target, target),)))[0].device.kind)
"""
    world.here.run("ip", "neigh", "flush", "all")
    for target in ("10.95.9.2", "fd95:9::2"):
        assert world.here.python(program, target).split() == ["1", world.mac, "veth"]


def test_no_right_to_open_sockets_is_an_error_of_the_system(world: World) -> None:
    program = """
import os
from reconshield.addresses import AddressSet
from reconshield.scan.neighbours import Neighbours
from reconshield.scan.route import find_routes
os.setuid(65534)
try:
    Neighbours(find_routes(AddressSet.of("10.95.9.2")))
except PermissionError:
    print("refused")
"""
    assert world.here.python(program).strip() == "refused"


def test_devices_without_a_link_layer_header_are_told(world: World) -> None:
    [route] = routes_to(world, "10.95.11.9")
    assert route.device is not None
    assert (route.device.layer, route.device.resolves) == (Layer.NONE, False)
