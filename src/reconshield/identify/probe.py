"""The contract of a probe: a generator that asks and hears, and never sees a socket, a timeout or `await`.

    def run() -> Dialogue:
        hello = yield Read(until=line)                # the server speaks first
        if not hello.startswith(b"+OK"):
            return None
        capa = yield Ask(b"CAPA\\r\\n", until=dot_line)
        upgraded = yield StartTls()                   # the TLS facts, or None when it failed
        return Match("pop3", facts={...})

    PROBE = Probe("pop3", ports=(110, 995), run=run)

`drive` runs the generator over TCP, TLS or UDP with hard limits on time, bytes and turns. A turn that ends without an answer
yields `b""`: silence and a closed connection are values, not errors. A probe gathers facts in plain JSON values; what is good
or bad about them is decided by `checks`. Parsers must take any bytes: one fuzz test runs over all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Until = Callable[[bytes], bool]
"""Says whether the bytes gathered so far are a whole answer."""


@dataclass(frozen=True, slots=True)
class Read:
    """Wait for the server to speak. Answered with the bytes, `b""` for none."""

    until: Until | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """Send `data`, then gather an answer. Answered with the bytes, `b""` for none."""

    data: bytes
    until: Until | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    """Send `data` and go on at once: a message that has no answer (MySQL's request for TLS). Answered with `b""`."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Leave this connection and open a new one like it: the server ended the first, or a question needs a fresh one.

    Answered with True, or False when it failed or the endpoint's budget of connections is spent; every further turn
    then hears `b""`.
    """


@dataclass(frozen=True, slots=True)
class Where:
    """Ask the driver where this conversation takes place; nothing is sent. Answered with a `Place`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation takes place: `host` is the target's name, else its address; `tls` says that TLS already runs.

    `open` is False once the other side has left: some servers answer a question only by hanging up, or by not doing so.
    `heard` is what it said unasked, before the first question.
    """

    host: str
    port: int
    transport: str = "tcp"
    tls: bool = False
    open: bool = True
    heard: bytes = b""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Turn the connection to TLS. Answered with the TLS facts (`{"version": ...}`), or None when the handshake failed."""


@dataclass(frozen=True, slots=True)
class Match:
    """The endpoint speaks `service`. Product and version only where the server states them.

    `facts` are plain JSON values. `sure` is False when only the shape of a banner says so (confidence "probable").
    """

    service: str
    product: str | None = None
    version: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    cpe: tuple[str, ...] = ()
    sure: bool = True


Turn = Read | Ask | Tell | Reconnect | StartTls | Where
Dialogue = Generator[Turn, Any, Match | None]
"""What `run` returns: yields turns, is sent their answers (bytes; TLS facts after `StartTls`, a bool after `Reconnect`,
a `Place` after `Where`), returns the verdict."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One protocol: its service id, the ports it usually has, and the dialogue that recognises it.

    `speaks_first` says that the server greets (so a silent endpoint is not asked). `assess` is a second dialogue on a
    connection of its own, run only after a match and only at level 4; it returns the same match with more facts.
    `transport` is "tcp" or "udp". `touches_ot` marks what is said to machines only where the user asked for that.
    """

    name: str
    ports: tuple[int, ...]
    run: Callable[[], Dialogue]
    transport: str = "tcp"
    speaks_first: bool = False
    assess: Callable[[Match], Dialogue] | None = None
    touches_ot: bool = False


def line(data: bytes) -> bool:
    """A whole line has come."""
    return data.endswith(b"\n")


def dot_line(data: bytes) -> bool:
    """A multi-line answer has ended with a line holding one dot, or was refused in one line (RFC 1939 §3)."""
    return data.endswith((b"\r\n.\r\n", b"\n.\n")) or (data.startswith(b"-") and line(data))


def at_least(count: int) -> Until:
    """At least `count` bytes have come."""
    return lambda data: len(data) >= count


def prefixed(size: int, *, at: int = 0, extra: int = 0, order: Literal["big", "little"] = "big") -> Until:
    """A whole message that says its length: `size` bytes at offset `at` count what follows them, more or less `extra`."""

    def whole(data: bytes) -> bool:
        end = at + size
        return len(data) >= end and len(data) >= end + extra + int.from_bytes(data[at:end], order)

    return whole


def first_line(data: bytes) -> str:
    """The first line of an answer as text, one character a byte. Control bytes stay in: whoever prints it escapes them."""
    return data.split(b"\n", 1)[0].decode("latin-1").strip()


def name_cpe(vendor: str, product: str, version: str | None = None) -> str:
    """The CPE 2.3 name of an application, `*` where no version was stated. Special characters are quoted (NISTIR 7695)."""
    quoted = re.sub(r"([^A-Za-z0-9._-])", r"\\\1", version) if version else "*"
    return f"cpe:2.3:a:{vendor}:{product}:{quoted}:*:*:*:*:*:*:*"
