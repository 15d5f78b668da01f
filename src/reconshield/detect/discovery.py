"""What every stack does by itself, told from conversations: `policy.gates` says what that is.

Such flows are left out before they are summed up. Neighbours are asked for, groups are joined and routers speak up at a steady
pace and mostly without an answer, so each of these would look like a rhythm or a failure. An error of ICMP belongs to what it
quotes; by itself it would be a conversation that the host which only answered had begun.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import Rows
from reconshield.policy.gates import DISCOVERY_PROTOCOL, LINK, SELF_PORTS, UNJUDGED_TYPES

Mask = NDArray[np.bool_]

ICMP, UDP, ICMP6 = 1, 17, 58
LOW = 2**64 - 1
V4 = 0xFFFF


def set_message(rows: Rows, kind: NDArray[Any]) -> None:
    """Write down what ICMP has instead of ports. `kind` are the types of the messages; sensors that say `icmp` for both
    families mean ICMPv6 between addresses of IPv6.
    """
    portless = (rows["transport"] == ICMP) | (rows["transport"] == ICMP6)
    if not portless.any():
        return
    rows["sport"][portless], rows["dport"][portless] = 0, 0
    six = portless & ((rows["dst_hi"] != 0) | (rows["dst_lo"] >> np.uint64(32) != V4))
    rows["transport"][six] = ICMP6
    for transport, here in ((ICMP, portless & ~six), (ICMP6, six)):
        told = here & np.isin(kind, UNJUDGED_TYPES[transport])
        rows["sport"][told] = kind[told]


def message(transport: int, kind: int) -> int:
    """The same for one flow: what stands as its first port."""
    return kind if kind in UNJUDGED_TYPES.get(transport, ()) else 0


def judged(rows: Rows) -> Rows:
    """The rows without what is never judged; the same array where there is nothing of it."""
    transport, port = rows["transport"], rows["dport"]
    left_out = transport == DISCOVERY_PROTOCOL
    left_out |= ((transport == ICMP) | (transport == ICMP6)) & (rows["sport"] != 0)
    asks = np.zeros(rows.size, bool)
    for first, last in SELF_PORTS.udp:
        asks |= (port >= first) & (port <= last)
    asks &= transport == UDP
    if asks.any():
        left_out[asks] = on_link(rows["dst_hi"][asks], rows["dst_lo"][asks])
    return rows.compress(~left_out) if left_out.any() else rows


def on_link(hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> Mask:
    """Which addresses stay on their link."""
    found = np.zeros(hi.size, bool)
    for first, last in LINK.ranges:
        edges = [(np.uint64(value >> 64), np.uint64(value & LOW)) for value in (first, last)]
        after = (hi > edges[0][0]) | ((hi == edges[0][0]) & (lo >= edges[0][1]))
        found |= after & ((hi < edges[1][0]) | ((hi == edges[1][0]) & (lo <= edges[1][1])))
    return found
