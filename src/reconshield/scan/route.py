"""Where packets to a set of addresses would go: device, gateway or on the link, source address. The kernel decides, we ask.

    routes = find_routes(targets.addresses)     a /8 with one route costs one question
    which = routes.find(hi, lo)                 for each address of a block the number of its route
    routes[which[0]].device.name

Routing is policy rules, several tables, metrics, multipath; to imitate that would be to get it wrong. But all of it turns on
prefixes, and those can be listed: cut the address space at every prefix of every table and rule, and the kernel's decision is
the same for all addresses of a piece. So one question for each piece that holds targets is enough, whatever its size.

A target that cannot be reached is a route with a verdict and a sentence why: no route, an `unreachable`, `blackhole` or
`prohibit` route, a device that is down. Linux only; nothing is sent, no privilege is needed, and what counts is the network
namespace of the calling thread.
"""

from __future__ import annotations

import errno
import socket
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet
from reconshield.scan import verdicts
from reconshield.scan.answers import BY_ERRNO
from reconshield.scan.netlink import GET_LINK, GET_ROUTE, GET_RULE, Message, Netlink, attribute, attributes_of
from reconshield.scan.space import U64, V4_FIRST, V4_LAST, AddressSpace
from reconshield.scan.verdicts import Verdict

LINK, ROUTE, RULE = struct.Struct("=BxHiII"), struct.Struct("=BBBBBBBBI"), struct.Struct("=BBBBBBBBI")
"""struct ifinfomsg, rtmsg, fib_rule_hdr."""

IFLA_ADDRESS, IFLA_NAME, IFLA_MTU, IFLA_LINKINFO, INFO_KIND = 1, 3, 4, 18, 1
IFF_UP, IFF_NOARP, IFF_LOWER_UP = 0x1, 0x80, 0x10000
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_METRICS, RTA_VIA, RTA_ENCAP, METRIC_MTU = 1, 4, 5, 7, 8, 18, 22, 2
RTN_UNICAST, RTN_LOCAL, RTN_ANYCAST = 1, 2, 4
ERROR_OF_TYPE = {6: errno.EINVAL, 7: errno.EHOSTUNREACH, 8: errno.EACCES, 9: errno.ENETUNREACH}
"""RTN_BLACKHOLE, _UNREACHABLE, _PROHIBIT and _THROW, and what a connect over them is told."""

SOURCE_LABELS = (("fc00::", 7), ("2001::", 32), ("2002::", 16), ("::", 96), ("3ffe::", 16), ("fec0::", 10))
"""Prefixes by which the choice of an IPv6 source address differs (RFC 6724 §2.1)."""


NOTHING = AddressSet()


class Layer(StrEnum):
    """What stands before the IP header on a device."""

    ETHERNET = "ethernet"
    """Fourteen bytes: Ethernet, Wi-Fi, veth, bridges, bonds; a VLAN device too, the kernel adds the tag."""
    NONE = "none"
    """Nothing: tun, WireGuard, PPP, IP in IP."""
    LOOPBACK = "loopback"
    OTHER = "other"
    """A header that this program does not build (InfiniBand, GRE with keys): for the connect engine."""


LAYERS = {1: Layer.ETHERNET, 772: Layer.LOOPBACK} | dict.fromkeys((0xFFFE, 512, 519, 768, 769, 776), Layer.NONE)
"""By ARPHRD_* (linux/if_arp.h): ETHER, LOOPBACK; NONE, PPP, RAWIP, TUNNEL, TUNNEL6, SIT."""


@dataclass(frozen=True, slots=True)
class Device:
    """A network device. `kind` is the kernel's word (veth, vlan, tun, wireguard, …; empty for hardware), `address` its own
    link-layer address, `resolves` whether neighbours are asked for theirs (ARP, neighbour discovery).
    """

    index: int
    name: str
    layer: Layer
    kind: str
    address: bytes
    mtu: int
    up: bool
    resolves: bool


