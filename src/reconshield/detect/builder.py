"""Flows one by one, gathered into batches: for formats whose records are objects or packed binary, not columns of text.

A reader hands on the values of a record as they stand; what they mean is found for the whole batch at once, and a record whose
address or port is none is named then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconshield.detect.flows import LATEST, NOT_KNOWN, Bad, Flows, FlowState, Item, Names, new_rows

BATCH = 20_000
MOST_ADDRESSES = 200_000
WRONG = (0, 0)


class Record(NamedTuple):
    """A flow as a reader hands it on. Numbers may be text or missing (None), addresses are text or packed; see `flows.FLOW`."""

    record: int
    start: float
    end: float
    src: Any
    dst: Any
    sport: Any
    dport: Any
    transport: int
    state: int = FlowState.UNKNOWN
    marks: int = 0
    app: str = ""
    sent: Any = NOT_KNOWN
    received: Any = NOT_KNOWN
    sent_packets: Any = NOT_KNOWN
    received_packets: Any = NOT_KNOWN


class Builder:
    """Takes flows and gives them out in batches: `builder.add(Record(...))`, and `builder.take()` when it is `full`, and at
    the end.
    """

    def __init__(self, place: str = "line") -> None:
        """`place` is what a record's number counts: lines, packets."""
        self.names = Names()
        self.place = place
        self._records: list[Sequence[Any]] = []
        self._addresses: dict[Any, tuple[int, int]] = {}
        self.add = self._records.append

    @property
    def full(self) -> bool:
        return len(self._records) >= BATCH

    def take(self) -> Iterator[Item]:
        """The flows gathered so far, and those that could not be used."""
        if not self._records:
            return
        columns = list(zip(*self._records, strict=True))
        self._records.clear()
        rows = new_rows(len(columns[0]))
        number, start, end, src, dst, sport, dport, transport, state, marks, app, *counts = columns
        rows["record"] = number
        for name, times in (("start", start), ("end", end)):
            rows[name] = read_moments(times)
        rows["transport"], rows["state"], rows["marks"] = transport, state, marks
        right = np.ones(rows.size, bool)
        for name, texts in (("src", src), ("dst", dst)):
            halves = find_halves(texts, self._addresses)
            rows[f"{name}_hi"], rows[f"{name}_lo"] = halves[:, 0], halves[:, 1]
            yield from name_bad(self.place, number, right, (halves != 0).any(axis=1), "no address", texts)
        for name, values in (("sport", sport), ("dport", dport)):
            port = whole_numbers(values, 0)
            yield from name_bad(self.place, number, right, (port >= 0) & (port <= 65_535), "no port", values)
            rows[name] = port & 0xFFFF
        rows["app"] = [self.names.number(name) for name in app]
        for name, values in zip(("sent", "received", "sent_packets", "received_packets"), counts, strict=True):
            rows[name] = whole_numbers(values, NOT_KNOWN)
        yield Flows(rows if right.all() else rows.compress(right), self.names.all)


def read_moments(times: Sequence[float]) -> NDArray[np.float64]:
    """Unix seconds, NaN for what is no time of a flow."""
    moments = np.array(times, np.float64)
    return np.where((moments >= 0) & (moments < LATEST), moments, np.nan)


def find_halves(texts: Iterable[Any], known: dict[Any, tuple[int, int]]) -> NDArray[np.uint64]:
    """The halves of each address, a row each; `known` are those met before, which it adds to."""
    if len(known) > MOST_ADDRESSES:
        known.clear()
    for text in set(texts) - known.keys():
        known[text] = read_address(text)
    return np.array([known[text] for text in texts], np.uint64)


def name_bad(
    place: str, number: Sequence[int], right: NDArray[np.bool_], fine: NDArray[np.bool_], why: str, values: Sequence[Any]
) -> Iterator[Bad]:
    """A fault for each record that was right and is not `fine`; takes them out of `right`."""
    for at in np.flatnonzero(right & ~fine).tolist():
        yield Bad(f"{place} {number[at]}", f"{str(values[at])[:60]!r} is {why}")
    right &= fine


def whole_numbers(values: Sequence[Any], unknown: int) -> NDArray[np.int64]:
    """Whole numbers or their texts, `unknown` for anything else. A list of plain numbers is taken as it is."""
    try:
        found = np.array(values)
        if found.dtype == np.int64:
            return found
    except (ValueError, OverflowError):
        pass  # a mixture: one by one
    return np.array([whole(value, unknown) for value in values], np.int64)


def whole(value: object, unknown: int = NOT_KNOWN) -> int:
    """A whole number or its text, `unknown` for anything else."""
    if isinstance(value, bool):
        return unknown
    if isinstance(value, int):
        return value if 0 <= value < 2**63 else unknown
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        return int(value)
    return unknown


def read_address(text: object) -> tuple[int, int]:
    """The halves of an address, IPv4 v4-mapped; two zeros for what is none (the address `::` is nobody's either)."""
    try:
        address = ip_address(text) if isinstance(text, (str, bytes)) else None
    except ValueError:
        return WRONG
    if isinstance(address, IPv6Address):
        number = int(address)
        return number >> 64, number & (2**64 - 1)
    return (0, 0xFFFF << 32 | int(address)) if address else WRONG
