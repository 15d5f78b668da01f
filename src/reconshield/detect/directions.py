"""Flows out of records that each tell one direction in one interval, as clouds write them.

    directions = Directions(); directions.join(rows, flags, sensor) -> rows, for each batch of one file

- Each row is turned to the side that began: by the SYN that `flags` show, by what is already known of the flow, else by the
  lower port, which is marked as a guess.
- Two rows of one batch, one sensor, the same ends and the same interval are one flow in two directions, and become one row.
  Where a batch ends between them they stay two rows of the flow, and how it went is told by each alone.
- A row that goes on from an earlier one keeps the flow's beginning and is marked `CONTINUED`, so that a long connection is one
  flow and not a steady rhythm of them.
- A flow that a second sensor tells of as well (the other machine's interface, a gateway on the way) is counted once, as the
  first sensor told it; only that a filter stopped it is taken over from the other.

What is known of flows is bounded: beyond `MOST_KNOWN` the half that has been silent longest is forgotten.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import PORTLESS, FlowState, Mark, Rows

Array = NDArray[Any]
Mask = NDArray[np.bool_]

FIN, SYN, RST, SYN_ACK = 1, 2, 4, 18
TCP = 6
FLAGS_UNKNOWN = -1
IDLE_TCP, IDLE_OTHERS = 900.0, 60.0
"""Seconds of silence after which the same ends are another flow."""

MOST_KNOWN = 500_000
ENDS = ("src_hi", "src_lo", "dst_hi", "dst_lo")
SAME = (*ENDS, "sport", "dport", "transport", "start", "end")
TURNED = (("src_hi", "dst_hi"), ("src_lo", "dst_lo"), ("sport", "dport"))
COUNTED = (("sent", "received"), ("sent_packets", "received_packets"))


class Directions:
    """What is known of the flows of one file, by a keyed hash of their ends: beginning, last sign of life, sensor."""

    def __init__(self) -> None:
        self._salt = [np.uint64(secrets.randbits(64) | 1) for _ in range(4)]
        self._keys = np.zeros(0, np.uint64)
        self._begin = np.zeros(0)
        self._last = np.zeros(0)
        self._sensor = np.zeros(0, np.int64)

    def join(self, rows: Rows, flags: Array, sensor: Array) -> Rows:
        """The flows of a batch. `flags` are those of TCP in this direction, `FLAGS_UNKNOWN` where the file does not tell;
        `sensor` is a number for who saw it. Rows need a start.
        """
        if not rows.size:
            return rows
        answer, sure = self._find_answers(rows, flags)
        rows["marks"] |= np.where(sure, 0, Mark.UNSURE).astype(np.uint8)
        turn(rows, answer)
        requests, answers = find_pairs(rows, self._hash(rows), answer, sensor)
        set_states(rows, flags, answer, requests, answers)
        remain = put_together(rows, requests, answers)
        return self._follow(rows[remain], (sure & ~answer)[remain], sensor[remain])

    def _find_answers(self, rows: Rows, flags: Array) -> tuple[Mask, Mask]:
        """Which rows are the direction of an answer, and of which this is certain."""
        sure = (rows["transport"] == TCP) & (flags > 0) & (flags & SYN != 0)
        answer = np.where(sure, flags & SYN_ACK == SYN_ACK, rows["sport"] < rows["dport"])
        straight, turned = self._hash(rows), self._hash(rows, swapped=True)
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

    def _follow(self, rows: Rows, opens: Mask, sensor: Array) -> Rows:
        """Without what another sensor told already; each row with the beginning of its flow."""
        key, start = self._hash(rows), rows["start"]
        order = np.lexsort([start, key])
        order = order[self._of_one_sensor(rows, key, order, sensor)]
        if not order.size:
            return rows[order]
        key, start = key[order], start[order]
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
        self._remember(key[heads], since[tails], np.maximum.reduceat(end, heads), sensor[order][heads])
        return rows[np.sort(order)]

    def _of_one_sensor(self, rows: Rows, key: Array, order: Array, sensor: Array) -> Mask:
        """Which of the ordered rows come from the sensor that told of their flow first."""
        ordered, told, start = key[order], sensor[order], rows["start"][order]
        lead = first_of_each(ordered)
        heads, group = np.flatnonzero(lead), np.cumsum(lead) - 1
        at, known = self._find(ordered[heads])
        going = known & (start[heads] - self._look(self._last, at) <= idle_after(rows["transport"][order][heads]))
        mine = told == np.where(going, self._look(self._sensor, at), told[heads])[group]
        stopped = np.bincount(group, ~mine & (rows["state"][order] == FlowState.DENIED)) > 0
        rows["state"][order[heads[stopped]]] = FlowState.DENIED
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
    turned = rows[where]
    for one, other in (*TURNED, *COUNTED):
        rows[one][where], rows[other][where] = turned[other], turned[one]


def find_pairs(rows: Rows, key: Array, answer: Mask, sensor: Array) -> tuple[Array, Array]:
    """Places of requests, and for each the place of its answer. `answer` says which rows were turned; `key` brings those of the
    same ends together.
    """
    order = np.lexsort([answer, sensor, rows["end"], rows["start"], key])
    one, two = order[:-1], order[1:]
    found = ~answer[one] & answer[two] & (sensor[one] == sensor[two])
    for name in SAME:
        found &= rows[name][one] == rows[name][two]
    return one[found], two[found]


def set_states(rows: Rows, flags: Array, answer: Mask, requests: Array, answers: Array) -> None:
    """How a flow went, from both directions or from an answer to a SYN; what the flags do not prove stays unknown."""
    open_ = rows["state"] == FlowState.UNKNOWN
    rows["state"][open_ & answer & (flags > 0) & (flags & SYN_ACK == SYN_ACK)] = FlowState.ESTABLISHED
    back = flags[answers]
    tcp = rows["transport"][requests] == TCP
    refused = tcp & (back == RST) & (flags[requests] >= 0) & (flags[requests] & SYN != 0)
    proved = ~tcp | ((back >= 0) & (back != RST))
    both = np.where(refused, FlowState.REFUSED, np.where(proved, FlowState.ESTABLISHED, FlowState.UNKNOWN))
    denied = (rows["state"][requests] == FlowState.DENIED) | (rows["state"][answers] == FlowState.DENIED)
    rows["state"][requests] = np.where(denied, FlowState.DENIED, both)


def put_together(rows: Rows, requests: Array, answers: Array) -> Mask:
    """Put the counts of answers beside those of their requests; gives which rows remain."""
    for _, name in COUNTED:
        rows[name][requests] = rows[name][answers]
    certain = (rows["marks"][answers] & Mark.UNSURE) == 0
    rows["marks"][requests[certain]] &= np.uint8(255 - Mark.UNSURE)
    remain = np.ones(rows.size, bool)
    remain[answers] = False
    return remain
