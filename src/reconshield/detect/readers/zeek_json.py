"""Zeek's logs as JSON, one entry a line or in an array: the names of the TSV columns are the keys, what is unset is left out.

A file may hold one log or several, each entry with its `_path`; entries of logs that are not read here (files, notice, weird)
are passed over. Source: Zeek documentation, conn.log and "JSON streaming logs".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import nan
from typing import Any

import numpy as np

from reconshield.detect.builder import Builder, Record
from reconshield.detect.discovery import ICMP6, message
from reconshield.detect.elements import look_ahead, read_elements
from reconshield.detect.flows import LATEST, PORTLESS, Bad, Chunks, Cut, FlowState, Item, Mark, Reader
from reconshield.detect.objects import Object, first_objects, read_moment, read_object
from reconshield.detect.pieces import TooLong, cut_lines
from reconshield.detect.shapes import Lines
from reconshield.detect.zeek import STATES, TRANSPORTS, service_name
from reconshield.detect.zeek_columns import conn_shapes
from reconshield.detect.zeek_entries import CONN, KINDS, kind_of, read_entry

RESUME = re.compile(rb'\{\s*"(?:_path|ts)"\s*:|(?<=\n)\{(?=")')
"""Where an entry begins."""
UNTOLD = (FlowState.UNKNOWN, 0)
BY_NAME = {name.decode(): number for name, number in TRANSPORTS.items()}
STATE_BY_NAME = {name.decode(): meaning for name, meaning in STATES.items()}
PORTS = ("id.orig_p", "id.resp_p")


def read(chunks: Chunks) -> Iterator[Item]:
    by_line, text = look_ahead(chunks)
    builder = Builder("line" if by_line else "record")
    yield from read_lines(text, builder) if by_line else read_array(text, builder)
    yield from builder.take()


def read_array(chunks: Chunks, builder: Builder) -> Iterator[Item]:
    """Entries that do not have a line each."""
    for found in read_elements(chunks, RESUME):
        if isinstance(found, Cut):
            yield found
        else:
            yield from read_found(found, builder)
        if builder.full:
            yield from builder.take()


def read_lines(chunks: Chunks, builder: Builder) -> Iterator[Item]:
    shapes = conn_shapes(builder.names)
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        lines = Lines(piece)
        left = np.ones(lines.count, bool)
        for flows, places in shapes.take(lines):
            left[places] = False
            yield flows
        for place in np.flatnonzero(left).tolist():
            line = lines.line(place)
            if line and not line.isspace():
                yield from read_found(read_object(piece.first + place, line), builder)
            if builder.full:
                yield from builder.take()


def read_found(found: tuple[int, Object] | Bad, builder: Builder) -> Iterator[Item]:
    """Take in an entry that is not read by columns."""
    if isinstance(found, Bad):
        yield found
        return
    number, entry = found
    where = f"{builder.place} {number}"
    path = entry.get("_path")
    kind = path if isinstance(path, str) else kind_of(entry)
    if kind == CONN:
        record = read_conn(entry, number)
        if isinstance(record, str):
            yield Bad(where, record)
        else:
            builder.add(record)
    elif kind in KINDS:
        yield from read_entry(where, entry, kind)
    elif not kind:
        yield Bad(where, "no entry of a conn, ssl, quic, dns, http or known_services log")


def read_conn(entry: Object, number: int) -> Record | str:
    """The flow of an entry, or what it lacks."""
    start, transport = read_moment(entry.get("ts")), BY_NAME.get(str(entry.get("proto")), 0)
    if not 0 <= start < LATEST:
        return "ts is none"
    if not transport:
        return "proto is none"
    if wrong := next((name for name in PORTS if not is_port(entry.get(name))), None):
        return f"{wrong} is none"
    sport, dport = (entry[name] for name in PORTS)
    if transport in PORTLESS:
        transport = ICMP6 if ":" in str(entry.get("id.resp_h")) else transport
        sport, dport = message(transport, sport), 0
    state, marks = STATE_BY_NAME.get(str(entry.get("conn_state")), UNTOLD)
    missed, service = entry.get("missed_bytes"), entry.get("service")
    return Record(
        number,
        start,
        end_of(start, entry.get("duration")),
        entry.get("id.orig_h"),
        entry.get("id.resp_h"),
        sport,
        dport,
        transport,
        state,
        marks | (Mark.LOSSY if isinstance(missed, int) and missed > 0 else 0),
        service_name(service) if isinstance(service, str) else "",
        sent=entry.get("orig_bytes"),
        received=entry.get("resp_bytes"),
        sent_packets=entry.get("orig_pkts"),
        received_packets=entry.get("resp_pkts"),
    )


def is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65_535


def end_of(start: float, duration: Any) -> float:
    """When it ended; a flow of one packet has no duration, so it ended when it began."""
    if duration is None:
        return start
    return start + duration if isinstance(duration, (int, float)) and not isinstance(duration, bool) else nan


def recognises(head: bytes) -> bool:
    return any("ts" in found and ("_path" in found or kind_of(found)) for found in first_objects(head, RESUME))


READER = Reader("zeek-json", "Zeek logs as JSON: conn, ssl, quic, dns, http, known_services", recognises, read)
