"""One connection: bytes out, bytes in, each with a time by which it must be done. The only sockets of identification.

Nothing is read that nobody waits for, and the kernel's buffer is kept small, so a server that floods fills neither our memory
nor the kernel's. Silence is `None`, an ended connection `b""`; neither is an error. UDP is the same: one `receive` is one
datagram, and an ICMP "port unreachable" ends it. Some servers answer from another port of theirs (TFTP always does), so where
the system tells errors to an unconnected socket (Linux) any port of the asked address may answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from reconshield.model import Endpoint

KERNEL_BUFFER = 64 * 1024
CHUNK = 16 * 1024
DATAGRAM = 65535
RECEIVE_ERRORS = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""IP_RECVERR and IPV6_RECVERR (ip(7), ipv6(7)), which Python does not name."""
RESET = "accepted, then reset at once"


STRANGERS = 16
"""So many datagrams from other addresses are thrown away in one go."""


class Line(Protocol):
    """What a conversation needs of a connection: a plain one, or one inside TLS."""

    ended: str | None

    async def receive(self, by: float) -> bytes | None: ...

    async def send(self, data: bytes, by: float) -> bool: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Meter:
    """Counts what an endpoint has sent us; at the limit every connection to it counts as ended."""

    limit: int
    received: int = 0

    @property
    def spent(self) -> bool:
        return self.received >= self.limit


class Wire:
    """A connected, non-blocking socket. `ended` says how the other side left: "closed", "reset", or None while it has not."""

    __slots__ = ("_loop", "_meter", "_peer", "_socket", "ended", "rtt", "udp")

    def __init__(
        self,
        connected: socket.socket,
        loop: asyncio.AbstractEventLoop,
        rtt: float,
        meter: Meter,
        udp: bool,
        peer: Endpoint | None = None,
    ) -> None:
        self._socket = connected
        self._peer = peer
        self._loop = loop
        self._meter = meter
        self.udp = udp
        self.rtt = rtt
        self.ended: str | None = None

    async def receive(self, by: float) -> bytes | None:
        """The next bytes that come by the loop's time `by`; None for silence, b"" when the other side has left."""
        if self.ended or self._meter.spent:
            self.ended = self.ended or "cut"
            return b""
        data = self._take()
        if data is None:
            await self._wait(by)
            data = self._take()  # also when the time is up: we may have been held up ourselves
        if data:
            self._meter.received += len(data)
        return data

    def _take(self) -> bytes | None:
        try:
            data = self._socket.recv(CHUNK) if not self.udp else self._take_datagram()
        except (BlockingIOError, InterruptedError):
            return self._take_error()
        except OSError as problem:
            self.ended = "reset" if isinstance(problem, ConnectionResetError) else name_problem(problem)
            return b""
        if not data and not self.udp:
            self.ended = "closed"
        return data

    def _take_datagram(self) -> bytes:
        """The next datagram that comes from the asked address; what others send is thrown away."""
        if self._peer is None:
            return self._socket.recv(DATAGRAM)
        for _ in range(STRANGERS):
            data, sender = self._socket.recvfrom(DATAGRAM)
            if sender[0] == self._peer.ip or ip_address(sender[0]) == ip_address(self._peer.ip):
                return data
        raise BlockingIOError

    def _take_error(self) -> bytes | None:
        """An ICMP error that a `send` has already swallowed is still in the socket's queue of errors."""
        if self._peer is None:
            return None
        try:
            self._socket.recvmsg(1, 512, socket.MSG_ERRQUEUE)
        except OSError:
            return None
        self.ended = "unreachable"
        return b""

    async def _wait(self, by: float) -> None:
        """Until there is something to read, or `by` has come."""
        ready: asyncio.Future[None] = self._loop.create_future()
        descriptor = self._socket.fileno()
        self._loop.add_reader(descriptor, settle, ready)
        timer = self._loop.call_at(by, settle, ready)
        try:
            await ready
        finally:
            timer.cancel()
            self._loop.remove_reader(descriptor)

    async def send(self, data: bytes, by: float) -> bool:
        """Whether all of it was handed to the kernel by `by`."""
        if self.ended:
            return False
        try:
            async with asyncio.timeout_at(by):
                if self._peer is None:
                    await self._loop.sock_sendall(self._socket, data)
                else:
                    await self._loop.sock_sendto(self._socket, data, (self._peer.ip, self._peer.port))
        except TimeoutError:
            return False
        except OSError as problem:
            # What the server said before it left can still be read, so this does not mark the connection as ended.
            if self._peer is not None and not isinstance(problem, ConnectionRefusedError):
                self.ended = name_problem(problem)  # no route: there was no connection that could have said so earlier
            return isinstance(problem, ConnectionRefusedError)
        return True

    def close(self) -> None:
        with contextlib.suppress(OSError):  # nothing can be done about a socket that does not close
            self._socket.close()


def name_problem(problem: OSError) -> str:
    """The system's own words, like "no route to host"; asyncio puts others in their place."""
    return os.strerror(problem.errno).lower() if problem.errno else "no connection"


def settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def connect(endpoint: Endpoint, seconds: float, meter: Meter) -> Wire | str:
    """A connection, or why there is none ("connection refused", "no answer")."""
    loop = asyncio.get_running_loop()
    udp = endpoint.transport == "udp"
    open_to_all_ports = udp and sys.platform == "linux"
    family = socket.AF_INET6 if ":" in endpoint.ip else socket.AF_INET
    started = loop.time()
    try:
        made = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    except OSError as problem:
        return name_problem(problem)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER)
        if not udp:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if open_to_all_ports:
            made.setsockopt(*RECEIVE_ERRORS[family], 1)
            return Wire(made, loop, 0.0, meter, udp, endpoint)
        async with asyncio.timeout(seconds):
            await loop.sock_connect(made, (endpoint.ip, endpoint.port))
    except TimeoutError:
        made.close()
        return "no answer"
    except ConnectionResetError:  # a refusal answers the SYN; a reset comes after the handshake
        made.close()
        return RESET
    except OSError as problem:
        made.close()
        return name_problem(problem)
    except BaseException:
        made.close()
        raise
    return Wire(made, loop, loop.time() - started, meter, udp)
