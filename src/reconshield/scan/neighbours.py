"""Link-layer addresses of the next hops: what the kernel knows already, else our own ARP requests and neighbour solicitations.

    with Neighbours(routes) as neighbours:          opens the sockets; privileges may be dropped afterwards
        while waiting:
            known, mac = neighbours.look_up(which, hi, lo)      columns; what is WAITING has been asked for
            neighbours.step(time.monotonic())                   a few times in ten milliseconds

Prompting the kernel instead would put every silent address of a /16 into its table of a thousand neighbours and push out those
that other programs need. So the questions are ours and nothing of this machine changes: at most 200 a second on a segment, and
three for each address, a second apart, as the kernel does. Who never answers is `FAILED`, which a scan tells as `unreachable`,
`no-neighbour`. An answer counts only for an address that is being asked for.  RFC 826, RFC 4861 §7.2.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reconshield.scan import neighbour_frames as frames
from reconshield.scan.batch import numbers_in
from reconshield.scan.neighbour_frames import NO_MAC
from reconshield.scan.netlink import GET_NEIGHBOUR, Netlink
from reconshield.scan.route import Device, Layer, Route, Routes
from reconshield.scan.space import U64, V4_FIRST, V4_LAST

WAITING, READY, FAILED = 0, 1, 2
"""What is known of a neighbour: not answered yet; `mac` holds; never answered."""

RATE = 200.0
"""Questions a second on one segment."""
TRIES, PAUSE = 3, 1.0
CATCH_UP = 0.1
"""Seconds for which a late `step` may make up."""

REMEMBERED = 2**18
"""Neighbours that are kept; the oldest are forgotten and asked again when they are needed."""

EVERYBODY = b"\xff" * 6
NEIGHBOUR = struct.Struct("=BxxxiHBB")
NDA_DST, NDA_LLADDR = 1, 2
PROVEN = 0x02 | 0x40 | 0x80
"""Entries of the kernel's that hold now: NUD_REACHABLE, NUD_NOARP, NUD_PERMANENT."""


@dataclass(slots=True)
class Segment:
    """One device and family: whom we asked, who answered. Pure; the time is an argument."""

    rate: float = RATE
    found: dict[int, bytes | None] = field(default_factory=dict)
    """The link-layer address of each neighbour; None where nobody answered."""
    _pending: dict[int, int] = field(default_factory=dict)
    _row: deque[tuple[float, int]] = field(default_factory=deque)
    _again: deque[tuple[float, int]] = field(default_factory=deque)
    _next: float = 0.0

    @property
    def waiting(self) -> int:
        return len(self._pending)

    def want(self, address: int) -> None:
        """Ask for this neighbour when its turn comes, unless it is known or being asked for."""
        if address not in self._pending and address not in self.found:
            self._pending[address] = 0
            self._row.append((0.0, address))

    def due(self, now: float) -> list[int]:
        """The neighbours to ask now; they count as asked. Those that did not answer in time are settled here."""
        asked: list[int] = []
        self._next = max(self._next, now - CATCH_UP)
        while self._next <= now and (address := self._take(now)) is not None:
            asked.append(address)
            self._next += 1 / self.rate
        return asked

    def heard(self, address: int, mac: bytes) -> None:
        """A neighbour has told its address. Whoever was not asked is not believed."""
        if self._pending.pop(address, None) is not None:
            self._keep(address, mac)

    def _take(self, now: float) -> int | None:
        """The next one in turn; the repeated before the new, so that blocks get finished."""
        while self._again and self._again[0][0] <= now:
            _, address = self._again.popleft()
            if address not in self._pending:
                continue
            if self._pending[address] >= TRIES:
                del self._pending[address]
                self._keep(address, None)
                continue
            return self._count(address, now)
        while self._row:
            _, address = self._row.popleft()
            if address in self._pending:
                return self._count(address, now)
        return None

    def _count(self, address: int, now: float) -> int:
        self._pending[address] += 1
        self._again.append((now + PAUSE, address))
        return address

    def _keep(self, address: int, mac: bytes | None) -> None:
        self.found[address] = mac
        if len(self.found) > REMEMBERED:
            del self.found[next(iter(self.found))]


