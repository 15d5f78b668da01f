"""Has a conversation ended? Only data in which its source still speaks can say so: a sensor that was moved sees nothing."""

from __future__ import annotations

import secrets
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
Odd = tuple[np.uint64, np.uint64, np.uint64]


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
    if not asked:
        return frozenset()
    # New for each question, so that nobody can choose addresses that share a key.
    odd = np.uint64(secrets.randbits(64) | 1), np.uint64(secrets.randbits(64) | 1), np.uint64(secrets.randbits(64) | 1)
    source, whole, last = keys_of(asked, odd)
    sources = np.unique(source)
    seen, here = np.full(sources.size, -np.inf), np.zeros(len(asked), bool)
    for rows in parts:
        src, dst = (address_key(rows[f"{side}_hi"], rows[f"{side}_lo"], odd) for side in ("src", "dst"))
        here |= np.isin(whole, conversation_key(src, dst, rows["dport"], rows["transport"], odd))
        times = np.nan_to_num(rows["last"], nan=-np.inf)
        for ends in (src, dst):
            at = np.minimum(np.searchsorted(sources, ends), sources.size - 1)
            known = sources[at] == ends
            np.maximum.at(seen, at[known], times[known])
    silent = (seen[np.searchsorted(sources, source)] >= last + QUIET) & ~here
    return frozenset(one.fingerprint for one, over in zip(asked, silent.tolist(), strict=True) if over)


def keys_of(asked: list[Watched], odd: Odd) -> tuple[Array, Array, Array]:
    """The keys of the sources and of the conversations, and when each had its last flow."""
    numbers = {name: number for number, name in TRANSPORTS.items()}
    src, dst = key_of((one.src for one in asked), odd), key_of((one.dst for one in asked), odd)
    ports = np.array([one.port for one in asked])
    transports = [numbers.get(one.transport, int(one.transport) if one.transport.isdecimal() else 255) for one in asked]
    return src, conversation_key(src, dst, ports, np.array(transports), odd), np.array([one.last for one in asked])


def key_of(texts: Iterable[str], odd: Odd) -> Array:
    values = [parse_address(text) for text in texts]
    return address_key(np.array([v >> 64 for v in values], np.uint64), np.array([v & LOW for v in values], np.uint64), odd)


def address_key(hi: Array, lo: Array, odd: Odd) -> Array:
    """One number for an address. Of IPv4 each has its own; two of IPv6 share one with a chance of one in 2^64."""
    return np.asarray(lo * odd[0] ^ hi * odd[1])


def conversation_key(src: Array, dst: Array, port: Array, transport: Array, odd: Odd) -> Array:
    """One number for a conversation, from the keys of its ends."""
    place = port.astype(np.uint64) << np.uint64(8) | transport.astype(np.uint64)
    mixed = (src * odd[2] ^ dst) * odd[1]
    return np.asarray((mixed ^ mixed >> np.uint64(31)) * odd[0] + place)
