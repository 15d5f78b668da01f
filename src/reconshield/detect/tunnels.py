"""Packets inside packets: where the inner one begins, and what it is. The tunnel stays a packet of its own.

IP in IP (RFC 2003, 4213), GRE with key and sequence (RFC 2784, 2890) with IP, Ethernet or a mirrored frame (ERSPAN) in it,
VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281). What looks otherwise is left alone: its port may be used for
something else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.views import ETHERNET, V4, V6, View

Array = NDArray[Any]

UDP, GRE = 17, 47
INNER_IP = {4: V4, 41: V6}
VXLAN, GENEVE, GTP = 4789, 6081, 2152
BRIDGED, ERSPAN = 0x6558, 0x88BE
CHECKSUM, KEY, SEQUENCE = 0x8000, 0x2000, 0x1000


def may_carry(transport: Array, port: Array) -> Array:
    """Which packets are worth a look."""
    return np.asarray(np.isin(transport, (*INNER_IP, GRE)) | ((transport == UDP) & np.isin(port, (VXLAN, GENEVE, GTP))))


def open_tunnels(view: View, transport: Array, port: Array) -> tuple[View, Array]:
    """The packets that are tunnels, behind the tunnel's header, and what follows there: an EtherType, or `ETHERNET`. `view`
    stands at the payload of whole packets of `transport` to `port`.
    """
    found = [(view.choose(transport == number), kind) for number, kind in INNER_IP.items()]
    opened = [(part, np.full(part.frame.size, kind)) for part, kind in found]
    opened.append(open_gre(view.choose(transport == GRE)))
    for number, open_ in ((VXLAN, open_vxlan), (GENEVE, open_geneve), (GTP, open_gtp)):
        opened.append(open_(view.choose((transport == UDP) & (port == number))))
    return View.join([part for part, _ in opened]), np.concatenate([kind for _, kind in opened])


def open_gre(view: View) -> tuple[View, Array]:
    view = view.needs(4)
    flags, kind = view.small(0, 2), view.small(2, 2)
    length = 4 + sum(4 * (flags & bit != 0) for bit in (CHECKSUM, KEY, SEQUENCE))
    # A mirrored frame with a sequence number has a header of its own (type II); without one it has none (type I).
    length = length + np.where((kind == ERSPAN) & (flags & SEQUENCE != 0), 8, 0)
    kind = np.where(np.isin(kind, (BRIDGED, ERSPAN)), ETHERNET, kind)
    known = (flags & 0x4FFF == 0) & np.isin(kind, (V4, V6, ETHERNET))
    return view.skip(length).choose(known), kind[known]


def open_vxlan(view: View) -> tuple[View, Array]:
    view = view.needs(8)
    view = view.choose((view.small(0) == 8) & (view.small(1, 3) == 0) & (view.small(7) == 0))
    return view.skip(8), np.full(view.frame.size, ETHERNET)


def open_geneve(view: View) -> tuple[View, Array]:
    view = view.needs(8)
    first, kind = view.small(0), view.small(2, 2)
    kind = np.where(kind == BRIDGED, ETHERNET, kind)
    known = (first >> 6 == 0) & (view.small(7) == 0) & np.isin(kind, (V4, V6, ETHERNET))
    return view.skip(8 + 4 * (first & 63)).choose(known), kind[known]


def open_gtp(view: View) -> tuple[View, Array]:
    """User data without extension headers, or with the octets that announce them empty."""
    view = view.needs(12)
    flags = view.small(0)
    plain = (flags & 0xF0 == 0x30) & (view.small(1) == 255) & ((flags & 4 == 0) | (view.small(11) == 0))
    view = view.skip(np.where(flags & 7 != 0, 12, 8)).choose(plain).needs(1)
    version = view.small(0) >> 4
    known = (version == 4) | (version == 6)
    return view.choose(known), np.where(version == 4, V4, V6)[known]
