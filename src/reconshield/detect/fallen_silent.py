"""Has a conversation ended? Only data in which its source still speaks can say so: a sensor that was moved sees nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import parse_address
from reconshield.detect.expected import TRANSPORTS

Array = NDArray[Any]

QUIET = 86_400.0
"""Seconds without a flow, while the source is seen, after which a conversation counts as ended."""
LOW = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Watched:
    """A conversation that was told of, and when its last flow was (Unix seconds)."""

    fingerprint: str
    src: str
    dst: str
    port: int
    transport: str
    last: float


def fallen_silent(rows: Array, watched: Iterable[Watched]) -> frozenset[str]:
    """Those that have no flow in these conversations, though their source was seen a day after their last one, or later."""
    found = set()
    for one in watched:
        src, dst = parse_address(one.src), parse_address(one.dst)
        from_it, to_it = is_end(rows, "src", src), is_end(rows, "dst", src)
        seen = rows["last"][from_it | to_it]
        here = from_it & is_end(rows, "dst", dst) & (rows["dport"] == one.port) & is_transport(rows, one.transport)
        if seen.size and np.nanmax(seen, initial=0.0) >= one.last + QUIET and not here.any():
            found.add(one.fingerprint)
    return frozenset(found)


def is_end(rows: Array, side: str, address: int) -> NDArray[np.bool_]:
    low, high = rows[f"{side}_lo"] == np.uint64(address & LOW), rows[f"{side}_hi"] == np.uint64(address >> 64)
    return np.asarray(low & high, bool)


def is_transport(rows: Array, name: str) -> NDArray[np.bool_]:
    """Whether a conversation has a transport, by its name or the number of its protocol."""
    numbers = {known: number for number, known in TRANSPORTS.items()}
    return np.asarray(rows["transport"] == numbers.get(name, int(name) if name.isdecimal() else 255), bool)
