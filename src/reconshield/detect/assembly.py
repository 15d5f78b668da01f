"""Packets in, flows out: who began, how it went, how much each side sent, and what the first octets of both sides are.

    assembly = Assembly(names); assembly.add(packets, data) -> finished flows; assembly.finish() -> the rest

The packets of a piece are grouped by their two endpoints and cut into stretches that belong to one flow each, all with
arrays; what is left for Python is one step a stretch, to join it with what earlier pieces knew. A flow ends by FIN or RST and
a new SYN, or by silence. The memory is bounded: beyond `MOST_OPEN` flows the oldest are given out as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import UNRECOGNISED, Flows, FlowState, Mark, Names, new_rows
from reconshield.detect.headers import ACK, RST, SYN, TCP, UDP
from reconshield.knowledge.speech import LOOKED_AT, recognise

IDLE = {TCP: 900.0}
IDLE_OTHERS = 60.0
"""Seconds of silence after which a flow has ended, TCP and everything else."""

SYSTEM_PORTS = 1024
"""Below are ports that servers answer from."""

SWEEP = 30.0
"""Seconds of the capture between two looks for flows that have ended."""

CUT = 1 << 8
"""A flag beyond those of TCP."""

MOST_OPEN = 400_000
MOST_FRAGMENTS = 10_000

Array = NDArray[Any]
Key = tuple[int, ...]


@dataclass(slots=True)
class Open:
    """A flow that may go on. Side 0 is the endpoint with the lower number; `begun` the side that began, -1 while a guess;
    `asked` the sequence number of the SYN that began it, -1 where there was none.
    """

    key: Key
    first: float
    last: float
    number: int
    begun: int
    guess: int
    asked: int
    packets: list[int]
    octets: list[int]
    flags: list[int]
    said: list[bytes]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the packets of one piece say of one flow, or of a part of it: `fresh` when it began within the piece."""

    key: Key
    fresh: bool
    first: float
    last: float
    number: int
    begun: int
    guess: int
    asked: int
    packets: tuple[int, int]
    octets: tuple[int, int]
    flags: tuple[int, int]
    said: tuple[bytes, bytes]