class Neighbours:
    """The next hops of all routes of a scan. Needs CAP_NET_RAW to be made, nothing afterwards."""

    def __init__(self, routes: Routes, rate: float = RATE) -> None:
        self._routes = routes
        self._segments: dict[tuple[int, bool], Segment] = {}
        self._links: dict[tuple[int, bool], _Link] = {}
        self._keys = [_key(route) for route in routes]
        try:
            for route, key in zip(routes, self._keys, strict=True):
                if key is not None and key not in self._segments:
                    self._segments[key] = Segment(rate)
                    self._links[key] = _open_link(route, is_v4=key[1])
        except OSError:
            self.close()
            raise
        self._learn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for link in self._links.values():
            link.sock.close()

    @property
    def waiting(self) -> int:
        """How many neighbours are being asked for."""
        return sum(segment.waiting for segment in self._segments.values())

    def sockets(self) -> list[socket.socket]:
        """What may be polled for answers."""
        return [link.sock for link in self._links.values()]

    def look_up(self, which: NDArray[np.int32], hi: U64, lo: U64) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """For each address, given with the number of its route: what is known, and the link-layer address (rows of six bytes).

        Devices without neighbours (tun, loopback) are READY with zeros. Routes with a verdict are FAILED.
        """
        known = np.full(which.shape, FAILED, dtype=np.uint8)
        mac = np.zeros((which.size, 6), dtype=np.uint8)
        for number in numbers_in(which):
            if number >= 0:
                rows = which == number
                known[rows], mac[rows] = self.look_up_by(number, hi[rows], lo[rows])
        return known, mac

    def look_up_by(self, number: int, hi: U64, lo: U64) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The same for addresses of one route."""
        route, key = self._routes[number], self._keys[number]
        if key is not None:
            if route.gateway is None:
                return self._states(key, hi, lo)
            state, mac = self._state(key, route.gateway)
        else:  # a device that asks nobody sends to its own address, as the kernel does (arp_constructor)
            state, mac = FAILED if route.verdict else READY, _own_mac(route)
        return np.full(hi.shape, state, dtype=np.uint8), np.frombuffer(mac * hi.size, dtype=np.uint8).reshape(-1, 6)

    def step(self, now: float) -> None:
        """Read what has come, ask what is due. Never waits. `now` in seconds of a steady clock."""
        for key, link in self._links.items():
            segment = self._segments[key]
            link.listen(segment)
            for address in segment.due(now):
                link.ask(address)

    def _state(self, key: tuple[int, bool], address: int) -> tuple[int, bytes]:
        segment = self._segments[key]
        if address not in segment.found:
            segment.want(address)
            return WAITING, NO_MAC
        mac = segment.found[address]
        return (FAILED if mac is None else READY), mac or NO_MAC

    def _states(self, key: tuple[int, bool], hi: U64, lo: U64) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The same for a column. Each different address is looked up once."""
        segment = self._segments[key]
        states, macs = bytearray(), bytearray()
        different, back = _different(hi, lo)
        for address in different:
            mac = segment.found.get(address, b"")
            if mac == b"":
                segment.want(address)
            states.append(WAITING if mac == b"" else FAILED if mac is None else READY)
            macs += mac or NO_MAC
        return np.frombuffer(states, dtype=np.uint8)[back], np.frombuffer(macs, dtype=np.uint8).reshape(-1, 6)[back]

    def _learn(self) -> None:
        """Take over what the kernel has confirmed."""
        with Netlink() as kernel:
            for fixed, told in kernel.dump(GET_NEIGHBOUR, NEIGHBOUR.pack(0, 0, 0, 0, 0)):
                _, index, state, _, _ = NEIGHBOUR.unpack(fixed)
                packed, mac = told.get(NDA_DST, b""), told.get(NDA_LLADDR, b"")
                segment = self._segments.get((index, len(packed) == 4))
                if segment is not None and state & PROVEN and len(mac) == 6:
                    segment.found[int.from_bytes(packed) | (V4_FIRST if len(packed) == 4 else 0)] = mac


