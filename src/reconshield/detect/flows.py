"""What a flow log says, in one shape for all formats, and the contract of a reader.

A reader is a value in one file under `readers/`: `recognises` looks at the first bytes, `read` turns pieces of the file into
items as they come and never needs the whole. Flows travel as NumPy batches, a row a flow; a record that cannot be understood is
a `Bad` item that says where it stands; a file that ends too early yields what is whole, then `Cut`. What a file does not say is
"not known" here, never 0.

    pieces of bytes -> read -> Flows, Listening, Naming, Note, Bad, Cut
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOW = np.dtype(
    [
        ("start", "f8"),
        ("end", "f8"),
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
        ("sport", "u2"),
        ("dport", "u2"),
        ("transport", "u1"),
        ("state", "u1"),
        ("marks", "u1"),
        ("app", "u2"),
        ("sent", "i8"),
        ("received", "i8"),
        ("sent_packets", "i8"),
        ("received_packets", "i8"),
        ("record", "u8"),
    ],
    align=True,
)
"""Columns of a batch. `src` began the flow (`Mark.UNSURE` where the file does not tell), `dst` and `dport` are the side that
serves. Times are Unix seconds, NaN where not known; addresses two 64-bit halves, IPv4 v4-mapped; `transport` the IP protocol
number; ports are 0 where the transport has none, but `sport` is the type of a message of ICMP that is never judged
(`discovery`); `sent` and `received` count octets, -1 where not known; `app` is a place in
the `apps` of the batch; `record` the line or packet number it came from.

They are chosen and joined as `reconshield.rows` says."""

Rows = NDArray[np.void]
Chunks = Iterable[bytes]

NOT_KNOWN = -1
LATEST = 2.0**32
"""Unix seconds that no flow reaches before 2106; a later time is a mistake."""

PORTLESS = (1, 58)
"""ICMP and ICMPv6: what a log has in its port columns is their type and code."""
UNRECOGNISED = "unrecognised"
"""The name in `apps` for bytes that were seen and belong to no protocol that the sensor knows; `""` where nothing was seen."""


class FlowState(IntEnum):
    """How a flow went, as far as the file tells."""

    UNKNOWN = 0
    ESTABLISHED = 1
    REFUSED = 2
    UNANSWERED = 3
    DENIED = 4
    """A filter on the way stopped it."""


class Mark(IntEnum):
    """Bits of the column `marks`."""

    UNSURE = 1
    """Which side began is a guess."""
    ONE_SIDED = 2
    """Only one direction was captured."""
    LOSSY = 4
    """The sensor lost packets of it."""
    CONTINUED = 8
    """More of a flow that an earlier row of the file began: its counts are only its own, `start` is the flow's."""


@dataclass(frozen=True, slots=True)
class Flows:
    """A batch: rows of `FLOW`, and the names that their column `app` points into (`apps[0]` is `""`)."""

    rows: Rows
    apps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Naming:
    """A name that a client asked a server for, or a fingerprint that it showed: what indicators are compared with.

    `kind` is `domain`, `url`, `ja3`, `ja4`, `certificate` (SHA-256) or `user-agent`; `src`, `dst` as text.
    """

    at: float
    src: str
    dst: str
    dport: int
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that waits for others, from a listing made on a host, or a service that a sensor saw answer (`seen`)."""

    ip: str
    port: int
    transport: str
    process: str | None
    pid: int | None = None
    app: str = ""
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that could not be used: where it stands, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Note:
    """What must be known of the file as a whole: that its years are guessed, that its sensor took samples."""

    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The file ends before its end."""

    why: str


Item = Flows | Naming | Listening | Note | Bad | Cut


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: its name in output and on the command line, what it is, and how it is recognised and read.

    `recognises` gets the first 64 KiB of a file, already unpacked; `read` gets it from its beginning in pieces of any size.
    `dated` reads a format whose times lack a year; it is also told when the file was last changed (Unix seconds).
    """

    name: str
    title: str
    recognises: Callable[[bytes], bool]
    read: Callable[[Chunks], Iterator[Item]]
    dated: Callable[[Chunks, float], Iterator[Item]] | None = None

    def items(self, chunks: Chunks, changed: float) -> Iterator[Item]:
        """What a file says that was last changed then."""
        return self.dated(chunks, changed) if self.dated else self.read(chunks)


def new_rows(count: int) -> Rows:
    """Rows in which nothing is known yet."""
    rows = np.zeros(count, dtype=FLOW)
    rows["start"] = rows["end"] = np.nan
    for name in ("sent", "received", "sent_packets", "received_packets"):
        rows[name] = NOT_KNOWN
    return rows


class Names:
    """The names of application protocols that a reader has met, each with its number; at most `LIMIT` different ones."""

    LIMIT = 4096

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {"": 0}

    def number(self, name: str) -> int:
        found = self._numbers.get(name)
        if found is None:
            if len(self._numbers) >= self.LIMIT:
                return self.number(UNRECOGNISED) if UNRECOGNISED in self._numbers else 0
            found = self._numbers[name] = len(self._numbers)
        return found

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(self._numbers)


def take(rows: Rows, **columns: Any) -> Rows:
    """`rows` with these columns set; for readers that have whole columns at hand."""
    for name, values in columns.items():
        rows[name] = values
    return rows
