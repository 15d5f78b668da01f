"""Limits for hosts and networks, for whole columns of packets at once: who may be sent to now, and who must wait. Pure.

    HostGate     at most so many packets a second to one address
    NetGate      at most so many addresses a second that have not answered, of one IPv4 /24 or IPv6 /64: a router asks for each
                 of them with ARP or neighbour discovery, and its table of unanswered questions is small (RFC 6583)

Kept is a table of fixed size with one number for each place, the time at which its next packet is due (the generic cell rate
algorithm). Addresses share places by a hash: with very many hosts some wait a little longer than they had to, none shorter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reconshield.scan.batch import is_v4
from reconshield.scan.space import U64

Mask = NDArray[np.bool_]
Places = NDArray[np.intp]

HOST_BITS, NET_BITS, SEEN_BITS = 18, 16, 22
HOST_SLACK = 0.01
"""Seconds of its rate that a host may get at once."""
NET_RATE, NET_SLACK = 100.0, 1.0
FORGET = 1.0
"""Seconds for which a question to an address is the same question."""

_SPREAD, _STIR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_V4_NET, _HALF = np.uint64(8), np.uint64(32)


class Meter:
    """Places with one rate each. `slack` seconds of it may be used at once."""

    def __init__(self, rate: float, slack: float, bits: int) -> None:
        self._pause, self._slack = 1 / rate, slack
        self._due = np.zeros(1 << bits)

    def admit(self, places: Places, now: float) -> Mask:
        """Which of these packets may go, in order; they count as gone."""
        order = np.argsort(places, kind="stable")
        row = places[order]
        begins = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
        sizes = np.diff(np.append(begins, row.size))
        starts = np.maximum(now, self._due[row[begins]])
        # The n-th packet of a place is due n pauses after the first.
        nth = np.arange(row.size) - np.repeat(begins, sizes)
        allowed = np.repeat(starts, sizes) + nth * self._pause <= now + self._slack
        self._due[row[begins]] = starts + np.add.reduceat(allowed, begins, dtype=np.int64) * self._pause
        mask = np.empty(row.size, dtype=np.bool_)
        mask[order] = allowed
        return mask

    def give_back(self, places: Places) -> None:
        """Packets that were counted and turned out not to matter."""
        np.subtract.at(self._due, places, self._pause)


class HostGate:
    """At most `rate` packets a second to one address."""

    def __init__(self, rate: float) -> None:
        self._meter = Meter(rate, HOST_SLACK, HOST_BITS)

    def admit(self, hi: U64, lo: U64, now: float) -> Mask:
        return self._meter.admit(_place(hi, lo, HOST_BITS), now) if hi.size else np.zeros(0, dtype=np.bool_)


class NetGate:
    """At most `rate` addresses a second of one network that have not answered yet."""

    def __init__(self, rate: float = NET_RATE) -> None:
        self._meter = Meter(rate, NET_SLACK, NET_BITS)
        self._answered = np.zeros(1 << SEEN_BITS, dtype=np.bool_)
        self._asked = np.zeros(1 << SEEN_BITS, dtype=np.bool_)
        self._forget_at = 0.0

    def admit(self, hi: U64, lo: U64, now: float) -> Mask:
        """Which packets may go. A second packet to an address is free within a second."""
        if now >= self._forget_at:
            self._asked[:] = False
            self._forget_at = now + FORGET
        place = _place(hi, lo, SEEN_BITS)
        free = self._answered[place] | self._asked[place]
        _, first = np.unique(place[~free], return_index=True)
        if not first.size:
            return free
        rows = np.flatnonzero(~free)[np.sort(first)]
        self._asked[place[rows]] = self._meter.admit(_net_place(hi[rows], lo[rows]), now)
        mask: Mask = free | self._asked[place]
        return mask

    def answered(self, hi: U64, lo: U64) -> None:
        """These addresses answer: the router knows them, and what they used of the limit is given back."""
        asked, first = np.unique(_place(hi, lo, SEEN_BITS), return_index=True)
        new = first[~self._answered[asked]]
        self._meter.give_back(_net_place(hi[new], lo[new]))
        self._answered[asked] = True


def _net_place(hi: U64, lo: U64) -> Places:
    """The place of an IPv4 /24 or an IPv6 /64."""
    v4 = is_v4(hi, lo)
    return _place(hi, np.where(v4, lo >> _V4_NET, np.uint64(0)), NET_BITS)


def _place(hi: U64, lo: U64, bits: int) -> Places:
    mixed = (hi ^ (lo * _SPREAD)) * _STIR
    mixed ^= mixed >> _HALF
    mixed *= _SPREAD
    place: Places = (mixed >> np.uint64(64 - bits)).astype(np.intp)
    return place
