"""Records of one direction, joined to flows: for sensors that tell each direction by itself, or every packet.

    pairing.add(Half(...)) for each record; the flows go to a `Builder`; pairing.finish() at the end

Two records belong together when they have the same ends, whichever way round, and follow each other within `gap` seconds. The
side that began is known where a record says so (a SYN alone, an echo request), else it is the side that was seen first; what is
left is a guess by the lower port and marked as one. Memory is bounded: of very many open flows the oldest is given out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from reconshield.detect.builder import Builder, Record
from reconshield.detect.flows import NOT_KNOWN, FlowState, Mark

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP = 6
MOST_OPEN = 100_000
Ends = tuple[Any, int, Any, int, int]


class Half(NamedTuple):
    """A record of one direction. `flags` are those of TCP, of all its packets (-1: not told); `role` is 1 where the record
    says that `src` began, -1 where it says that `src` answers, 0 where it says nothing; `view` where the sensor saw it (in or
    out; -1: not told); `both` that the record tells both directions, so that where the other one is missing nobody answered.
    """

    record: int
    start: float
    end: float
    src: Any
    dst: Any
    sport: int
    dport: int
    transport: int
    flags: int = -1
    octets: int = NOT_KNOWN
    packets: int = NOT_KNOWN
    role: int = 0
    denied: bool = False
    view: int = -1
    both: bool = False


def role_of(flags: int, packets: int) -> int:
    """What the flags of TCP say of who began: a SYN without ACK is the client's; one packet with both is the server's."""
    if flags < 0 or not flags & SYN:
        return 0
    if not flags & ACK:
        return 1
    return -1 if packets == 1 else 0


@dataclass(slots=True)
class Side:
    """What one side has sent."""

    start: float
    role: int
    flags: int
    octets: int
    packets: int
    view: int

    def take(self, half: Half) -> None:
        self.start = least(self.start, half.start)
        self.role = self.role or half.role
        self.flags = max(self.flags, 0) | half.flags if half.flags >= 0 else self.flags
        self.octets = plus(self.octets, half.octets)
        self.packets = plus(self.packets, half.packets)


@dataclass(slots=True)
class Open:
    """A flow to which more may come: its first record, and what each side has sent (`theirs`: the one that `first` went to)."""

    first: Half
    start: float
    end: float
    denied: bool
    both: bool
    mine: Side
    theirs: Side | None = None

    def near(self, half: Half, gap: float) -> bool:
        """Whether a record can belong to this flow. One without a time can."""
        return not (half.start > self.end + gap or half.end < self.start - gap)

    def take(self, half: Half, *, same_way: bool) -> bool:
        """Add a record. False for one that tells the same packets from another place."""
        side = self.mine if same_way else self.theirs
        if side is not None and half.view != side.view and half.view >= 0 <= side.view:
            return False
        self.start, self.end = least(self.start, half.start), greatest(self.end, half.end)
        self.denied |= half.denied
        self.both |= half.both
        if side is None:
            self.theirs = side_of(half)
        else:
            side.take(half)
        return True


class Pairing:
    """The open flows. `complete` says that the sensor tells every packet, so that silence means that nobody answered."""

    def __init__(self, builder: Builder, gap: float, tcp_gap: float | None = None, *, complete: bool = True) -> None:
        self.complete = complete
        self._builder = builder
        self._gap, self._tcp_gap = gap, gap if tcp_gap is None else tcp_gap
        self._open: dict[Ends, Open] = {}
        self.doubled = 0
        """Records that tell again, from another place, what was told already."""

    def add(self, half: Half) -> None:
        ends = half.src, half.sport, half.dst, half.dport, half.transport
        found = self._open.get(ends)
        same_way = found is not None
        if found is None:
            back = half.dst, half.dport, half.src, half.sport, half.transport
            found = self._open.get(back)
            ends = back if found is not None else ends
        if found is not None:
            if found.near(half, self._tcp_gap if half.transport == TCP else self._gap):
                self.doubled += not found.take(half, same_way=same_way)
                return
            del self._open[ends]
            self._give(found)
            ends = half.src, half.sport, half.dst, half.dport, half.transport
        elif len(self._open) >= MOST_OPEN:
            self._give(self._open.pop(next(iter(self._open))))
        self._open[ends] = Open(half, half.start, half.end, half.denied, half.both, side_of(half))

    def finish(self) -> None:
        """Give out what is still open."""
        for flow in self._open.values():
            self._give(flow)
        self._open.clear()

    def _give(self, flow: Open) -> None:
        turned, unsure = who_began(flow)
        client, server = (flow.theirs, flow.mine) if turned else (flow.mine, flow.theirs)
        state = state_of(flow, client, server, complete=self.complete)
        told_by_one = flow.theirs is None and not flow.both and (self.complete or flow.mine.role <= 0)
        one_sided = told_by_one and state not in {FlowState.DENIED, FlowState.UNANSWERED}
        first = flow.first
        src, sport, dst, dport = first.src, first.sport, first.dst, first.dport
        if turned:
            src, sport, dst, dport = dst, dport, src, sport
        self._builder.add(
            Record(
                *(first.record, flow.start, flow.end, src, dst, sport, dport, first.transport, state),
                marks=(Mark.UNSURE if unsure else 0) | (Mark.ONE_SIDED if one_sided else 0),
                sent=client.octets if client else NOT_KNOWN,
                received=server.octets if server else NOT_KNOWN,
                sent_packets=client.packets if client else NOT_KNOWN,
                received_packets=server.packets if server else NOT_KNOWN,
            )
        )


def who_began(flow: Open) -> tuple[bool, bool]:
    """Whether the first record was the answer's, and whether that is a guess."""
    mine, theirs, first = flow.mine, flow.theirs, flow.first
    says = mine.role - (theirs.role if theirs else 0)
    if says:
        return says < 0, False
    midway = first.transport == TCP and mine.flags >= 0 and not (mine.flags | (max(theirs.flags, 0) if theirs else 0)) & SYN
    if theirs and not midway and (mine.start < theirs.start or theirs.start < mine.start):
        return theirs.start < mine.start, False
    if first.sport == first.dport:
        return False, bool(first.sport)
    turned = first.sport < first.dport
    return turned, turned or midway or theirs is not None


def state_of(flow: Open, client: Side | None, server: Side | None, *, complete: bool) -> FlowState:
    """How it went, by the flags of both sides, or by who sent anything."""
    if flow.denied:
        return FlowState.DENIED
    said = client.flags if client else -1
    if client is None or server is None:
        begun = flow.first.transport == TCP and said >= 0 and said & SYN and not said & ACK
        begun = complete and (begun or flow.both)
        return FlowState.UNANSWERED if begun else FlowState.UNKNOWN
    if flow.first.transport != TCP or said < 0 or server.flags < 0:
        return FlowState.ESTABLISHED
    if server.flags & RST and not server.flags & SYN and said & SYN:
        return FlowState.REFUSED
    return FlowState.ESTABLISHED if said & server.flags & ACK else FlowState.UNKNOWN


def side_of(half: Half) -> Side:
    return Side(half.start, half.role, half.flags, half.octets, half.packets, half.view)


def plus(one: int, other: int) -> int:
    """A sum in which what is not known counts nothing, and which stays within a column of 63 bits."""
    if one < 0 or other < 0:
        return max(one, other)
    return min(one + other, 2**63 - 1)


def least(one: float, other: float) -> float:
    """The lower one; a time that is not known is none."""
    return other if other < one or one != one else one  # noqa: PLR0124 - NaN


def greatest(one: float, other: float) -> float:
    return other if other > one or one != one else one  # noqa: PLR0124 - NaN
