"""The packets of a raw UDP scan: for all pairs of a block whose way is known, those alike at once.

A question is laid out once for each payload and route (`packets`); what differs is written for all its pairs in columns. They
are kept with the block, so that a repetition costs nothing but sending.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reconshield.knowledge.payloads import NOTHING, Payload
from reconshield.scan.packets import Asked, shape_udp
from reconshield.scan.raw_udp_block import Block, Rows
from reconshield.scan.route import Route, Routes
from reconshield.scan.udp_questions import Questions
from reconshield.scan.wires import has_mac, link_of

U8 = NDArray[np.uint8]


def build_packets(block: Block, rows: Rows, mac: U8, routes: Routes, questions: Questions) -> None:
    """Make and keep the packets of these rows of a block. `mac` holds the next hop's link-layer address of each."""
    payloads = questions.numbers(block.pairs.port[rows])
    for which in np.unique(block.route[rows]).tolist():
        mine = block.route[rows] == which
        for number in np.unique(payloads[mine]).tolist():
            alike = mine & (payloads == number)
            packets = _make(block, rows[alike], mac[alike], routes[which], questions.payloads[number])
            block.keep_packets(rows[alike], packets)


def _make(block: Block, rows: Rows, mac: U8, route: Route, payload: Payload) -> U8:
    """The packets with one payload over one route.

    What does not fit the device is not cut into fragments: an empty datagram shows a closed port at least.
    """
    if route.source is None:
        raise ValueError("there are no packets for a route that leads nowhere")
    shape = shape_udp(link_of(route), route.source, payload.data)
    if shape.frame.size - shape.at > route.mtu:
        shape = shape_udp(link_of(route), route.source, NOTHING.data)
    packets = np.empty((rows.size, shape.frame.size), dtype=np.uint8)
    packets[:] = shape.frame
    pairs, no_sequence = block.pairs, np.zeros(rows.size, dtype=np.uint32)
    macs = mac if has_mac(route) else None
    shape.fill_udp(packets, Asked(pairs.hi[rows], pairs.lo[rows], pairs.port[rows], block.port_from[rows], no_sequence, macs))
    return packets
