"""Captured frames, as the readers of capture formats hand them on: many at a time, their bytes in one array.

pcap, pcapng -> Frames -> headers.decode -> Packets -> assembly -> flows
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import Chunks

PIECE = 1 << 22
LARGEST_FRAME = 1 << 18
"""No capture program writes a larger one; a length beyond it means that the file is broken."""

LINKS = {
    0: "NULL",
    1: "Ethernet",
    12: "raw IP",
    101: "raw IP",
    108: "LOOP",
    113: "Linux SLL",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux SLL2",
}
"""Link types (tcpdump.org/linktypes.html) whose frames can be read."""

OTHER_LINKS = {
    9: "PPP",
    105: "802.11",
    127: "802.11 with radiotap",
    147: "a user's own",
    189: "USB",
    192: "PPI",
    195: "802.15.4",
    201: "Bluetooth",
    220: "USB",
    239: "NFLOG",
    249: "USB",
    253: "Netlink",
}


def link_name(link: int) -> str:
    name = OTHER_LINKS.get(link)
    return f"{link} ({name})" if name else str(link)


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one link type. Frame i lies at `offset[i]`, `length[i]` octets of the `wire[i]` that it had; `at` is Unix
    seconds, NaN where the file has none; `number` counts frames of the file from 1.
    """

    link: int
    data: NDArray[np.uint8]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    wire: NDArray[np.int64]
    at: NDArray[np.float64]
    number: NDArray[np.int64]


@dataclass(slots=True)
class Gathering:
    """Frames of one buffer while it is walked through."""

    first: int = 1
    """The number of the first frame, where they follow each other."""
    number: list[int] = field(default_factory=list)
    """The number of each frame, where they do not."""
    offset: list[int] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    wire: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def frames(self, data: bytes, link: int) -> Frames:
        count = len(self.offset)
        return Frames(
            link,
            np.frombuffer(data, np.uint8),
            np.array(self.offset, np.int64),
            np.array(self.length, np.int64),
            np.array(self.wire, np.int64),
            np.array(self.at, np.float64),
            np.array(self.number, np.int64) if self.number else np.arange(self.first, self.first + count, dtype=np.int64),
        )


def buffers(chunks: Chunks) -> Iterator[bytes]:
    """The same bytes in pieces of about `PIECE`."""
    held, size = [], 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