@dataclass(frozen=True, slots=True)
class Route:
    """The way to some addresses. Addresses are 128-bit numbers, IPv4 v4-mapped; `gateway` None means on the link.

    With a `verdict` they cannot be reached from here at all, and `why` says so for people. `own`: they are this machine's.
    `asks_from` is our address as the neighbour on this route should see it, in the neighbour's family.
    """

    addresses: AddressSet
    device: Device | None = None
    source: int | None = None
    gateway: int | None = None
    asks_from: int | None = None
    mtu: int = 0
    own: bool = False
    verdict: Verdict | None = None
    why: str = ""


class Routes:
    """The routes of a set of addresses; a sequence of `Route`, and `find` for whole columns."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._routes = routes
        self._spaces = [AddressSpace(route.addresses) for route in routes]

    def __len__(self) -> int:
        return len(self._routes)

    def __getitem__(self, number: int) -> Route:
        return self._routes[number]

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def find(self, hi: U64, lo: U64) -> NDArray[np.int32]:
        """The number of each address's route; -1 for an address that was not asked about."""
        which = np.full(hi.shape, -1, dtype=np.int32)
        for number, space in enumerate(self._spaces):
            which[space.find(hi, lo) >= 0] = number
        return which


def find_routes(addresses: AddressSet) -> Routes:
    """Ask the kernel for the way to every address of a set, once for each piece that it treats alike."""
    with Netlink() as kernel:
        devices = {device.index: device for device in _read_devices(kernel)}
        pieces = _cut(addresses, _borders(kernel))
        answers = kernel.ask_all(GET_ROUTE, [_question(piece[0][0]) for piece in pieces], ROUTE.size)
        merged: dict[Route, list[tuple[int, int]]] = {}
        for piece, answer in zip(pieces, answers, strict=True):
            merged.setdefault(_read_route(answer, devices, piece[0][0]), []).extend(piece)
        found = [replace(route, addresses=AddressSet(tuple(ranges))) for route, ranges in merged.items()]
        return Routes(tuple(_name_asker(kernel, route) for route in found))


def read_devices() -> tuple[Device, ...]:
    """Every network device of this namespace."""
    with Netlink() as kernel:
        return tuple(_read_devices(kernel))


