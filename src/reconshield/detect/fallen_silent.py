"""Has a conversation ended? Only data in which its source still speaks can say so: a sensor that was moved sees nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.ends import Ends
from reconshield.detect.expected import TRANSPORTS

Array = NDArray[Any]

QUIET = 86_400.0
"""Seconds without a flow, while the source is seen, after which a conversation counts as ended."""


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
        if rows.size:
            look_for(rows, asked, late, here)
    return frozenset(late - here)


def look_for(rows: Array, asked: Iterable[Watched], late: set[str], here: set[str]) -> None:
    """Note whose source was seen late in this part, and who is in it. Rows are sorted by source once, not searched for each."""
    ends = Ends(rows)
    seen = last_seen(rows, ends)
    order = np.argsort(ends.src, kind="stable")
    by_source = ends.src[order]
    for one in asked:
        source = ends.find(one.src)
        if source is None:
            continue
        if seen[source] >= one.last + QUIET:
            late.add(one.fingerprint)
        first, last = np.searchsorted(by_source, [source, source + 1])
        if has_conversation(rows, ends, order[first:last], one):
            here.add(one.fingerprint)


def last_seen(rows: Array, ends: Ends) -> Array:
    """When each address last took part in a flow."""
    seen = np.full(len(ends), -np.inf)
    times = np.nan_to_num(rows["last"], nan=-np.inf)
    np.maximum.at(seen, ends.src, times)
    np.maximum.at(seen, ends.dst, times)
    return seen


def has_conversation(rows: Array, ends: Ends, theirs: Array, one: Watched) -> bool:
    """Whether one of these conversations, all of its source, is the one that is watched."""
    target = ends.find(one.dst)
    numbers = {known: number for number, known in TRANSPORTS.items()}
    transport = numbers.get(one.transport, int(one.transport) if one.transport.isdecimal() else 255)
    same = (rows["dport"][theirs] == one.port) & (rows["transport"][theirs] == transport)
    return target is not None and bool((same & (ends.dst[theirs] == target)).any())
