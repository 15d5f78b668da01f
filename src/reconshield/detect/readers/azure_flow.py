"""Flow logs of Azure: of network security groups (versions 1 and 2) and of virtual networks (version 4).

Both are JSON documents with records of a minute and, deep within, tuples of text with commas. A tuple tells that a connection
began (B), goes on (C), has ended (E), or was stopped (D): those of one connection become one flow, with what they counted. Its
source is the side that began. Two interfaces, or the groups of an interface and its subnet, tell of the same connection; the
first one counts, and from another only that it was stopped. Version 1 knows no B, C and E: each tuple is a flow of unknown
extent. Source: Microsoft Learn, "NSG flow logs overview" and "Virtual network flow logs".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from reconshield.detect.builder import Builder, whole
from reconshield.detect.elements import Object, read_elements
from reconshield.detect.flows import LATEST, NOT_KNOWN, PORTLESS, Bad, Chunks, Cut, FlowState, Item, Reader

RESUME = re.compile(rb'\{\s*"time"\s*:|(?<=\n)\{(?=")')
NSG_TRANSPORTS = {"T": 6, "U": 17}
BEGIN, GOES_ON, END, STOPPED, UNTOLD = "B", "C", "E", "D", ""
NSG_DECISIONS = {"A": False, "D": True}
V1_FIELDS, FIELDS = 8, 13
WRONG_SHAPE = (KeyError, TypeError, AttributeError)

IDLE = 900.0
"""Seconds of silence after which the same ends are another connection: those that go on are told of every few minutes."""

MOST_OPEN = 200_000
"""Connections that are remembered; beyond, the oldest are given out as they are."""

Key = tuple[str, str, str, str, int]


class Told(NamedTuple):
    """A tuple."""

    at: float
    key: Key
    what: str
    denied: bool
    counts: tuple[int, int, int, int] | None
    """Packets and octets sent, packets and octets received, since the tuple before."""


@dataclass(slots=True)
class Open:
    """A connection so far: who told of it, and what."""

    sensor: tuple[object, ...]
    record: int
    start: float
    last: float
    begun: bool
    ended: bool
    denied: bool
    counts: tuple[int, int, int, int] | None


class Connections:
    """The connections of a file, by their ends."""

    def __init__(self) -> None:
        self.builder = Builder("record")
        self._open: dict[Key, Open] = {}

    def add(self, told: Told, sensor: tuple[object, ...], record: int) -> None:
        flow = self._open.get(told.key)
        going = flow is not None and told.at - flow.last <= IDLE
        if flow is not None and going and flow.sensor != sensor:
            flow.denied |= told.denied
        elif flow is not None and going and told.what in (GOES_ON, END):
            flow.last, flow.ended = max(flow.last, told.at), told.what == END
            flow.counts = add_counts(flow.counts, told.counts)
        else:
            if flow is not None:
                self._give(told.key, self._open.pop(told.key))
            begun, ended = told.what not in (GOES_ON, END), told.what == END
            self._open[told.key] = Open(sensor, record, told.at, told.at, begun, ended, told.denied, told.counts)
            if len(self._open) > MOST_OPEN:
                self.give(MOST_OPEN // 4)

    def give(self, count: int | None = None) -> None:
        """Hand the oldest connections to the builder, all of them without a count."""
        for key in list(islice(self._open, count)):
            self._give(key, self._open.pop(key))

    def _give(self, key: Key, flow: Open) -> None:
        src, dst, sport, dport, transport = key
        counts = flow.counts or (NOT_KNOWN,) * 4
        sent_packets, sent, received_packets, received = counts
        state = FlowState.DENIED if flow.denied else FlowState.UNKNOWN
        if not flow.denied and received_packets > 0:
            state = FlowState.ESTABLISHED
        elif not flow.denied and flow.begun and flow.ended and sent_packets > 0:
            state = FlowState.UNANSWERED
        if transport in PORTLESS:
            sport = dport = "0"
        ends = src, dst, sport, dport, transport
        self.builder.add(
            (flow.record, flow.start, flow.last, *ends, state, 0, "", sent, received, sent_packets, received_packets)
        )


def add_counts(
    one: tuple[int, int, int, int] | None, two: tuple[int, int, int, int] | None
) -> tuple[int, int, int, int] | None:
    if one is None or two is None:
        return one or two
    return one[0] + two[0], one[1] + two[1], one[2] + two[2], one[3] + two[3]


def read(chunks: Chunks) -> Iterator[Item]:
    connections = Connections()
    for found in read_elements(chunks, RESUME):
        if isinstance(found, (Bad, Cut)):
            yield found
            continue
        number, entry = found
        try:
            yield from read_record(number, entry, connections)
        except WRONG_SHAPE as error:
            yield Bad(f"record {number}", f"the record lacks or misuses {error}")
        if connections.builder.full:
            yield from connections.builder.take()
    connections.give()
    yield from connections.builder.take()


def read_record(number: int, entry: Object, connections: Connections) -> Iterator[Bad]:
    """Take in all tuples of a record; gives those that are none."""
    virtual = "flowRecords" in entry
    place = 0
    for sensor, tuples in virtual_groups(entry) if virtual else security_groups(entry):
        for text in tuples:
            place += 1
            told = read_tuple(text, virtual=virtual) if isinstance(text, str) else "no text"
            if isinstance(told, str):
                yield Bad(f"record {number}, tuple {place}", told)
            else:
                connections.add(told, (*sensor, text.split(",", 7)[6]), number)


def security_groups(entry: Object) -> Iterator[tuple[tuple[object, ...], list[Any]]]:
    for rule in entry["properties"]["flows"]:
        for group in rule["flows"]:
            yield (entry.get("resourceId"), group.get("mac")), group["flowTuples"]


def virtual_groups(entry: Object) -> Iterator[tuple[tuple[object, ...], list[Any]]]:
    for flow in entry["flowRecords"]["flows"]:
        for group in flow["flowGroups"]:
            yield (entry.get("flowLogResourceID"), entry.get("macAddress")), group["flowTuples"]


def read_tuple(text: str, *, virtual: bool) -> Told | str:
    """What a tuple tells, or what is wrong with it."""
    fields = text.split(",")
    if len(fields) != FIELDS and (virtual or len(fields) != V1_FIELDS):
        return f"not {FIELDS} fields"
    at = whole(fields[0]) / (1000 if virtual else 1)
    if not 0 <= at < LATEST:
        return f"{fields[0][:30]!r} is no time"
    transport = whole(fields[5]) if virtual else NSG_TRANSPORTS.get(fields[5], NOT_KNOWN)
    if not 0 <= transport <= 255:
        return f"{fields[5][:30]!r} is no protocol"
    what = fields[7] if virtual else fields[8] if len(fields) == FIELDS else UNTOLD
    denied = what == STOPPED if virtual else NSG_DECISIONS.get(fields[7])
    if denied is None:
        return f"{fields[7][:30]!r} is no decision"
    if what not in (BEGIN, GOES_ON, END, UNTOLD, *([STOPPED] if virtual else [])) or (virtual and not what):
        return f"{what[:30]!r} is no state"
    src, dst, sport, dport = fields[1:5]
    counts = read_counts(fields) if what in (GOES_ON, END) else None
    return Told(at, (src, dst, sport, dport, transport), what, denied, counts)


def read_counts(fields: list[str]) -> tuple[int, int, int, int] | None:
    """Packets and octets of both directions; None where not all of them are told."""
    one, two, three, four = (whole(field) for field in fields[9:13])
    return (one, two, three, four) if min(one, two, three, four) >= 0 else None


def recognises(head: bytes) -> bool:
    return b'"flowTuples"' in head and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


READER = Reader("azure-flow", "Azure flow log of a network security group or a virtual network", recognises, read)