def _read_devices(kernel: Netlink) -> Iterator[Device]:
    for fixed, told in kernel.dump(GET_LINK, LINK.pack(0, 0, 0, 0, 0)):
        _, hardware, index, flags, _ = LINK.unpack(fixed)
        layer = LAYERS.get(hardware, Layer.OTHER)
        yield Device(
            index=index,
            name=told.get(IFLA_NAME, b"?").rstrip(b"\0").decode("utf-8", "replace"),
            layer=layer,
            kind=attributes_of(told.get(IFLA_LINKINFO, b"")).get(INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace"),
            address=told.get(IFLA_ADDRESS, b""),
            mtu=struct.unpack("=I", told[IFLA_MTU])[0],
            up=flags & (IFF_UP | IFF_LOWER_UP) == IFF_UP | IFF_LOWER_UP,
            resolves=layer is Layer.ETHERNET and not flags & IFF_NOARP,
        )


def _borders(kernel: Netlink) -> list[int]:
    """Every address at which the kernel's decision may change, ascending."""
    borders = {0, V4_FIRST, V4_LAST + 1}
    for family in (socket.AF_INET, socket.AF_INET6):
        for fixed, told in kernel.dump(GET_ROUTE, ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            borders |= _ends(family, told.get(RTA_DST), fixed[1])
        for fixed, told in kernel.dump(GET_RULE, RULE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            borders |= _ends(family, told.get(RTA_DST), fixed[1])  # FRA_DST has the same number
    for text, length in SOURCE_LABELS:
        borders |= _ends(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text), length)
    return sorted(borders)


def _ends(family: int, prefix: bytes | None, length: int) -> set[int]:
    """The first address of a prefix, and the first one behind it."""
    if prefix is None:
        return set()
    first = _number(prefix)
    return {first, first + (1 << (32 if family == socket.AF_INET else 128) - length)}


def _cut(addresses: AddressSet, borders: list[int]) -> list[list[tuple[int, int]]]:
    """The ranges of a set by the piece that they lie in, cut where they cross a border."""
    pieces: dict[int, list[tuple[int, int]]] = {}
    for start, last in addresses.ranges:
        first = start
        while first <= last:
            piece = bisect_right(borders, first)
            end = min(last, borders[piece] - 1) if piece < len(borders) else last
            pieces.setdefault(piece, []).append((first, end))
            first = end + 1
    return list(pieces.values())


def _question(address: int, device: int = 0) -> bytes:
    family = socket.AF_INET if _is_v4(address) else socket.AF_INET6
    packed = _packed(address)
    asked = ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, packed)
    return asked + attribute(RTA_OIF, struct.pack("=I", device)) if device else asked


def _read_route(answer: Message | int, devices: dict[int, Device], address: int) -> Route:
    """One answer as a route, still without its addresses."""
    if isinstance(answer, int):
        return _refused(answer)
    fixed, told = answer
    kind = ROUTE.unpack(fixed)[7]
    if kind in ERROR_OF_TYPE:
        return _refused(ERROR_OF_TYPE[kind])
    device = devices.get(struct.unpack("=I", told[RTA_OIF])[0]) if RTA_OIF in told else None
    source = _number(told[RTA_PREFSRC]) if RTA_PREFSRC in told else None
    if kind in {RTN_LOCAL, RTN_ANYCAST}:
        return Route(NOTHING, device, source, own=True, mtu=device.mtu if device else 0)
    if device is None or source is None or kind != RTN_UNICAST or not device.up:
        return _blocked(kind, device)
    if RTA_ENCAP in told:
        device = replace(device, layer=Layer.OTHER)
    metrics = attributes_of(told.get(RTA_METRICS, b""))
    limit = struct.unpack("=I", metrics[METRIC_MTU])[0] if METRIC_MTU in metrics else device.mtu
    gateway = _gateway(told)
    return Route(NOTHING, device, source, gateway if gateway != address else None, mtu=min(limit, device.mtu) or device.mtu)


def _blocked(kind: int, device: Device | None) -> Route:
    """A route over which nothing can be sent."""
    if kind != RTN_UNICAST:
        return Route(NOTHING, verdict=verdicts.NO_ROUTE, why="a broadcast or multicast address")
    if device is None:
        return Route(NOTHING, verdict=verdicts.NO_ROUTE, why="the route leads to no device that is seen from here")
    if not device.up:
        return Route(NOTHING, device, verdict=verdicts.NO_NEIGHBOUR, why=f"{device.name} is down or not connected")
    return Route(NOTHING, device, verdict=verdicts.NO_ROUTE, why=f"no address of ours to send from on {device.name}")


def _gateway(told: dict[int, bytes]) -> int | None:
    """The next hop, in either family: IPv4 may go by an IPv6 neighbour (RFC 8950)."""
    packed = told.get(RTA_GATEWAY) or told.get(RTA_VIA, b"")[2:]
    return _number(packed) if packed and any(packed) else None


def _refused(number: int) -> Route:
    """No way there, for the kernel's reason."""
    verdict = BY_ERRNO.get(number)
    if verdict is None:
        raise OSError(number, "the kernel does not tell a route", "netlink")
    reasons = {errno.EACCES: "a prohibit route", errno.EINVAL: "a blackhole route", errno.EHOSTUNREACH: "an unreachable route"}
    return Route(NOTHING, verdict=verdict, why=f"{reasons.get(number, 'no route')} of this machine")


def _name_asker(kernel: Netlink, route: Route) -> Route:
    """Add the address from which neighbours on this route are asked for."""
    if route.device is None or not route.device.resolves or route.verdict or route.own:
        return route
    if route.gateway is None:
        return replace(route, asks_from=route.source)
    answer = kernel.ask_all(GET_ROUTE, [_question(route.gateway, route.device.index)], ROUTE.size)[0]
    told = answer.attributes if isinstance(answer, Message) else {}
    return replace(route, asks_from=_number(told[RTA_PREFSRC]) if RTA_PREFSRC in told else route.source)


def _is_v4(address: int) -> bool:
    return V4_FIRST <= address <= V4_LAST


def _number(packed: bytes) -> int:
    return int.from_bytes(packed) | (V4_FIRST if len(packed) == 4 else 0)


def _packed(address: int) -> bytes:
    return (address - V4_FIRST).to_bytes(4) if _is_v4(address) else address.to_bytes(16)
