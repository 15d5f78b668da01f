"""The devices that a raw scan sends and hears by: rings for each of them, and threads that push packets out.

    wires = Wires(routes, method, senders=2)       opens every socket; privileges may be dropped afterwards
    wires.room(route_number, 500)                  how many of 500 packets can be taken now
    wires.send(route_number, shape, asked, …)      builds them in a ring, and lets a thread push them
    for packets in wires.hear(): …                 what has come in

Building packets is a tenth of the work, the kernel's part the rest. So one thread builds and listens, and each sender is a
thread with rings of its own that is inside one system call most of the time. Nothing is shared but the words in the rings
that say whose a row is.
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reconshield.errors import PartialResult
from reconshield.scan import filters
from reconshield.scan.cookies import SourcePorts
from reconshield.scan.packets import ETH_IPV4, ETH_IPV6, Asked, Shape, ethernet, is_v4_number
from reconshield.scan.raw_socket import SendQueue
from reconshield.scan.ring import Packets, ReceiveRing, SendRing
from reconshield.scan.route import Layer, Route, Routes

NO_MAC = bytes(6)
CHUNK = 4096
"""Packets that are built and pushed at once at most."""
CHUNKS = 4
"""What a ring holds: while one chunk is sent others are ready, so that a sender need not wait for Python."""
HEARD_AT_ONCE = 8192

Key = tuple[str, bool]
"""A device's name, and whether IPv4."""

Out = SendRing | SendQueue


@dataclass(frozen=True, slots=True)
class Wire:
    """One device in one family: a ring for each sender, and one for what comes in."""

    out: tuple[Out, ...]
    come: ReceiveRing


@dataclass(slots=True, eq=False)
class Sending:
    """Packets in a ring that are to go out. `stamps[rows]` is set to the time (Unix seconds) just before they do.

    `gone_at` is when the kernel had taken them (a steady clock's seconds), infinite until then: a busy machine may leave them
    in the ring for as long as an answer would be waited for.
    """

    ring: Out
    at: int
    count: int
    stamps: NDArray[np.float64]
    rows: NDArray[np.intp] | slice
    gone_at: float = inf


class Pusher:
    """A thread that pushes the rings it is given. Sending lets go of Python's lock, so several do it at the same time."""

    def __init__(self, done: int) -> None:
        """`done`: an event counter that is raised after each push."""
        self._sendings: queue.SimpleQueue[Sending | None] = queue.SimpleQueue()
        self._done = done
        self.failure: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="raw sender", daemon=True)
        self._thread.start()

    def push(self, sending: Sending) -> None:
        self._sendings.put(sending)

    def end(self) -> None:
        self._sendings.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (sending := self._sendings.get()) is not None:
            try:
                sending.stamps[sending.rows] = time.time()
                sending.ring.push(sending.at, sending.count)
            except OSError as failure:  # nobody to raise to here; `Wires.check` does
                self.failure = failure
            sending.gone_at = time.perf_counter()
            os.eventfd_write(self._done, 1)


