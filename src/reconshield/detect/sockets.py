"""A host's own list of its sockets (ss, netstat, lsof, /proc/net): what listens, and which connections there are.

A reader turns each line into a `Socket`; here they become `Listening` items and flows. A list says who is connected, not who
began: where it also has listeners, a connection to one of their ports came from outside and any other one was begun here; where
it has none, or the connection is over and its listener may be too, the lower port is taken for the server's and marked as a
guess. Such lists have no times: that of the file's last
change is taken, and said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from reconshield.detect.builder import Builder, Record
from reconshield.detect.flows import Bad, Chunks, FlowState, Item, Listening, Mark, Note
from reconshield.detect.pieces import TooLong, cut_lines

NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
MOST = 100_000
"""Connections that wait for the listeners of their list, and listeners that are remembered."""
ANY = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound
MOST_LINE, MOST_HEAD = 2048, 512
End = tuple[str, int]
TIMELESS = "the list has no times: that of the file's last change is taken"


@dataclass(frozen=True, slots=True)
class Socket:
    """A line of such a list. `peer` is None where it has none; `opening` is 1 where this host waits for the answer to its first
    packet, -1 where it has just been asked; `over` that the connection has ended; `state` is that of the flow.
    """

    line: int
    transport: str
    local: End
    peer: End | None
    state: FlowState = FlowState.UNKNOWN
    opening: int = 0
    over: bool = False
    process: str | None = None
    pid: int | None = None


class Sockets:
    """Takes sockets and gives items: listeners as they come, connections at the end."""

    def __init__(self, changed: float | None) -> None:
        self._at = changed
        self._listening: set[tuple[str, str, int]] = set()
        self._waiting: list[Socket] = []
        self._builder = Builder()

    def add(self, socket: Socket) -> Iterator[Item]:
        if socket.peer is None:
            yield from self._listen(socket)
            return
        self._waiting.append(socket)
        if len(self._waiting) >= MOST:
            yield from self._give()

    def finish(self) -> Iterator[Item]:
        yield from self._give()
        if self._at is not None:
            yield Note(TIMELESS)

    def _listen(self, socket: Socket) -> Iterator[Item]:
        """A listener, once: those who share a socket are in a list several times."""
        ip, port = socket.local
        place = socket.transport, ip, port
        if port == 0 or place in self._listening:
            return
        if len(self._listening) < MOST:
            self._listening.add(place)
        yield Listening(ip, port, socket.transport, socket.process, socket.pid, at=self._at)

    def _give(self) -> Iterator[Item]:
        told = {transport for transport, _, _ in self._listening}
        seen = set[tuple[str, End, End]]()
        at = float("nan") if self._at is None else self._at
        for socket in self._waiting:
            src, dst, unsure = self._order(socket, known=socket.transport in told)
            if (socket.transport, src, dst) in seen or (socket.transport, dst, src) in seen:
                continue  # a connection of this host with itself stands there twice
            seen.add((socket.transport, src, dst))
            number = NUMBERS[socket.transport]
            marks = Mark.UNSURE if unsure else 0
            self._builder.add(Record(socket.line, at, at, src[0], dst[0], src[1], dst[1], number, socket.state, marks))
            if self._builder.full:
                yield from self._builder.take()
        self._waiting.clear()
        yield from self._builder.take()

    def _order(self, socket: Socket, *, known: bool) -> tuple[End, End, bool]:
        """The side that began, the side that serves, and whether that is a guess."""
        local, peer = socket.local, socket.peer or socket.local
        ours = any((socket.transport, ip, local[1]) in self._listening for ip in (local[0], *ANY))
        theirs = any((socket.transport, ip, peer[1]) in self._listening for ip in (peer[0],))
        if socket.opening:
            return (local, peer, False) if socket.opening > 0 else (peer, local, False)
        if ours != theirs:
            return (peer, local, False) if ours else (local, peer, False)
        if known and not ours and not socket.over and socket.transport == "tcp":
            return local, peer, False
        return (peer, local, True) if local[1] < peer[1] else (local, peer, True)


def read_sockets(chunks: Chunks) -> Iterator[tuple[int, str] | Bad]:
    """The lines of a list with their numbers, as text."""
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for number, line in enumerate(piece.data.decode("utf-8", "replace").split("\n"), piece.first):
            # No program writes longer lines, but for a list of all who share a socket, of which the first is enough.
            yield number, line[:MOST_LINE]


def head_lines(head: bytes) -> list[str]:
    """The first lines of a list, for recognising it."""
    lines = head[: 1 << 14].decode("utf-8", "replace").splitlines()[:200]
    return [line[:MOST_HEAD] for line in lines]


def read_end(text: str, every: str = "::") -> End:
    """An address and port: `10.0.0.5:22`, `[::1]:22`, `:::22`, `*:80` (`every`), `127.0.0.53%lo:53`, and `127.0.0.1.631` as BSD
    writes it; port 0 for `*`. ValueError says what is wrong.
    """
    head, point, tail = text.rpartition(".")
    dotted = bool(point) and ":" not in tail and (":" in head or head.count(".") == 3 or head == "*")
    host, _, port = (head, point, tail) if dotted else text.rpartition(":")
    host = host.replace("[", "").replace("]", "").partition("%")[0]
    if port != "*" and not (port.isascii() and port.isdecimal() and int(port[:6]) <= 65_535):
        raise ValueError(f"{text[:60]!r} has no port number: make the list with -n")
    if host in {"*", ""}:
        return every, 0 if port == "*" else int(port)
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError(f"{text[:60]!r} has no address: make the list with -n") from None
    plain = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(plain or address), 0 if port == "*" else int(port)