class Assembly:
    """The flows of one capture."""

    def __init__(self) -> None:
        self.names = Names()
        self._open: dict[Key, Open] = {}
        self._ports: dict[Key, tuple[int, int]] = {}
        self._done: list[Open] = []
        self._now = self._swept = 0.0

    def add(self, packets: Array, data: Array) -> Flows:
        """Take in the packets of a piece, mixed up as card queues and merging leave them; gives the flows that have ended."""
        if packets.size:
            if (np.diff(packets["at"]) < 0).any():
                packets = packets[np.argsort(packets["at"], kind="stable")]
            packets = self._give_ports(packets)
            for stretch in cut_stretches(packets, data):
                self._join(stretch)
            known = packets["at"][~np.isnan(packets["at"])]
            self._now = max(self._now, float(known.max(initial=0.0)))
        self._expire()
        return self._give()

    def finish(self) -> Flows:
        """The flows that were still open."""
        self._done.extend(self._open.values())
        self._open.clear()
        return self._give()

    def _give_ports(self, packets: Array) -> Array:
        """Later fragments get the ports of the first one, if it was seen; else they have none."""
        if not (packets["more"].any() or packets["skipped"].any()):
            return packets
        packets = packets.copy()
        for at in np.flatnonzero(packets["more"] | (packets["skipped"] > 0)).tolist():
            row = packets[at]
            key = tuple(int(row[name]) for name in ("src_hi", "src_lo", "dst_hi", "dst_lo", "transport", "fragment"))
            if row["skipped"] == 0:
                if len(self._ports) >= MOST_FRAGMENTS:
                    self._ports.clear()
                self._ports[key] = int(row["sport"]), int(row["dport"])
            else:
                known = self._ports.get(key)
                packets["sport"][at], packets["dport"][at] = known or (0, 0)
                packets["flags"][at] = 0 if known else ACK
        return packets

    def _join(self, stretch: Stretch) -> None:
        flow = self._open.get(stretch.key)
        repeated = flow is not None and stretch.asked >= 0 and stretch.asked == flow.asked
        fresh = stretch.fresh and not repeated
        if flow is not None and (fresh or stretch.first - flow.last > idle_after(stretch.key)):
            self._done.append(flow)
            flow = None
        if flow is None:
            self._open[stretch.key] = Open(
                stretch.key,
                stretch.first,
                stretch.last,
                stretch.number,
                stretch.begun,
                stretch.guess,
                stretch.asked,
                list(stretch.packets),
                list(stretch.octets),
                list(stretch.flags),
                list(stretch.said),
            )
            return
        flow.last = max(flow.last, stretch.last) if stretch.last == stretch.last else flow.last
        flow.begun = stretch.begun if flow.begun < 0 else flow.begun
        for side in (0, 1):
            flow.packets[side] += stretch.packets[side]
            flow.octets[side] += stretch.octets[side]
            flow.flags[side] |= stretch.flags[side]
            flow.said[side] = flow.said[side] or stretch.said[side]

    def _expire(self) -> None:
        """Close what has been silent for too long; when there are too many, the half that has been silent longest."""
        if self._now - self._swept < SWEEP and len(self._open) <= MOST_OPEN:
            return
        self._swept = self._now
        if len(self._open) > MOST_OPEN:
            oldest = sorted(self._open.values(), key=lambda flow: flow.last)[: MOST_OPEN // 2]
        else:
            oldest = [flow for flow in self._open.values() if self._now - flow.last > idle_after(flow.key)]
        for flow in oldest:
            del self._open[flow.key]
        self._done.extend(oldest)

    def _give(self) -> Flows:
        rows = new_rows(len(self._done))
        for at, flow in enumerate(self._done):
            rows[at] = self._row(flow)
        self._done = []
        return Flows(rows, self.names.all)

    def _row(self, flow: Open) -> tuple[object, ...]:
        begun = flow.begun if flow.begun >= 0 else flow.guess
        src, dst = ((0, 1, 4), (2, 3, 5)) if begun == 0 else ((2, 3, 5), (0, 1, 4))
        transport, serves = flow.key[6], 1 - begun
        marks = 0 if flow.begun >= 0 else Mark.UNSURE
        if not flow.packets[0] or not flow.packets[1]:
            # One side alone: silence of the other is an answer only to a packet that asks for one.
            marks |= Mark.ONE_SIDED if flow.begun < 0 or flow.flags[begun] & ACK else 0
        return (
            flow.first,
            flow.last,
            *(flow.key[place] for place in (src[0], src[1], dst[0], dst[1])),
            flow.key[src[2]],
            flow.key[dst[2]],
            transport,
            flow_state(flow, begun),
            marks,
            self.names.number(app_name(flow.said[serves], flow.said[begun], whole=words_whole(flow))),
            flow.octets[begun],
            flow.octets[serves],
            flow.packets[begun],
            flow.packets[serves],
            flow.number,
        )


def idle_after(key: Key) -> float:
    return IDLE.get(key[6], IDLE_OTHERS)


def flow_state(flow: Open, begun: int) -> FlowState:
    """How it went. Without an answer, only a flow whose beginning was seen is known to be unanswered."""
    asked, answered = flow.flags[begun], flow.flags[1 - begun]
    if flow.key[6] != TCP:
        return FlowState.ESTABLISHED if all(flow.packets) else FlowState.UNANSWERED
    if answered & SYN or (all(flow.packets) and all(flow.octets)):
        return FlowState.ESTABLISHED
    if asked & SYN and answered & RST:
        return FlowState.REFUSED
    if asked & SYN and not flow.packets[1 - begun] and not asked & ACK:
        return FlowState.UNANSWERED
    return FlowState.UNKNOWN


def words_whole(flow: Open) -> bool:
    """Whether what was kept of both sides is what they began with: the connection was seen from its beginning, and not cut."""
    flags = flow.flags[0] | flow.flags[1]
    return not flags & CUT and bool(flow.key[6] != TCP or flags & SYN)


def app_name(server: bytes, client: bytes, *, whole: bool) -> str:
    """What was spoken, by the first octets of both sides; empty where nothing was said. Octets from somewhere in the middle
    name a protocol only where both sides agree, and never say that it is none that is known.
    """
    heard = recognise(server, "server") if server else ()
    asked = recognise(client, "client") if client else ()
    both = [name for name in asked if name in heard]
    if both or not whole:
        return both[0] if both else ""
    names = heard or asked
    return names[0] if names else UNRECOGNISED if server or client else ""


def cut_stretches(packets: Array, data: Array) -> list[Stretch]:
    """The packets of a piece as stretches of flows, in the order of their first packets."""
    side, ends = order_sides(packets)
    group = number_ends(ends, packets["transport"])
    order = np.argsort(group, kind="stable")
    rows, side, group = packets.take(order), side[order], group[order]
    begins, fresh = find_beginnings(rows, group)
    first = np.flatnonzero(begins)
    sums = sum_sides(rows, side, first)
    said = [first_words(rows, side == which, first, data) for which in (0, 1)]
    lead = order[first]
    keys = zip(*(column[lead].tolist() for column in ends), packets["transport"][lead].tolist(), strict=True)
    begun, guess = who_began(rows, side, first)
    last = np.fmax.reduceat(rows["at"], first)
    stretches = [
        Stretch(key, bool(new), at, until, number, who, maybe, syn, packets_, octets, flags, words)
        for key, new, at, until, number, who, maybe, syn, packets_, octets, flags, words in zip(
            keys,
            fresh[first].tolist(),
            np.fmin.reduceat(rows["at"], first).tolist(),
            last.tolist(),
            rows["number"][first].tolist(),
            begun.tolist(),
            guess.tolist(),
            np.where(is_syn(rows[first]), rows["sequence"][first].astype(np.int64), -1).tolist(),
            *(zip(one.tolist(), two.tolist(), strict=True) for one, two in sums),
            zip(*said, strict=True),
            strict=True,
        )
    ]
    stretches.sort(key=lambda stretch: stretch.number)
    return stretches


def order_sides(packets: Array) -> tuple[Array, tuple[Array, ...]]:
    """Which side each packet comes from (0: the endpoint with the lower number), and both endpoints in that order:
    high and low half of side 0, of side 1, port of side 0, of side 1.
    """
    names = ("src_hi", "src_lo", "sport"), ("dst_hi", "dst_lo", "dport")
    src, dst = ([packets[name].astype(np.uint64) for name in part] for part in names)
    swapped = np.zeros(packets.size, bool)
    equal = np.ones(packets.size, bool)
    for one, two in zip(src, dst, strict=True):
        swapped |= equal & (one > two)
        equal &= one == two
    low = [np.where(swapped, two, one) for one, two in zip(src, dst, strict=True)]
    high = [np.where(swapped, one, two) for one, two in zip(src, dst, strict=True)]
    return swapped.astype(np.int64), (low[0], low[1], high[0], high[1], low[2], high[2])


def number_ends(ends: tuple[Array, ...], transport: Array) -> Array:
    """A small number for each different pair of endpoints, by sorting only the columns that differ at all."""
    ports = ends[4] << np.uint64(24) | ends[5] << np.uint64(8) | transport
    columns = [column for column in (*ends[:4], ports) if (column != column[0]).any()]
    order = np.lexsort(columns) if columns else np.arange(transport.size)
    differs = np.zeros(transport.size, bool)
    for column in columns:
        ordered = column[order]
        differs[1:] |= ordered[1:] != ordered[:-1]
    numbers = np.empty(transport.size, np.int64)
    numbers[order] = np.cumsum(differs)
    return numbers


def is_syn(rows: Array) -> Array:
    """Which packets ask for a connection."""
    return np.asarray((rows["transport"] == TCP) & (rows["flags"] & (SYN | ACK) == SYN))


def find_beginnings(rows: Array, group: Array) -> tuple[Array, Array]:
    """Where a stretch begins, and which of them are new flows for certain: a SYN of another connection, or a long silence."""
    begins = np.diff(group, prepend=-1) != 0
    place = np.arange(rows.size)
    start = np.maximum.accumulate(np.where(begins, place, 0))
    begin = is_syn(rows)
    earlier = np.maximum.accumulate(np.where(begin, place, -1))
    earlier = np.concatenate([[-1], earlier[:-1]])
    repeated = (earlier >= start) & (rows["sequence"][np.maximum(earlier, 0)] == rows["sequence"])
    silence = np.diff(rows["at"], prepend=rows["at"][:1])
    idle = np.where(rows["transport"] == TCP, IDLE[TCP], IDLE_OTHERS)
    fresh = (begin & ~repeated) | (~begins & (silence > idle))
    return begins | fresh, fresh


def sum_sides(rows: Array, side: Array, first: Array) -> list[tuple[Array, Array]]:
    """Packets, octets and flags of both sides of each stretch, with `CUT` where the capture lacks octets to look at."""
    cut = rows["captured"] < np.minimum(rows["octets"], LOOKED_AT)
    flags = rows["flags"] | np.where(cut, CUT, 0)
    columns = ((np.ones(rows.size, np.int64), np.add), (rows["octets"], np.add), (flags, np.bitwise_or))
    masked = [[add.reduceat(np.where(side == which, values, 0), first) for which in (0, 1)] for values, add in columns]
    return [(one, two) for one, two in masked]


def who_began(rows: Array, side: Array, first: Array) -> tuple[Array, Array]:
    """The side that began each stretch, -1 where nothing tells, and the best guess: the side that does not serve a known port.

    A SYN tells, and so does an answer to one; for UDP whoever is heard first, unless that looks like a server's answer.
    """
    flags, tcp = rows["flags"], rows["transport"] == TCP
    syn, answer = tcp & (flags & (SYN | ACK) == SYN), tcp & (flags & (SYN | ACK) == (SYN | ACK))
    asks = np.where(syn, side, np.where(answer, 1 - side, -1))
    told = np.maximum.reduceat(asks, first)
    lead = side[first]
    ports = np.stack([rows["sport"][first], rows["dport"][first]]).astype(np.int64)
    lower = np.where(ports[0] < ports[1], 1 - lead, lead)
    first_heard = ~tcp[first] & ((ports[0] >= ports[1]) | (ports[0] >= SYSTEM_PORTS))
    begun = np.where(told >= 0, told, np.where(first_heard, lead, -1))
    return begun, lower


def first_words(rows: Array, mine: Array, first: Array, data: Array) -> list[bytes]:
    """The first octets that one side of each stretch sent, at most as many as recognition looks at."""
    speaks = mine & (rows["captured"] > 0) & np.isin(rows["transport"], (TCP, UDP)) & (rows["skipped"] == 0)
    place = np.where(speaks, np.arange(rows.size), rows.size)
    where = np.minimum.reduceat(place, first)
    begin = rows["payload"][np.minimum(where, rows.size - 1)].tolist()
    length = np.minimum(rows["captured"][np.minimum(where, rows.size - 1)], LOOKED_AT).tolist()
    return [
        data[a : a + n].tobytes() if at < rows.size else b"" for at, a, n in zip(where.tolist(), begin, length, strict=True)
    ]
