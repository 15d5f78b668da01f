"""From frames to addresses, ports and flags, all frames of a piece at once.

Link header, VLAN tags, IPv4 or IPv6 with its extension headers, TCP or UDP: each step reads some octets of every frame that is
still in the game and moves on behind them. What a frame does not hold, because it was cut or is something else, is never
guessed: such frames are counted by what they are. Sources: IEEE 802.1Q, RFC 791, RFC 8200 section 4, RFC 9293 section 3.1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.frames import Frames
from reconshield.policy.gates import DISCOVERY_TYPES

PACKET = np.dtype(
    [
        ("at", "f8"),
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
        ("sport", "u2"),
        ("dport", "u2"),
        ("transport", "u1"),
        ("flags", "u1"),
        ("sequence", "u4"),
        ("payload", "i8"),
        ("captured", "i8"),
        ("octets", "i8"),
        ("fragment", "u4"),
        ("skipped", "u2"),
        ("more", "?"),
        ("number", "i8"),
    ]
)
"""A packet. `payload` is where its first payload octet lies in the data of its frames, `captured` how many of them are there
and `octets` how many there were on the wire; `flags` and `sequence` are those of TCP. `fragment` is the packet's
identification, `skipped` what lies before this fragment in units of 8 octets (0: it has the transport header), `more` that
others follow."""

V4, V6, ARP = 0x0800, 0x86DD, 0x0806
VLAN_TAGS = (0x8100, 0x88A8, 0x9100)
MOST_TAGS, MOST_EXTENSIONS = 4, 8
ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
FRAGMENT, AUTHENTICATION = 44, 51
EXTENSIONS = (0, 43, FRAGMENT, AUTHENTICATION, 60, 135)
"""IPv6 extension headers: hop-by-hop, routing, fragment, authentication, destination options, mobility."""
FIN, SYN, RST, ACK = 1, 2, 4, 16
V4_BLOCK = np.uint64(0xFFFF << 32)

LINK_TYPE_AT = {1: (12, 14), 113: (14, 16), 276: (0, 20)}
"""Link type -> where the type of what follows stands, and how long the header is."""
LINK_HEADER = {0: 4, 108: 4}
"""Headers without a usable type: NULL and LOOP have an address family that differs between systems. The IP version tells."""

Array = NDArray[Any]


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


@dataclass(frozen=True, slots=True)
class Packets:
    """Rows of `PACKET` in the order of the file, and how many frames were something else, by what they were."""

    rows: Array
    other: Counter[str]


def decode(frames: Frames) -> Packets:
    """All packets of these frames."""
    other: Counter[str] = Counter()
    whole = np.arange(frames.offset.size)
    view, kind = read_link(View(frames.data, whole, frames.offset, frames.offset + frames.length, other), frames.link)
    known = (kind == V4) | (kind == V6)
    if (arp := int(np.count_nonzero(kind == ARP))) or not known.all():
        other["arp"] += arp
        other["not ip"] += int(np.count_nonzero(~known)) - arp
    parts = [read(view.choose(kind == code), frames) for code, read in ((V4, read_v4), (V6, read_v6))]
    rows = np.concatenate(parts)
    return Packets(rows[np.argsort(rows["number"], kind="stable")], +other)


def read_link(view: View, link: int) -> tuple[View, Array]:
    """Behind the link header and all VLAN tags: the view there, and the EtherType of what follows in each frame."""
    if link not in LINK_TYPE_AT:
        view = view.skip(LINK_HEADER.get(link, 0)).needs(1)
        version = view.small(0) >> 4
        return view, np.where(version == 4, V4, np.where(version == 6, V6, 0))
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
    return view, kind


def read_v4(view: View, frames: Frames) -> Array:
    view = view.needs(20)
    length = (view.small(0) & 15) * 4
    whole = (length >= 20) & (view.place + length <= view.finish)
    view, length = view.keep(whole, "cut"), length[whole]
    rows = new_packets(view, frames)
    rows["src_lo"], rows["dst_lo"] = view.number(12, 4) | V4_BLOCK, view.number(16, 4) | V4_BLOCK
    rows["transport"] = view.small(9)
    word = view.small(6, 2)
    rows["fragment"], rows["skipped"], rows["more"] = view.small(4, 2), word & 0x1FFF, word & 0x2000 != 0
    total = view.small(2, 2)
    left = frames.wire[view.frame] - (view.place - frames.offset[view.frame])
    # A length of 0 is what a network card writes that cuts large packets itself.
    return read_transport(view.skip(length), rows, view.place + np.where(total == 0, left, total))


def read_v6(view: View, frames: Frames) -> Array:
    view = view.needs(40)
    rows = new_packets(view, frames)
    for name, step in (("src_hi", 8), ("src_lo", 16), ("dst_hi", 24), ("dst_lo", 32)):
        rows[name] = view.number(step, 8)
    following = view.small(6)
    end = view.place + 40 + view.small(4, 2)
    view = view.skip(40)
    for _ in range(MOST_EXTENSIONS):
        extended = np.isin(following, EXTENSIONS) & (rows["skipped"] == 0)
        if not extended.any():
            break
        fits = ~extended | (view.place + 8 <= view.finish)
        view, rows, following, end, extended = (
            view.keep(fits, "cut"),
            rows[fits],
            following[fits],
            end[fits],
            extended[fits],
        )
        following, view = read_extension(view, rows, following, extended)
    rows["transport"] = following
    return read_transport(view, rows, end)


def read_extension(view: View, rows: Array, following: Array, extended: Array) -> tuple[Array, View]:
    """One extension header of the frames that have one here. A fragment header is noted in the rows."""
    part = view.choose(extended)
    code, units = following[extended], part.small(1)
    length = np.zeros(extended.size, np.int64)
    length[extended] = np.select([code == FRAGMENT, code == AUTHENTICATION], [8, (units + 2) * 4], (units + 1) * 8)
    broken = np.zeros(extended.size, bool)
    broken[extended] = code == FRAGMENT
    if broken.any():
        pieces = view.choose(broken)
        word = pieces.small(2, 2)
        rows["skipped"][broken], rows["more"][broken] = word >> 3, word & 1 != 0
        rows["fragment"][broken] = pieces.number(4, 4)
    following = following.copy()
    following[extended] = part.small(0)
    return following, view.skip(length)


def read_transport(view: View, rows: Array, end: Array) -> Array:
    """Ports, flags and where the payload is; the type of discovery where there are no ports. Later fragments have none of
    these; they count as octets.
    """
    header = np.zeros(rows.size, np.int64)
    first = rows["skipped"] == 0
    for transport, needed in ((TCP, 20), (UDP, 8), (SCTP, 12)):
        header[first & (rows["transport"] == transport)] = needed
    fits = (view.place + header <= view.finish) | (header == 0)
    view, rows, end, header = view.keep(fits, "cut"), rows[fits], end[fits], header[fits]
    ported = header > 0
    if ported.any():
        part = view.choose(ported)
        rows["sport"][ported], rows["dport"][ported] = part.small(0, 2), part.small(2, 2)
    messages = (rows["skipped"] == 0) & (rows["transport"] == ICMP6) & (view.place < view.finish)
    if messages.any():
        kind = view.choose(messages).small(0)
        rows["sport"][messages] = np.where(np.isin(kind, DISCOVERY_TYPES), kind, 0)
    tcp = header == 20
    if tcp.any():
        part = view.choose(tcp)
        rows["sequence"][tcp], rows["flags"][tcp] = part.number(4, 4), part.small(13)
        header[tcp] = np.maximum((part.small(12) >> 4) * 4, 20)
    rows["payload"] = view.place + header
    rows["octets"] = np.maximum(end - rows["payload"], 0)
    rows["captured"] = np.clip(np.minimum(end, view.finish) - rows["payload"], 0, None)
    return rows


def new_packets(view: View, frames: Frames) -> Array:
    rows = np.zeros(view.frame.size, PACKET)
    rows["at"], rows["number"] = frames.at[view.frame], frames.number[view.frame]
    return rows
