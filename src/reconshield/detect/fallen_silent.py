"""Has a conversation ended? Only data in which its source still speaks can say so: a sensor that was moved sees nothing either."""

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
    found: NDArray[np.bool_] = rows[f"{side}_lo"] == np.uint64(address & LOW)
    return found & (rows[f"{side}_hi"] == np.uint64(address >> 64))


def is_transport(rows: Array, name: str) -> NDArray[np.bool_]:
    number = next((number for number, known in TRANSPORTS.items() if known == name), None)
    number = int(name) if number is None and name.isdecimal() else number
    found: NDArray[np.bool_] = rows["transport"] == (number if number is not None else 255)
    return found
