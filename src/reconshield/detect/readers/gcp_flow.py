"""Flow logs of Google Cloud: VPC Flow Logs, and the log of firewall rules, as entries of Cloud Logging.

Entries stand in lines or in an array. An entry of VPC Flow Logs is one direction of a flow in an interval of some seconds, as
one of the two machines saw it (`reporter`), so a flow comes up to four times; counts are strings, and estimates where packets
are sampled. Who began is a guess by the lower port. An entry of the firewall log is an attempt, told from the side that began,
with what a rule decided. Entries of other logs are passed over.
Source: Google Cloud documentation, "VPC Flow Logs records" and "Firewall Rules Logging".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np

from reconshield.detect.builder import Builder, Record, whole
from reconshield.detect.directions import FLAGS_UNKNOWN, SYN, TCP, Directions
from reconshield.detect.elements import Object, read_elements
from reconshield.detect.flows import LATEST, NOT_KNOWN, PORTLESS, Bad, Chunks, Cut, Flows, FlowState, Item, Note, Reader
from reconshield.detect.objects import read_moment

RESUME = re.compile(rb'\{\s*"(?:insertId|logName)"\s*:|(?<=\n)\{(?=")')
OURS = ("vpc_flows", "firewall")
DISPOSITIONS = {"ALLOWED": FlowState.UNKNOWN, "DENIED": FlowState.DENIED}


class Batch:
    """Flows gathered one by one, with what `Directions` wants to know of each."""

    def __init__(self) -> None:
        self.builder = Builder("record")
        self._directions = Directions()
        self._numbers: list[int] = []
        self._sensors: list[int] = []
        self._flags: list[int] = []

    def add(self, record: Record, sensor: int, flags: int) -> None:
        self.builder.add(record)
        self._numbers.append(record.record)
        self._sensors.append(sensor)
        self._flags.append(flags)

    def take(self) -> Iterator[Item]:
        numbers, sensors, flags = (np.array(column, np.int64) for column in (self._numbers, self._sensors, self._flags))
        for item in self.builder.take():
            if isinstance(item, Flows):
                at = np.searchsorted(numbers, item.rows["record"].astype(np.int64))
                yield from (Flows(rows, item.apps) for rows in self._directions.add(item.rows, flags[at], sensors[at]))
            else:
                yield item
        for column in (self._numbers, self._sensors, self._flags):
            column.clear()

    def finish(self) -> Iterator[Item]:
        yield from self.take()
        yield from (Flows(rows, self.builder.names.all) for rows in self._directions.finish())
        yield from map(Note, self._directions.remarks())


def read(chunks: Chunks) -> Iterator[Item]:
    batch = Batch()
    for found in read_elements(chunks, RESUME):
        if isinstance(found, (Bad, Cut)):
            yield found
            continue
        number, entry = found
        if isinstance(wrong := add_entry(number, entry, batch), str):
            yield Bad(f"record {number}", wrong)
        if batch.builder.full:
            yield from batch.take()
    yield from batch.finish()


def add_entry(number: int, entry: Object, batch: Batch) -> str | None:
    """Take in an entry; gives what is wrong with it."""
    payload = entry.get("jsonPayload")
    ends = payload.get("connection") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(ends, dict):
        name = entry.get("logName")
        other = isinstance(name, str) and not name.endswith(OURS)
        return None if other else "no jsonPayload.connection"
    told_at = payload.get("start_time") or entry.get("timestamp")
    start, end = read_moment(told_at), read_moment(payload.get("end_time"))
    if not 0 <= start < LATEST:
        return "start_time is none"
    transport = number_of(ends.get("protocol"))
    if not 0 <= transport <= 255:
        return "protocol is none"
    sport, dport = (0, 0) if transport in PORTLESS else (number_of(ends.get(name, 0)) for name in ("src_port", "dest_port"))
    decided = payload.get("disposition")
    if decided is not None and decided not in DISPOSITIONS:
        return "disposition is none"
    sent, packets = number_of(payload.get("bytes_sent")), number_of(payload.get("packets_sent"))
    batch.add(
        Record(
            *(number, start, end, ends.get("src_ip"), ends.get("dest_ip"), sport, dport, transport),
            state=DISPOSITIONS[decided] if decided else FlowState.UNKNOWN,
            sent=sent,
            sent_packets=packets,
        ),
        sensor_of(payload, ends),
        SYN if decided and transport == TCP else FLAGS_UNKNOWN,
    )
    return None


def sensor_of(payload: Object, ends: Object) -> int:
    """A number for the machine that saw it: the same for both directions, and for the firewall in front of it."""
    reporter, rule = payload.get("reporter"), payload.get("rule_details")
    direction = rule.get("direction") if isinstance(rule, dict) else None
    if isinstance(reporter, str) and reporter.startswith(("SRC", "DEST")):
        side, _, gateway = reporter.partition("_")
    elif direction in ("INGRESS", "EGRESS"):
        side, gateway = ("DEST" if direction == "INGRESS" else "SRC"), ""
    else:
        return 0
    return crc32(f"{ends.get('src_ip' if side == 'SRC' else 'dest_ip')} {gateway}".encode("utf-8", "replace"))


def number_of(value: Any) -> int:
    """A whole number, its text, or what BigQuery makes of it (`6.0`)."""
    if isinstance(value, float) and value.is_integer():
        return whole(int(value))
    return whole(value, NOT_KNOWN)


def recognises(head: bytes) -> bool:
    return all(name in head for name in (b'"jsonPayload"', b'"connection"', b'"src_ip"'))


READER = Reader("gcp-flow", "Google Cloud VPC Flow Logs and Firewall Rules Logging", recognises, read)
