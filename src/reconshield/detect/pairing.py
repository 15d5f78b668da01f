"""Records of one direction, joined to flows: for sensors that tell each direction by itself, or every packet.

    pairing.add(Half(...)) for each record; pairing.take() when it is `full`, pairing.finish() at the end

Two records belong together when they have the same ends, whichever way round, and follow each other within `gap` seconds. The
side that began is known where a record says so (a SYN alone, an echo request), else it is the side that was seen first; what is
left is a guess by the lower port and marked as one. A flow stays open for records to come, the last `MOST_OPEN` of them, so
memory is bounded. All records of a batch are sorted, cut and summed up at once.

    halves -> by ends and time -> cut where there is a pause -> two sides for each flow -> who began, how it went -> flows
"""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.builder import find_halves, name_bad, read_moments, whole_numbers
from reconshield.detect.flows import NOT_KNOWN, Flows, FlowState, Item, Mark, Rows, new_rows
from reconshield.rows import join

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP = 6
BATCH = 50_000
MOST_OPEN = 100_000
MOST_COUNT = 2**53
"""A larger count is a mistake of the exporter's; it is cut, so that sums stay right."""
ENDS = ("src_hi", "src_lo", "sport"), ("dst_hi", "dst_lo", "dport")

HALF = np.dtype(
    [
        ("record", "u8"),
        ("start", "f8"),
        ("end", "f8"),
        ("src_hi", "u8"),
        ("src_lo", "u8"),
        ("dst_hi", "u8"),
        ("dst_lo", "u8"),
        ("sport", "u2"),
        ("dport", "u2"),
        ("transport", "u1"),
        ("flags", "i2"),
        ("octets", "i8"),
        ("packets", "i8"),
        ("role", "i1"),
        ("denied", "?"),
        ("view", "i1"),
        ("both", "?"),
    ]
)
"""Columns of `Half`."""

Array = NDArray[Any]
Mask = NDArray[np.bool_]


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


@dataclass(frozen=True, slots=True)
class Sides:
    """What each side of each flow has sent: rows of `HALF`, two for each flow, that of its first record before that of the
    other. `there` says which are any.
    """

    rows: Rows
    there: Mask

    def side(self, which: int) -> tuple[Rows, Mask]:
        return self.rows[which::2], self.there[which::2]


