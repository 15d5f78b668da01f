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


def fallen_silent(parts: Iterable[Array], watched: Iterable[Watched]) -> frozenset[str]:
    """Those that have no flow in these conversations, though their source was seen a day after their last one, or later. The
    conversations come in parts, for they may be too many for memory.
    """
    asked = list(watched)
    late, here = set[str](), set[str]()
    for rows in parts if asked else ():
        for one in asked:
            src, dst = parse_address(one.src), parse_address(one.dst)
            from_it, to_it = is_end(rows, "src", src), is_end(rows, "dst", src)
            if np.nanmax(rows["last"][from_it | to_it], initial=0.0) >= one.last + QUIET:
                late.add(one.fingerprint)
            if (from_it & is_end(rows, "dst", dst) & (rows["dport"] == one.port) & is_transport(rows, one.transport)).any():
                here.add(one.fingerprint)
    return frozenset(late - here)


def is_end(rows: Array, side: str, address: int) -> NDArray[np.bool_]:
    low, high = rows[f"{side}_lo"] == np.uint64(address & LOW), rows[f"{side}_hi"] == np.uint64(address >> 64)
    return np.asarray(low & high, bool)


def is_transport(rows: Array, name: str) -> NDArray[np.bool_]:
    """Whether a conversation has a transport, by its name or the number of its protocol."""
    numbers = {known: number for number, known in TRANSPORTS.items()}
    return np.asarray(rows["transport"] == numbers.get(name, int(name) if name.isdecimal() else 255), bool)
