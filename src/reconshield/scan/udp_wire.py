"""The sockets of a raw UDP scan: our source ports, the way out on each device, and what comes back.

    wire = Wire(routes)
    wire.send_all(packets)              each with the number of its route, and with the device's link-layer header
    for packets in wire.hear(): …       what came to our source ports, and ICMP errors

The source ports are bound by ordinary sockets that nobody reads: so no other program gets them, and our own kernel does not
answer the answers with "port unreachable". Questions are of very different sizes and never many thousands a millisecond, so
they go out by a system call each; what comes in is read from a ring (`ring`).
"""

from __future__ import annotations

import errno
import secrets
import select
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from reconshield.errors import UserError
from reconshield.scan import filters
from reconshield.scan.packets import ETH_IPV4, ETH_IPV6, U8
from reconshield.scan.ring import Packets, ReceiveRing, attach_filter
from reconshield.scan.route import Route, Routes
from reconshield.scan.wires import Key, has_ring, key_of

SOURCE_PORTS = 16
DROP_ALL = struct.pack("=HBBI", filters.RETURN, 0, 0, 0)
"""For sockets that only send."""
RESERVE_TRIES = 200
HEARD_AT_ONCE = 8192
RING_ROWS = 1 << 13
FULL = {errno.ENOBUFS, errno.EAGAIN, errno.ENOMEM}
FULL_MS, FULL_TRIES = 2, 50
GONE = {errno.ENETDOWN, errno.ENXIO, errno.ENODEV}


def is_sent_raw(route: Route) -> bool:
    """Whether this scan's packets go by this route."""
    return not route.own and route.verdict is None and has_ring(route)


class Wire:
    """Needs CAP_NET_RAW to be made, nothing afterwards. `base` is the first of our `SOURCE_PORTS` source ports."""

    def __init__(self, routes: Routes) -> None:
        keys = [key_of(route) if is_sent_raw(route) else None for route in routes]
        self._held: list[socket.socket] = []
        self._senders: dict[Key, socket.socket] = {}
        self.rings: list[ReceiveRing] = []
        try:
            self.base = self._reserve({key[1] for key in keys if key is not None})
            for name, is_v4 in sorted({key for key in keys if key is not None}):
                self._senders[name, is_v4] = _open_sender(name, is_v4=is_v4)
                self.rings.append(_open_ring(name, self.base, is_v4=is_v4))
        except OSError:
            self.close()
            raise
        self._by_route = [self._senders[key] if key is not None else None for key in keys]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for sock in (*self._held, *self._senders.values()):
            sock.close()
        for ring in self.rings:
            ring.close()

    def send_all(self, packets: Iterable[tuple[int, U8]]) -> None:
        """Send packets, each over the route with its number.

        What a full device does not take for long, or one that has gone, is as good as lost on the way.
        """
        for number, packet in packets:
            sock = self._by_route[number]
            if sock is None:
                raise ValueError("a route that leads nowhere")
            try:
                sock.send(packet.data)
            except OSError as failure:
                _send_patiently(sock, packet.data, failure)

    def hear(self) -> Iterator[Packets]:
        """What has come in, at most so much of each device that sending is not held up. Never waits."""
        for ring in self.rings:
            packets = ring.read(HEARD_AT_ONCE)
            if packets is not None:
                yield packets
                ring.release(packets)

    def _reserve(self, families: set[bool]) -> int:
        """Bind a free row of source ports for every family in use."""
        first, last = _ephemeral_ports()
        starts = range(first, last - SOURCE_PORTS + 2)
        for _ in range(RESERVE_TRIES):
            base = secrets.choice(starts)
            try:
                for port in range(base, base + SOURCE_PORTS):
                    self._held += [_hold(port, is_v4=is_v4) for is_v4 in families]
            except OSError as failure:
                for sock in self._held:
                    sock.close()
                self._held = []
                if failure.errno != errno.EADDRINUSE:
                    raise
            else:
                return base
        raise UserError(f"no {SOURCE_PORTS} free source ports in a row were found", hint="--engine connect")


def _ephemeral_ports() -> tuple[int, int]:
    first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="utf-8").split()
    return int(first), int(last)


def _hold(port: int, *, is_v4: bool) -> socket.socket:
    """Keep a port from others. What comes there is dropped by the kernel as soon as the small buffer is full."""
    sock = socket.socket(socket.AF_INET if is_v4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        if not is_v4:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.bind(("0.0.0.0" if is_v4 else "::", port))  # noqa: S104  nobody reads it
    except OSError:
        sock.close()
        raise
    return sock


def _open_sender(device: str, *, is_v4: bool) -> socket.socket:
    """A packet socket on a device. It receives nothing; devices without a header take the protocol from it."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    attach_filter(sock, DROP_ALL)
    sock.bind((device, ETH_IPV4 if is_v4 else ETH_IPV6))
    sock.setblocking(False)
    return sock


def _open_ring(device: str, base: int, *, is_v4: bool) -> ReceiveRing:
    program = (filters.answers_v4 if is_v4 else filters.answers_v6)(base, base + SOURCE_PORTS - 1)
    return ReceiveRing(device, ETH_IPV4 if is_v4 else ETH_IPV6, program, RING_ROWS)


def _send_patiently(sock: socket.socket, packet: memoryview, failure: OSError) -> None:
    """Wait for room, a tenth of a second at most; anything else that is the network's is a loss, the rest is raised."""
    if failure.errno in GONE:
        return
    if failure.errno not in FULL:
        raise failure
    waiting = select.poll()
    waiting.register(sock, select.POLLOUT)
    for _ in range(FULL_TRIES):
        waiting.poll(FULL_MS)
        try:
            sock.send(packet)
        except OSError as again:
            if again.errno in FULL:
                continue
            if again.errno not in GONE:
                raise
        return
