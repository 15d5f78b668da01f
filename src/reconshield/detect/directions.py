"""Flows out of records that each tell one direction in one interval, as clouds write them.

    directions = Directions(); directions.add(rows, flags, sensor) -> flows, as they come; directions.finish() -> the rest

- Each row is turned to the side that began: by the SYN that `flags` show, by what is already known of the flow, else by the
  lower port, which is marked as a guess; where both ports are the same, the first row of the two is taken for the request.
- A row that goes on from an earlier one keeps the flow's beginning and is marked `CONTINUED`, so that a long connection is one
  flow and not a steady rhythm of them.
- A flow that a second sensor tells of as well (the other machine's interface, a gateway on the way) is counted once, as the
  first sensor told it; only that a filter stopped it is taken over from the other.
- Two rows of one sensor, the same ends and the same interval are one flow in two directions, and become one row. The first one
  waits for the other while the log goes on for `WAIT` seconds; then how it went is told by it alone.

Rows are joined so many at a time, counted from the beginning of the file, so it makes no difference in what pieces they come.
What is known of flows is bounded: beyond `MOST_KNOWN` the half that has been silent longest is forgotten, and beyond
`MOST_WAITING` the older half waits no longer, which `remarks` says.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import FLOW, PORTLESS, FlowState, Mark, Rows
from reconshield.rows import join

Array = NDArray[Any]
Mask = NDArray[np.bool_]

FIN, SYN, RST, SYN_ACK = 1, 2, 4, 18
TCP = 6
FLAGS_UNKNOWN = -1
IDLE_TCP, IDLE_OTHERS = 900.0, 60.0
"""Seconds of silence after which the same ends are another flow."""

BLOCK = 65_536
"""Rows that are joined at once."""
WAIT = 900.0
"""Seconds of the log in which the other direction may follow. Clouds gather for ten minutes at most."""
MOST_WAITING = 100_000
MOST_KNOWN = 500_000
TURNED = (("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("sport", "dport"))
COUNTED = (("sent", "received"), ("sent_packets", "received_packets"))
ODD = np.uint64(0x9E37_79B9_7F4A_7C15)


@dataclass(frozen=True, slots=True)
class Legs:
    """Directions of flows: `rows` turned to the side that began, of which `answer` were turned; `begin` is when each record's
    interval began, `key` is the same for both directions.
    """

    rows: Rows
    begin: Array
    key: Array
    flags: Array
    sensor: Array
    answer: Array

    @classmethod
    def none(cls) -> Legs:
        return cls(np.empty(0, FLOW), *(np.empty(0, kind) for kind in ("f8", "u8", "i8", "i8", "?")))

    def only(self, which: Array) -> Legs:
        return Legs(*(column.take(which) for column in self.columns))

    def and_more(self, other: Legs) -> Legs:
        if not self.key.size:
            return other
        return Legs(*(join(both) for both in zip(self.columns, other.columns, strict=True)))

    @property
    def columns(self) -> tuple[Array, ...]:
        return self.rows, self.begin, self.key, self.flags, self.sensor, self.answer


class Directions:
    """What is known of the flows of one file, by a keyed hash of their ends: beginning, last sign of life, sensor."""

    def __init__(self) -> None:
        self._salt = [np.uint64(secrets.randbits(64) | 1) for _ in range(4)]
        self._keys = np.zeros(0, np.uint64)
        self._begin = np.zeros(0)
        self._last = np.zeros(0)
        self._sensor = np.zeros(0, np.int64)
        self._coming: list[tuple[Rows, Array, Array]] = []
        self._count = 0
        self._waiting = Legs.none()
        self._alone = 0

    def add(self, rows: Rows, flags: Array, sensor: Array) -> Iterator[Rows]:
        """Take in rows, which need a start; gives those of flows. `flags` are those of TCP in this direction, `FLAGS_UNKNOWN`
        where the file does not tell; `sensor` is a number for who saw it.
        """
        begin = 0
        while begin < rows.size:
            end = begin + BLOCK - self._count
            part = slice(begin, end)
            self._coming.append((rows[part], flags[part], sensor[part]))
            self._count += self._coming[-1][0].size
            begin = end
            if self._count == BLOCK:
                yield self._join()

    def finish(self) -> Iterator[Rows]:
        """What is left of the file."""
        if self._count:
            yield self._join()
        yield self._waiting.rows
        self._waiting = Legs.none()

    def remarks(self) -> Iterator[str]:
        """What must be said of the whole file."""
        if self._alone:
            yield (
                f"more than {MOST_WAITING:,} records waited for the other direction of their flow; {self._alone:,} were taken "
                "alone before it could come"
            )

    def _join(self) -> Rows:
        """The flows of the rows that have come, but for those whose other direction may still come."""
        rows, flags, sensor = (join(parts) for parts in zip(*self._coming, strict=True))
        self._coming, self._count = [], 0
        answer, sure = self._find_answers(rows, flags)
        rows["marks"] |= np.where(sure, 0, Mark.UNSURE).astype(np.uint8)
        turn(rows, answer)
        fresh = Legs(rows, rows["start"].copy(), self._hash(rows), flags, sensor, answer)
        ours = self._follow(fresh, sure & ~answer)
        legs = self._waiting.and_more(fresh if ours.size == rows.size else fresh.only(ours))
        requests, answers = find_pairs(legs)
        set_states(legs, requests, answers)
        alone = put_together(legs.rows, requests, answers)
        stays = self._let_wait(legs, alone, float(np.median(np.fmax(rows["end"], fresh.begin))))
        self._waiting = legs.only(stays)
        given = np.ones(alone.size, bool)
        given[answers] = given[stays] = False
        return legs.rows.compress(given)

    def _let_wait(self, legs: Legs, alone: Mask, now: float) -> Array:
        """The places of those that still wait, of rows that are alone; `now` is where the log has come to."""
        end = legs.rows["end"]
        may = alone & (end > now - WAIT) & ((legs.rows["sport"] != 0) | (legs.rows["dport"] != 0))
        stays = np.flatnonzero(may)
        if stays.size > MOST_WAITING:
            newest = np.argsort(end[stays], kind="stable")[-(MOST_WAITING // 2) :]
            self._alone += stays.size - newest.size
            stays = np.sort(stays[newest])
        return stays

    def _find_answers(self, rows: Rows, flags: Array) -> tuple[Mask, Mask]:
        """Which rows are the direction of an answer, and of which this is certain."""
        sure = (rows["transport"] == TCP) & (flags > 0) & (flags & SYN != 0)
        answer = np.where(sure, flags & SYN_ACK == SYN_ACK, rows["sport"] < rows["dport"])
        straight, turned = self._hash(rows), self._hash(rows, swapped=True)
        twins = np.flatnonzero(~sure & (rows["sport"] == rows["dport"]))
        answer[twins] = follows_another(straight[twins], turned[twins])
        guessed = np.flatnonzero(~sure)
        fresh = np.sort(np.where(answer, turned, straight)[sure])
        there, back = (self._find(keys[guessed])[1] | find(fresh, keys[guessed])[1] for keys in (straight, turned))
        answer[guessed] = np.where(there != back, back, answer[guessed])
        portless = np.isin(rows["transport"], PORTLESS) | ((rows["sport"] == 0) & (rows["dport"] == 0))
        return np.asarray(answer & ~portless, bool), np.asarray(sure, bool)

    def _hash(self, rows: Rows, *, swapped: bool = False) -> NDArray[np.uint64]:
        a, b, c, d = self._salt
        src, dst, sport, dport = ("dst", "src", "dport", "sport") if swapped else ("src", "dst", "sport", "dport")
        value = (rows[f"{src}_lo"] ^ rows[f"{src}_hi"] * b) * a
        value ^= value >> np.uint64(29)
        value = (value + rows[f"{dst}_lo"] ^ rows[f"{dst}_hi"] * d) * c
        value ^= value >> np.uint64(32)
        ports = rows[sport].astype(np.uint64) << np.uint64(24) | rows[dport].astype(np.uint64) << np.uint64(8)
        value = (value + (ports | rows["transport"])) * b
        return np.asarray(value ^ value >> np.uint64(29), np.uint64)

    def _follow(self, legs: Legs, opens: Mask) -> Array:
        """The places of rows that no other sensor told already; each of these gets the beginning of its flow."""
        rows = legs.rows
        moment = legs.begin.view(np.uint64) << np.uint64(1) | legs.answer  # the bits of floats rise as they do
        order = np.lexsort([moment, legs.key])
        order = order[self._of_one_sensor(legs, order)]
        if not order.size:
            return order
        key, start = legs.key[order], legs.begin[order]
        end, idle = np.fmax(rows["end"][order], start), idle_after(rows["transport"][order])
        lead = first_of_each(key)
        heads, group = np.flatnonzero(lead), np.cumsum(lead) - 1
        at, known = self._find(key[heads])
        before = np.concatenate([[-np.inf], end[:-1]])
        before[heads] = np.where(known, self._look(self._last, at), -np.inf)
        begins = (start - before > idle) | (opens[order] & (start > before))
        mark = begins | lead
        since = np.where(begins, start, self._look(self._begin, at)[group])
        since = since[np.maximum.accumulate(np.where(mark, np.arange(mark.size), 0))]
        rows["start"][order] = since
        rows["marks"][order] |= np.where(begins, 0, Mark.CONTINUED).astype(np.uint8)
        tails = np.concatenate([heads[1:], [key.size]]) - 1
        self._remember(key[heads], since[tails], np.maximum.reduceat(end, heads), legs.sensor[order][heads])
        return np.sort(order)

    def _of_one_sensor(self, legs: Legs, order: Array) -> Mask:
        """Which of the ordered rows come from the sensor that told of their flow first. Where another one says that a filter
        stopped it, the first of them says so too.
        """
        state, told, start = legs.rows["state"], legs.sensor[order], legs.begin[order]
        lead = first_of_each(legs.key[order])
        heads, group = np.flatnonzero(lead), np.cumsum(lead) - 1
        at, known = self._find(legs.key[order[heads]])
        idle = idle_after(legs.rows["transport"][order[heads]])
        going = known & (start[heads] - self._look(self._last, at) <= idle)
        mine = told == np.where(going, self._look(self._sensor, at), told[heads])[group]
        stopped = np.bincount(group, ~mine & (state[order] == FlowState.DENIED)) > 0
        ours = np.flatnonzero(mine)
        firsts = ours[first_of_each(group[ours])] if ours.size else ours
        state[order[firsts[stopped[group[firsts]]]]] = FlowState.DENIED
        return np.asarray(mine, bool)

    def _find(self, keys: Array) -> tuple[Array, Mask]:
        return find(self._keys, keys)

    def _look(self, values: Array, at: Array) -> Array:
        """Values at places that may lie behind the end; those count for nothing."""
        return values[np.minimum(at, values.size - 1)] if values.size else np.zeros(at.size, values.dtype)

    def _remember(self, keys: Array, begin: Array, last: Array, sensor: Array) -> None:
        at, known = self._find(keys)
        here, fresh = at[known], at[~known]
        self._begin[here], self._sensor[here] = begin[known], sensor[known]
        self._last[here] = np.fmax(self._last[here], last[known])
        added = np.zeros(self._keys.size + fresh.size, bool)
        added[fresh + np.arange(fresh.size)] = True
        self._keys, self._begin = widen(self._keys, added, keys[~known]), widen(self._begin, added, begin[~known])
        self._last, self._sensor = widen(self._last, added, last[~known]), widen(self._sensor, added, sensor[~known])
        if self._keys.size > MOST_KNOWN:
            newest = np.sort(np.argsort(self._last, kind="stable")[-MOST_KNOWN // 2 :])
            self._keys, self._begin = self._keys[newest], self._begin[newest]
            self._last, self._sensor = self._last[newest], self._sensor[newest]


def find(ordered: Array, keys: Array) -> tuple[Array, Mask]:
    """Where each key stands among ordered ones, or would; and which are there."""
    at = np.searchsorted(ordered, keys)
    known = at < ordered.size
    known[known] = ordered[at[known]] == keys[known]
    return at, known


def widen(values: Array, added: Mask, more: Array) -> Array:
    """Values with more of them in the places that are added."""
    wider = np.empty(added.size, values.dtype)
    wider[added], wider[~added] = more, values
    return wider


def first_of_each(ordered: Array) -> Mask:
    """The first of each run of equal keys."""
    lead = np.ones(ordered.size, bool)
    lead[1:] = ordered[1:] != ordered[:-1]
    return lead


def idle_after(transport: Array) -> Array:
    return np.where(transport == TCP, IDLE_TCP, IDLE_OTHERS)


def turn(rows: Rows, where: Mask) -> None:
    """Make the other side the one that began: ends, ports and counts change places."""
    turned = rows.compress(where)
    for one, other in (*TURNED, *COUNTED):
        rows[one][where], rows[other][where] = turned[other], turned[one]


def follows_another(straight: Array, turned: Array) -> Mask:
    """Which rows go against the first one between the same ends; the keys are those of a row as it is and of one against it."""
    _, first, which = np.unique(np.minimum(straight, turned), return_index=True, return_inverse=True)
    return np.asarray(straight != straight[first][which.reshape(-1)], bool)


def find_pairs(legs: Legs) -> tuple[Array, Array]:
    """Places of requests, and for each the place of its answer."""
    end, sensor = legs.rows["end"].copy(), legs.sensor
    same = (legs.key * ODD ^ legs.begin.view(np.uint64)) * ODD ^ end.view(np.uint64)
    same = (same * ODD ^ sensor.view(np.uint64)) * ODD & ~np.uint64(1) | legs.answer
    order = np.argsort(same)  # what belongs together, requests before answers
    same = same[order]
    at = np.flatnonzero((same[:-1] ^ same[1:] == 1) & (same[:-1] & np.uint64(1) == 0))
    one, two = order[at], order[at + 1]
    found = np.logical_and.reduce([column[one] == column[two] for column in (legs.key, legs.begin, end, sensor)])
    return one[found], two[found]


def set_states(legs: Legs, requests: Array, answers: Array) -> None:
    """How a flow went, from both directions or from an answer to a SYN; what the flags do not prove stays unknown."""
    rows, flags = legs.rows, legs.flags
    open_ = rows["state"] == FlowState.UNKNOWN
    rows["state"][open_ & legs.answer & (flags > 0) & (flags & SYN_ACK == SYN_ACK)] = FlowState.ESTABLISHED
    back = flags[answers]
    tcp = rows["transport"][requests] == TCP
    refused = tcp & (back == RST) & (flags[requests] >= 0) & (flags[requests] & SYN != 0)
    proved = ~tcp | ((back >= 0) & (back != RST))
    both = np.where(refused, FlowState.REFUSED, np.where(proved, FlowState.ESTABLISHED, FlowState.UNKNOWN))
    denied = (rows["state"][requests] == FlowState.DENIED) | (rows["state"][answers] == FlowState.DENIED)
    rows["state"][requests] = np.where(denied, FlowState.DENIED, both)


def put_together(rows: Rows, requests: Array, answers: Array) -> Mask:
    """Put what answers tell beside their requests; gives which rows have neither."""
    for _, name in COUNTED:
        rows[name][requests] = rows[name][answers]
    marks, back = rows["marks"][requests], rows["marks"][answers]
    rows["marks"][requests] = marks & np.where(back & Mark.UNSURE, 255, 255 - Mark.UNSURE) & (back | (255 - Mark.CONTINUED))
    alone = np.ones(rows.size, bool)
    alone[requests] = alone[answers] = False
    return alone
