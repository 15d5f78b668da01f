"""Frames of a piece while their headers are read, and what lies below IP: link header, VLAN tags, MPLS labels, PPPoE.

Sources: tcpdump.org/linktypes.html, IEEE 802.1Q, RFC 3032 (MPLS), RFC 2516 (PPPoE), RFC 1661 (PPP).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

V4, V6, ARP = 0x0800, 0x86DD, 0x0806
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
MPLS, PPPOE = (0x8847, 0x8848), 0x8864
PPP_TYPES = {0x0021: V4, 0x0057: V6}
MOST_TAGS, MOST_LABELS = 4, 8

ETHERNET = 1
"""The link type, and what stands for it where an EtherType is expected."""

LINK_TYPE_AT = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
"""Link type -> where the type of what follows stands, and how long the header is."""
LINK_HEADER = {0: 4, 108: 4}
"""Headers without a usable type: NULL and LOOP have an address family that differs between systems. The IP version tells."""


@dataclass(frozen=True, slots=True)
class View:
    """Some frames of a piece, and the place in each up to which it has been read."""

    data: Array
    frame: Array
    place: Array
    finish: Array
    other: Counter[str]
    """Why frames were left out, for all views of a piece."""

    def keep(self, which: Array, why: str) -> Self:
        """The frames of `which`; the others are counted under `why`."""
        if lost := which.size - int(np.count_nonzero(which)):
            self.other[why] += lost
            return self.choose(which)
        return self

    def choose(self, which: Array) -> Self:
        return replace(self, frame=self.frame[which], place=self.place[which], finish=self.finish[which])

    def needs(self, octets: int | Array) -> Self:
        """Only the frames that hold so many more octets; the others were cut."""
        return self.keep(self.place + octets <= self.finish, "cut")

    def skip(self, octets: int | Array) -> Self:
        return replace(self, place=self.place + octets)

    @classmethod
    def join(cls, views: Sequence[Self]) -> Self:
        """All frames of several views of one piece, at least one."""
        frame, place, finish = (
            np.concatenate([getattr(view, name) for view in views]) for name in ("frame", "place", "finish")
        )
        return cls(views[0].data, frame, place, finish, views[0].other)

    def number(self, step: int, size: int) -> Array:
        """A big-endian number, `step` octets on. `needs` must have made sure that it is there."""
        begin = self.place + step
        value = self.data[begin].astype(np.uint64)
        for more in range(1, size):
            value = value << np.uint64(8) | self.data[begin + more]
        return np.asarray(value)

    def small(self, step: int, size: int = 1) -> Array:
        """The same as a signed number, for arithmetic on lengths."""
        return self.number(step, size).astype(np.int64)


def read_link(view: View, link: int) -> tuple[View, Array]:
    """Behind link header, VLAN tags, MPLS labels and PPPoE: the view there, and the EtherType of what follows in each frame."""
    if link not in LINK_TYPE_AT:
        view = view.skip(LINK_HEADER.get(link, 0)).needs(1)
        return view, versions(view)
    at, length = LINK_TYPE_AT[link]
    view = view.needs(length)
    kind = view.small(at, 2)
    view = view.skip(length)
    for _ in range(MOST_TAGS):
        tagged = np.isin(kind, VLAN_TAGS)
        if not tagged.any():
            break
        fits = ~tagged | (view.place + 4 <= view.finish)
        view, kind, tagged = view.keep(fits, "cut"), kind[fits], tagged[fits]
        kind[tagged] = view.choose(tagged).small(2, 2)
        view = view.skip(4 * tagged)
    for codes, step in ((MPLS, step_over_labels), ((PPPOE,), step_into_ppp)):
        these = np.isin(kind, codes)
        if these.any():
            inner, of = step(view.choose(these))
            view, kind = View.join([view.choose(~these), inner]), np.concatenate([kind[~these], of])
    return view, kind


def step_over_labels(view: View) -> tuple[View, Array]:
    """Behind the last label of MPLS. IP is told by its version; what else follows has no type."""
    parts = []
    for _ in range(MOST_LABELS):
        view = view.needs(5)
        last = view.small(2) & 1 != 0
        view = view.skip(4)
        parts.append(view.choose(last))
        view = view.choose(~last)
    inner = View.join(parts)
    return inner, versions(inner)


def step_into_ppp(view: View) -> tuple[View, Array]:
    """Into a session of PPPoE: six octets of it, then the protocol of PPP."""
    view = view.needs(8)
    protocol = view.small(6, 2)
    kind = np.select([protocol == code for code in PPP_TYPES], list(PPP_TYPES.values()), PPPOE)
    return view.skip(8), kind


def versions(view: View) -> Array:
    """The EtherType that the version of the IP packet stands for that begins here, 0 for none."""
    version = view.small(0) >> 4
    return np.where(version == 4, V4, np.where(version == 6, V6, 0))
