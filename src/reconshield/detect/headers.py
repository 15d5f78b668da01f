"""From frames to addresses, ports and flags, all frames of a piece at once.

Link header (`views`), IPv4 or IPv6 with its extension headers, TCP or UDP, tunnels (`tunnels`): each step reads some octets of
every frame that is still in the game and moves on behind them. What a frame does not hold, because it was cut or is something
else, is never guessed: such frames are counted by what they are. Sources: RFC 791, RFC 8200 section 4, RFC 9293 section 3.1.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.frames import Frames
from reconshield.detect.tunnels import may_carry, open_tunnels
from reconshield.detect.views import ARP, ETHERNET, V4, V6, View, read_link
from reconshield.policy.gates import DISCOVERY_TYPES, ICMP_ERRORS
from reconshield.rows import join

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

LEAST_TYPE = 0x600
"""Below, the field is a length (IEEE 802.3)."""
MOST_EXTENSIONS = 8
MOST_TUNNELS = 3
"""So deep is looked into tunnels in tunnels."""
ICMP, TCP, UDP, ICMP6, SCTP = 1, 6, 17, 58, 132
FRAGMENT, AUTHENTICATION = 44, 51
NOTHING = 59
EXTENSIONS = (0, 43, FRAGMENT, AUTHENTICATION, 60, 135)
"""IPv6 extension headers: hop-by-hop, routing, fragment, authentication, destination options, mobility."""
FIN, SYN, RST, ACK = 1, 2, 4, 16
V4_BLOCK = np.uint64(0xFFFF << 32)

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Packets:
    """Rows of `PACKET` in the order of the file, and how many frames were something else, by what they were."""

    rows: Array
    other: Counter[str]


def decode(frames: Frames) -> Packets:
    """All packets of these frames; of a tunnel itself, and what is in it."""
    other: Counter[str] = Counter()
    whole = np.arange(frames.offset.size)
    view, kind = read_link(View(frames.data, whole, frames.offset, frames.offset + frames.length, other), frames.link)
    count_others(kind, other)
    found = [read_packets(view, kind, frames)]
    for _ in range(MOST_TUNNELS):
        view, kind = enter_tunnels(found[-1], frames)
        if not view.frame.size:
            break
        found.append(read_packets(view, kind, frames))
    rows = join(found)
    return Packets(rows[np.argsort(rows["number"], kind="stable")], +other)


def count_others(kind: Array, other: Counter[str]) -> None:
    """What the frames are that hold no IP packet."""
    strange = kind[(kind != V4) & (kind != V6)]
    for code, count in zip(*np.unique(strange, return_counts=True), strict=True):
        name = "ARP" if code == ARP else f"EtherType 0x{code:04x}" if code >= LEAST_TYPE else "no EtherType"
        other[name] += int(count)


def read_packets(view: View, kind: Array, frames: Frames) -> Array:
    """The packets that begin where the view stands, where `kind` says that there are some."""
    return join([read(view.choose(kind == code), frames) for code, read in ((V4, read_v4), (V6, read_v6))])


def enter_tunnels(rows: Array, frames: Frames) -> tuple[View, Array]:
    """Those of the packets that carry others: where these begin, and what they are. What is cut in them is only missing."""
    rows = rows[may_carry(rows["transport"], rows["dport"]) & (rows["skipped"] == 0) & ~rows["more"]]
    frame, begin = np.searchsorted(frames.number, rows["number"]), rows["payload"]
    view, kind = open_tunnels(
        View(frames.data, frame, begin, begin + rows["captured"], Counter()), rows["transport"], rows["dport"]
    )
    bridged = kind == ETHERNET
    inner, inner_kind = read_link(view.choose(bridged), ETHERNET)
    return View.join([view.choose(~bridged), inner]), np.concatenate([kind[~bridged], inner_kind])


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
    following, length = view.small(6), view.small(4, 2)
    # A length of 0 is a jumbogram, or what a network card cuts itself (RFC 2675).
    large = (length == 0) & (following != NOTHING)
    end = np.where(large, frames.offset[view.frame] + frames.wire[view.frame], view.place + 40 + length)
    view = view.skip(40)
    for _ in range(MOST_EXTENSIONS):
        extended = np.isin(following, EXTENSIONS) & (rows["skipped"] == 0)
        if not extended.any():
            break
        fits = ~extended | (view.place + 8 <= view.finish)
        view, rows, following, end, extended = (
            view.keep(fits, "cut"),
            rows.compress(fits),
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
    these; they count as octets. Errors of ICMP belong to what they quote, and are left out.
    """
    header, needed = np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int64)
    first = rows["skipped"] == 0
    for transport, length, least in ((TCP, 20, 14), (UDP, 8, 4), (SCTP, 12, 4)):
        here = first & (rows["transport"] == transport)
        header[here], needed[here] = length, least
    fits = (view.place + needed <= view.finish) | (needed == 0)
    view, rows, end, header = view.keep(fits, "cut"), rows.compress(fits), end[fits], header[fits]
    ported = header > 0
    if ported.any():
        part = view.choose(ported)
        rows["sport"][ported], rows["dport"][ported] = part.small(0, 2), part.small(2, 2)
    messages = (rows["skipped"] == 0) & np.isin(rows["transport"], (ICMP, ICMP6)) & (view.place < view.finish)
    if messages.any():
        kind, of = view.choose(messages).small(0), rows["transport"][messages]
        rows["sport"][messages] = np.where(np.isin(kind, DISCOVERY_TYPES) & (of == ICMP6), kind, 0)
        errors = np.zeros(rows.size, bool)
        errors[messages] = np.logical_or.reduce(
            [(of == number) & np.isin(kind, types) for number, types in ICMP_ERRORS.items()]
        )
        view, rows, end, header = view.keep(~errors, "error"), rows.compress(~errors), end[~errors], header[~errors]
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