@dataclass(slots=True)
class _Link:
    """A packet socket on one device for one family. The kernel puts the link-layer header before what is sent."""

    sock: socket.socket
    device: Device
    source: int
    is_v4: bool

    def ask(self, address: int) -> None:
        """Send one question. What the device does not take now counts as a question that was lost."""
        own, me = self.device.address, self.source
        if self.is_v4:
            frame, protocol, goal = frames.ask_arp(address, me, own), frames.ETH_ARP, EVERYBODY
        else:
            frame, protocol = frames.solicit(address, me, own), frames.ETH_IPV6
            goal = b"\x33\x33\xff" + address.to_bytes(16)[13:]
        with suppress(OSError):
            self.sock.sendto(frame, (self.device.name, protocol, 0, 1, goal))

    def listen(self, segment: Segment) -> None:
        """Take every answer that has come."""
        for _ in range(4096):  # a flood of frames must not keep us from our work
            try:
                frame, _ = self.sock.recvfrom(128)
            except OSError:  # nothing more; or the device has gone, which silence tells
                return
            told = frames.read_arp(frame) if self.is_v4 else frames.read_advertisement(frame)
            if told is not None:
                segment.heard(*told)


def _different(hi: U64, lo: U64) -> tuple[list[int], NDArray[np.intp]]:
    """Each different address once, and for each row which one it is."""
    if hi.size and (hi == hi[0]).all():  # IPv4, or one IPv6 network: sorting one column is ten times faster than two
        lows, back = np.unique(lo, return_inverse=True)
        return [int(hi[0]) << 64 | low for low in lows.tolist()], back
    pairs = np.empty(hi.size, dtype=[("hi", "u8"), ("lo", "u8")])
    pairs["hi"], pairs["lo"] = hi, lo
    both, back = np.unique(pairs, return_inverse=True)
    return [high << 64 | low for high, low in both.tolist()], back


def _key(route: Route) -> tuple[int, bool] | None:
    """Which segment a route's next hop lies on; None where nobody is to be asked."""
    if route.device is None or not route.device.resolves or route.verdict or route.own:
        return None
    hop = route.gateway if route.gateway is not None else route.addresses.first
    return route.device.index, V4_FIRST <= hop <= V4_LAST


def _own_mac(route: Route) -> bytes:
    device = route.device
    return device.address if device is not None and device.layer is Layer.ETHERNET and len(device.address) == 6 else NO_MAC


def _open_link(route: Route, *, is_v4: bool) -> _Link:
    if route.device is None or route.asks_from is None:
        raise ValueError("a route without a device has no neighbours")
    protocol = frames.ETH_ARP if is_v4 else frames.ETH_IPV6
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    if not is_v4:
        _only_advertisements(sock)
    sock.bind((route.device.name, protocol))
    sock.setblocking(False)
    return _Link(sock, route.device, route.asks_from, is_v4)


def _only_advertisements(sock: socket.socket) -> None:
    """Let the kernel drop all other IPv6 packets: a classic BPF program on the next header and the ICMPv6 type."""
    import ctypes

    program = (
        (0x30, 0, 0, 6),  # the next header
        (0x15, 0, 3, frames.ICMP6),
        (0x30, 0, 0, 40),  # the type
        (0x15, 0, 1, frames.ADVERTISEMENT),
        (0x06, 0, 0, 128),  # keep 128 bytes
        (0x06, 0, 0, 0),  # drop
    )
    code = b"".join(struct.pack("=HBBI", *step) for step in program)
    held = ctypes.create_string_buffer(code)
    sock.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(code) // 8, ctypes.addressof(held)))  # SO_ATTACH_FILTER