class Wires:
    """Every ring of a scan."""

    def __init__(self, routes: Routes, sources: SourcePorts, senders: int = 1) -> None:
        self._routes = routes
        self._wires: dict[Key, Wire] = {}
        self._senders = senders
        self._pushers: list[Pusher] = []
        self._poll = select.poll()
        self._turn = 0
        self.heard_until = inf
        self._keys = [key_of(route) if route.verdict is None else ("", False) for route in routes]
        self._done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            for route in routes:
                if route.verdict is None and key_of(route) not in self._wires:
                    self._wires[key_of(route)] = wire = open_wire(route, sources, senders)
                    self._poll.register(wire.come, select.POLLIN)
        except OSError:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Start the threads; they have the privileges that the caller has now."""
        self._pushers = [Pusher(self._done) for _ in range(self._senders)]
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for pusher in self._pushers:
            pusher.end()
        for wire in self._wires.values():
            wire.come.close()
            for ring in wire.out:
                ring.close()
        os.close(self._done)

    def room(self, number: int, most: int) -> int:
        """How many packets a sender can take now for this route, at most `most`; 0 while every one is busy."""
        out = self._wires[self._keys[number]].out
        for _ in out:
            room = out[self._turn].room(min(most, CHUNK))
            if room:
                return room
            self._turn = (self._turn + 1) % len(out)
        return 0

    def send(
        self, number: int, shape: Shape, asked: Asked, stamps: NDArray[np.float64], rows: NDArray[np.intp] | slice
    ) -> Sending:
        """Build packets, no more than there is `room` for, and let a sender push them; `stamps[rows]` becomes the time."""
        ring = self._wires[self._keys[number]].out[self._turn]
        count = asked.hi.size
        at, data = ring.take(count, shape.frame)
        shape.fill(data, asked)
        sending = Sending(ring, at, count, stamps, rows)
        self._pushers[self._turn].push(sending)
        self._turn = (self._turn + 1) % self._senders
        return sending

    def hear(self) -> Iterator[Packets]:
        """What has come in, at most so much of each wire that sending is not held up. Given back when the next is asked for.

        `heard_until` is then the time (Unix seconds) up to which all was heard; infinite if nothing is left.
        """
        until = inf
        for wire in self._wires.values():
            packets = wire.come.read(HEARD_AT_ONCE)
            if packets is not None:
                yield packets
                wire.come.release(packets)
                if wire.come.has_more():
                    until = min(until, float(packets.stamps[-1]))
        self.heard_until = until

    def wait(self, seconds: float) -> None:
        """Sleep until a packet comes in, at most so long."""
        self._poll.poll(seconds * 1000)

    def wait_for_room(self, seconds: float) -> None:
        """Sleep until a sender has pushed out what it had, at most so long."""
        select.select([self._done], [], [], seconds)
        with suppress(BlockingIOError):
            os.eventfd_read(self._done)

    def watch(self, descriptor: int) -> None:
        """Let something else that becomes readable end a `wait`."""
        self._poll.register(descriptor, select.POLLIN)

    def check(self) -> None:
        """Raise `PartialResult` if a device has stopped to take packets (it was taken down or away)."""
        for pusher in self._pushers:
            if pusher.failure is not None:
                raise PartialResult(
                    f"packets cannot be sent any more: {pusher.failure.strerror}", hint="resume the run when the device is back"
                ) from pusher.failure

    def lost(self) -> int:
        """Packets that this machine had no room for since the last call, in and out."""
        lost = sum(wire.come.lost() for wire in self._wires.values())
        for wire in self._wires.values():
            for ring in wire.out:
                lost, ring.dropped = lost + ring.dropped, 0
        return lost


def open_wire(route: Route, sources: SourcePorts, senders: int) -> Wire:
    name, is_v4 = key_of(route)
    protocol = ETH_IPV4 if is_v4 else ETH_IPV6
    program = (filters.answers_v4 if is_v4 else filters.answers_v6)(sources.first, sources.last)
    ring = not route.own and has_ring(route)
    out = tuple(SendRing(name, protocol, CHUNKS * CHUNK) if ring else SendQueue(CHUNK, is_v4=is_v4) for _ in range(senders))
    return Wire(out, ReceiveRing(name, protocol, program))


def has_ring(route: Route) -> bool:
    """Whether packets can be put on this route's device as they are. For own addresses and rare headers the kernel sends."""
    return route.device is not None and route.device.layer in {Layer.ETHERNET, Layer.NONE}


def has_mac(route: Route) -> bool:
    return route.device is not None and route.device.layer is Layer.ETHERNET


def key_of(route: Route) -> Key:
    if route.device is None or route.source is None:
        raise ValueError("a route without a device has no wire")
    return route.device.name, is_v4_number(route.source)


def link_of(route: Route) -> bytes:
    """The bytes before the IP header, the next hop's address left open."""
    if route.device is None or route.source is None or route.device.layer is not Layer.ETHERNET:
        return b""
    return ethernet(NO_MAC, route.device.address, route.source)