class Pairing:
    """The open flows. `complete` says that the sensor tells every packet, so that silence means that nobody answered."""

    def __init__(self, place: str, gap: float, tcp_gap: float | None = None, *, complete: bool = True) -> None:
        """`place` is what a record's number counts."""
        self.complete = complete
        self.doubled = 0
        """Records that tell again, from another place, what was told already."""
        self._place = place
        self._gap, self._tcp_gap = gap, gap if tcp_gap is None else tcp_gap
        self._salt = [np.uint64(secrets.randbits(64) | 1) for _ in range(3)]
        self._addresses: dict[Any, tuple[int, int]] = {}
        self._halves: list[Half] = []
        self._open = np.zeros(0, HALF)
        self.add = self._halves.append

    @property
    def full(self) -> bool:
        return len(self._halves) >= BATCH

    def take(self) -> Iterator[Item]:
        """The flows that are over, and records that could not be used."""
        yield from self._join(last=False)

    def finish(self) -> Iterator[Item]:
        """All that are left."""
        yield from self._join(last=True)

    def _join(self, *, last: bool) -> Iterator[Item]:
        fresh = yield from self._read_halves()
        rows = join([self._open, fresh])
        self._open = np.zeros(0, HALF)
        if not rows.size:
            return
        turned = is_turned(rows)
        keys = self._hash(rows, turned)
        order = np.lexsort([rows["start"], keys])
        rows, keys = rows.take(order), keys[order]
        flow = self._cut(rows, keys)
        sides, doubled = sum_sides(rows, flow, turned[order])
        self.doubled += doubled
        first = np.flatnonzero(np.diff(flow, prepend=-1))
        stays = np.zeros(first.size, bool) if last else self._stay_open(sides, keys[first])
        open_ = np.repeat(stays, 2) & sides.there
        self._open = sides.rows.compress(open_)
        given = np.repeat(~stays, 2)
        found = make_flows(Sides(sides.rows.compress(given), sides.there[given]), complete=self.complete)
        yield Flows(found.take(np.argsort(order[first[~stays]])), ("",))

    def _read_halves(self) -> Generator[Item, None, Rows]:
        """The records gathered so far as rows; those without an address or port are named."""
        rows = np.zeros(len(self._halves), HALF)
        if not self._halves:
            return rows
        columns = dict(zip(Half._fields, zip(*self._halves, strict=True), strict=True))
        self._halves.clear()
        number, right = columns["record"], np.ones(rows.size, bool)
        for name in ("src", "dst"):
            halves = find_halves(columns[name], self._addresses)
            rows[f"{name}_hi"], rows[f"{name}_lo"] = halves[:, 0], halves[:, 1]
            yield from name_bad(self._place, number, right, (halves != 0).any(axis=1), "no address", columns[name])
        for name in ("sport", "dport"):
            port = whole_numbers(columns[name], -1)
            yield from name_bad(self._place, number, right, (port >= 0) & (port <= 65_535), "no port", columns[name])
            rows[name] = port & 0xFFFF
        for name in ("octets", "packets"):
            rows[name] = np.minimum(whole_numbers(columns[name], NOT_KNOWN), MOST_COUNT)
        transport = whole_numbers(columns["transport"], -1)
        yield from name_bad(
            self._place, number, right, (transport >= 0) & (transport <= 0xFF), "no protocol", columns["transport"]
        )
        rows["transport"] = transport & 0xFF
        rows["flags"] = np.clip(whole_numbers(columns["flags"], -1), -1, 0xFFF)
        for name in ("record", "role", "denied", "view", "both"):
            rows[name] = columns[name]
        for name in ("start", "end"):
            rows[name] = read_moments(columns[name])
        return rows.compress(right)

    def _hash(self, rows: Rows, turned: Mask) -> NDArray[np.uint64]:
        """One number for the ends of a record, whichever way round."""
        a, b, c = self._salt
        sides = []
        for hi, lo, port in ENDS:
            value = (rows[lo] ^ rows[hi] * b) * a + rows[port].astype(np.uint64)
            sides.append((value ^ value >> np.uint64(29)) * c)
        low, high = np.where(turned, sides[1], sides[0]), np.where(turned, sides[0], sides[1])
        value = (low ^ low >> np.uint64(32)) * b + high + rows["transport"]
        return np.asarray(value ^ value >> np.uint64(31), np.uint64)

    def _cut(self, rows: Rows, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The number of the flow of each record: another one where the ends are others, or after a pause. A record without a
        time is of the flow before.
        """
        lead = np.diff(keys, prepend=~keys[:1]) != 0
        group = np.cumsum(lead) - 1
        end = np.nan_to_num(np.fmax(rows["end"], rows["start"]), nan=-np.inf)
        by_end = np.argsort(end, kind="stable")
        rank = np.empty(end.size, np.int64)
        rank[by_end] = np.arange(end.size)
        latest = end[by_end][np.maximum.accumulate(group * end.size + rank) - group * end.size]
        gap = np.where(rows["transport"] == TCP, self._tcp_gap, self._gap)
        lead[1:] |= rows["start"][1:] > latest[:-1] + gap[1:]
        return np.cumsum(lead) - 1

    def _stay_open(self, sides: Sides, keys: NDArray[np.uint64]) -> Mask:
        """The last flow of each pair of ends, for more may come; of very many the latest."""
        stays = np.diff(keys, append=~keys[-1:]) != 0
        if np.count_nonzero(stays) > MOST_OPEN:
            end = np.nan_to_num(np.fmax(sides.rows["end"][::2], sides.rows["end"][1::2]), nan=-np.inf)
            among = np.flatnonzero(stays)
            stays[among[np.argsort(end[among], kind="stable")[: among.size - MOST_OPEN // 2]]] = False
        return np.asarray(stays, bool)


def is_turned(rows: Rows) -> Mask:
    """Whether the source is the greater one of a record's two ends."""
    turned, same = np.zeros(rows.size, bool), np.ones(rows.size, bool)
    for one, other in zip(*ENDS, strict=True):
        turned |= same & (rows[one] > rows[other])
        same &= rows[one] == rows[other]
    return turned


def sum_sides(rows: Rows, flow: NDArray[np.int64], turned: Mask) -> tuple[Sides, int]:
    """What both sides of each flow have sent, and how many records told it again. The rows are in the order of their flows."""
    first = np.flatnonzero(np.diff(flow, prepend=-1))
    slot = flow * 2 + (turned != turned[first][flow])
    order = np.argsort(slot, kind="stable")
    rows, slot = rows.take(order), slot[order]
    lead = np.flatnonzero(np.diff(slot, prepend=-1))
    found = rows.take(lead)
    place = np.cumsum(np.diff(slot, prepend=-1) != 0) - 1
    again = (rows["view"] >= 0) & (found["view"][place] >= 0) & (rows["view"] != found["view"][place])
    found["start"] = np.fmin.reduceat(rows["start"], lead)
    found["end"] = np.fmax.reduceat(rows["end"], lead)
    for name in ("denied", "both"):
        found[name] = np.logical_or.reduceat(rows[name] & ~again, lead)
    told = ~again & (rows["flags"] >= 0)
    flags = np.bitwise_or.reduceat(np.where(told, rows["flags"], 0), lead)
    found["flags"] = np.where(np.logical_or.reduceat(told, lead), flags, -1)
    for name in ("octets", "packets"):
        known = ~again & (rows[name] >= 0)
        total = np.add.reduceat(np.where(known, rows[name], 0), lead)
        found[name] = np.where(np.logical_or.reduceat(known, lead), np.clip(total, 0, MOST_COUNT), NOT_KNOWN)
    says = np.minimum.reduceat(np.where(rows["role"] != 0, np.arange(rows.size), rows.size), lead)
    found["role"] = np.where(says < rows.size, rows["role"][np.minimum(says, rows.size - 1)], 0)
    sides = Sides(np.zeros(first.size * 2, HALF), np.zeros(first.size * 2, bool))
    sides.rows[slot[lead]], sides.there[slot[lead]] = found, True
    for name in ("start", "end"):
        sides.rows[name][~sides.there] = np.nan
    return sides, int(np.count_nonzero(again))


def make_flows(sides: Sides, *, complete: bool) -> Rows:
    """The flows of these sides: who began, how it went, and what is unsure about it."""
    (mine, _), (theirs, answered) = sides.side(0), sides.side(1)
    turned, unsure = who_began(mine, theirs, answered)
    denied, both = mine["denied"] | theirs["denied"], mine["both"] | theirs["both"]
    flags = [np.where(there, side["flags"], -1) for side, there in ((mine, True), (theirs, answered))]
    client, server = np.where(turned, flags[1], flags[0]), np.where(turned, flags[0], flags[1])
    state = states_of(mine["transport"], client, server, answered, both & complete, complete=complete)
    state = np.where(denied, FlowState.DENIED, state)
    told_by_one = ~answered & ~both & (complete | (mine["role"] <= 0))
    one_sided = told_by_one & ~np.isin(state, (FlowState.DENIED, FlowState.UNANSWERED))
    rows = new_rows(mine.size)
    rows["record"], rows["transport"], rows["state"] = mine["record"], mine["transport"], state
    rows["start"], rows["end"] = np.fmin(mine["start"], theirs["start"]), np.fmax(mine["end"], theirs["end"])
    rows["marks"] = unsure * np.uint8(Mark.UNSURE) | one_sided * np.uint8(Mark.ONE_SIDED)
    for one, other in zip(*ENDS, strict=True):
        rows[one], rows[other] = np.where(turned, mine[other], mine[one]), np.where(turned, mine[one], mine[other])
    for name, sent, received in (("octets", "sent", "received"), ("packets", "sent_packets", "received_packets")):
        back = np.where(answered, theirs[name], NOT_KNOWN)
        rows[sent], rows[received] = np.where(turned, back, mine[name]), np.where(turned, mine[name], back)
    return rows


def who_began(mine: Rows, theirs: Rows, answered: Mask) -> tuple[Mask, Mask]:
    """Whether the first record was the answer's, and whether that is a guess."""
    says = mine["role"].astype(np.int8) - np.where(answered, theirs["role"], 0)
    flags = mine["flags"] | np.where(answered, np.maximum(theirs["flags"], 0), 0)
    midway = (mine["transport"] == TCP) & (mine["flags"] >= 0) & (flags & SYN == 0)
    in_order = answered & ~midway & (mine["start"] < theirs["start"])
    lower = mine["sport"] < mine["dport"]
    same = mine["sport"] == mine["dport"]
    turned = np.where(says != 0, says < 0, ~in_order & lower)
    guess = np.where(same, mine["sport"] > 0, lower | midway | answered)
    return turned, np.asarray((says == 0) & ~in_order & guess, bool)


def states_of(transport: Array, client: Array, server: Array, answered: Mask, alone: Array, *, complete: bool) -> Array:
    """How each flow went, by the flags of both sides (-1: not told), or by who sent anything; `alone` says that where one side
    sent nothing it did not answer.
    """
    tcp = transport == TCP
    begun = (tcp & (client >= 0) & (client & SYN != 0) & (client & ACK == 0) & complete) | alone
    blind = ~tcp | (client < 0) | (server < 0)
    refused = (server & RST != 0) & (server & SYN == 0) & (client & SYN != 0)
    return np.select(
        [~answered & begun, ~answered, blind, refused, client & server & ACK != 0],
        [FlowState.UNANSWERED, FlowState.UNKNOWN, FlowState.ESTABLISHED, FlowState.REFUSED, FlowState.ESTABLISHED],
        FlowState.UNKNOWN,
    )
