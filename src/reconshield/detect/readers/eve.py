"""Suricata's EVE: events of many types, one a line or in an array; flows, and the names that dns, tls and http events tell.

A `flow` event sums up a connection at its end; `netflow` has one direction of one. A flow of which only other events are in the
file (an excerpt with alerts, say) counts as one of unknown extent. `app_proto` is what the sensor recognised, `failed` that it
recognised nothing in the bytes. Source: Suricata user guide, EVE JSON format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from reconshield.detect.builder import Builder, Record, whole
from reconshield.detect.discovery import message
from reconshield.detect.elements import look_ahead, read_elements
from reconshield.detect.eve_flows import flow_shapes
from reconshield.detect.flows import UNRECOGNISED, Bad, Chunks, Cut, FlowState, Item, Mark, Naming, Reader
from reconshield.detect.objects import Object, first_objects, read_object
from reconshield.detect.objects import read_moment as parse_moment
from reconshield.detect.pieces import TooLong, cut_lines
from reconshield.detect.shapes import Lines

TRANSPORTS = {"TCP": 6, "UDP": 17, "ICMP": 1, "IPv6-ICMP": 58, "SCTP": 132, "GRE": 47, "ESP": 50}
APPS = {
    "failed": UNRECOGNISED,
    "krb5": "kerberos",
    "dcerpc": "msrpc",
    "http2": "http",
    "ftp-data": "ftp",
    "enip": "ethernet_ip",
}
"""Suricata's names for protocols that have another one here."""
SYN = 2
RESUME = re.compile(rb'\{\s*"timestamp"\s*:|(?<=\n)\{(?=")')
"""Where an event begins."""
WRONG_SHAPE = (KeyError, TypeError, AttributeError, ValueError)
MOST_PARTIAL = 200_000

read_moment = lru_cache(65_536)(parse_moment)


def read(chunks: Chunks) -> Iterator[Item]:
    by_line, text = look_ahead(chunks)
    builder, remarks = Builder("line" if by_line else "record"), Remarks()
    yield from read_lines(text, builder, remarks) if by_line else read_array(text, builder, remarks)
    for number, event in remarks.events.values():
        try:
            builder.add(read_partial(event, number))
        except WRONG_SHAPE as error:
            yield Bad(f"{builder.place} {number}", f"the event lacks or misuses {error}")
    yield from builder.take()


def read_array(chunks: Chunks, builder: Builder, remarks: Remarks) -> Iterator[Item]:
    """Events that do not have a line each."""
    for found in read_elements(chunks, RESUME):
        if isinstance(found, Cut):
            yield found
        else:
            yield from read_event(found, builder, remarks)
        if builder.full:
            yield from builder.take()


def read_lines(chunks: Chunks, builder: Builder, remarks: Remarks) -> Iterator[Item]:
    names = builder.names
    shapes = flow_shapes(lambda name: TRANSPORTS.get(name, 0), lambda name: names.number(app_name(name)), names)
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        lines = Lines(piece)
        left = np.ones(lines.count, bool)
        for (flows, ids), places in shapes.take(lines):
            left[places] = False
            remarks.note(ids.tolist())
            yield flows
        for place in np.flatnonzero(left).tolist():
            line = lines.line(place)
            if line and not line.isspace():
                yield from read_event(read_object(piece.first + place, line), builder, remarks)
            if builder.full:
                yield from builder.take()


def read_event(found: tuple[int, Object] | Bad, builder: Builder, remarks: Remarks) -> Iterator[Item]:
    """Take in an event that is not read by columns."""
    if isinstance(found, Bad):
        yield found
        return
    number, event = found
    try:
        kind = event.get("event_type")
        if kind == "flow":
            builder.add(read_flow(event, number))
            if isinstance(flow_id := event.get("flow_id"), int):
                remarks.note([flow_id])
        elif kind == "netflow":
            builder.add(read_netflow(event, number))
        elif "src_ip" in event and "dest_ip" in event:
            if isinstance(kind, str) and kind in NAMES:
                yield from read_names(event, kind)
            remarks.keep(event, number)
    except WRONG_SHAPE as error:
        yield Bad(f"{builder.place} {number}", f"the event lacks or misuses {error}")


class Remarks:
    """Events about flows that no flow event has told of yet: the first of each."""

    def __init__(self) -> None:
        self.events: dict[int, tuple[int, Object]] = {}
        self._told: set[int] = set()

    def note(self, flow_ids: list[int]) -> None:
        """The flow events came: remarks on these flows are no flows of their own."""
        if self.events:
            for flow_id in self.events.keys() & set(flow_ids):
                del self.events[flow_id]
        self._told.update(flow_ids[: max(0, MOST_PARTIAL - len(self._told))])

    def keep(self, event: Object, number: int) -> None:
        flow_id = event.get("flow_id")
        known = flow_id in self._told or flow_id in self.events
        if isinstance(flow_id, int) and not known and len(self.events) < MOST_PARTIAL:
            self.events[flow_id] = number, event


def read_flow(event: Object, number: int) -> tuple[Any, ...]:
    """The record of a `flow` event, as a plain tuple in the order of `Record`: there are very many."""
    flow = event["flow"]
    sent, received = flow["pkts_toserver"], flow["pkts_toclient"]
    return (
        number,
        read_moment(flow["start"]),
        read_moment(flow.get("end")),
        event["src_ip"],
        event["dest_ip"],
        event.get("src_port") or message_of(event),
        event.get("dest_port", 0),
        TRANSPORTS.get(event["proto"], 0),
        flow_state(flow, event.get("tcp"), sent, received),
        Mark.ONE_SIDED if received and not sent else 0,
        app_name(event.get("app_proto", "")),
        flow.get("bytes_toserver"),
        flow.get("bytes_toclient"),
        sent,
        received,
    )


def message_of(event: Object) -> int:
    """What stands instead of a port for ICMP."""
    kind = event.get("icmp_type")
    return message(TRANSPORTS.get(event["proto"], 0), kind) if isinstance(kind, int) else 0


def flow_state(flow: Object, tcp: Object | None, sent: int, received: int) -> FlowState:
    """How it went: by the flags of TCP where they are told, else by who sent packets."""
    if flow.get("action") == "drop":
        return FlowState.DENIED
    if not received:
        return FlowState.UNANSWERED if sent else FlowState.UNKNOWN
    if tcp and tcp.get("rst") and int(tcp.get("tcp_flags_tc", "0"), 16) & SYN == 0:
        return FlowState.REFUSED if int(tcp.get("tcp_flags_ts", "0"), 16) & SYN else FlowState.UNKNOWN
    return FlowState.ESTABLISHED if sent else FlowState.UNKNOWN


def read_netflow(event: Object, number: int) -> Record:
    """One direction of a flow: who began is a guess."""
    flow = event["netflow"]
    sport, dport = event.get("src_port") or message_of(event), event.get("dest_port", 0)
    return Record(
        number,
        read_moment(flow["start"]),
        read_moment(flow.get("end")),
        event["src_ip"],
        event["dest_ip"],
        sport,
        dport,
        TRANSPORTS.get(event["proto"], 0),
        marks=Mark.ONE_SIDED | (Mark.UNSURE if sport < dport else 0),
        app=app_name(event.get("app_proto", "")),
        sent=flow.get("bytes"),
        sent_packets=flow.get("pkts"),
    )


def read_partial(event: Object, number: int) -> Record:
    """A flow of which only a remark is known. An answer of DNS goes the other way."""
    at, kind = read_moment(event["timestamp"]), event.get("event_type")
    answer = kind == "dns" and event["dns"].get("type") in {"answer", "response"} and event.get("src_port") == 53
    src, dst = ("dest", "src") if answer else ("src", "dest")
    app = app_name(event.get("app_proto", "")) or (kind if kind in SPOKEN else "")
    return Record(
        number,
        at,
        at,
        event[f"{src}_ip"],
        event[f"{dst}_ip"],
        event.get(f"{src}_port") or message_of(event),
        event.get(f"{dst}_port", 0),
        TRANSPORTS.get(event["proto"], 0),
        app=app,
    )


SPOKEN = frozenset(
    ("dns", "http", "tls", "ssh", "smtp", "ftp", "smb", "rdp", "rfb", "snmp", "sip", "mqtt", "nfs", "tftp", "dhcp")
)
"""Event types that are named after a protocol."""


def app_name(name: str) -> str:
    return APPS.get(name, name)


NAMES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "dns": (("rrname", "domain"),),
    "tls": (("sni", "domain"), ("ja4", "ja4"), ("fingerprint", "certificate")),
    "quic": (("sni", "domain"), ("ja4", "ja4")),
    "http": (("hostname", "domain"), ("http_user_agent", "user-agent")),
}
"""Event type -> the fields that indicators are compared with."""


def read_names(event: Object, kind: str) -> Iterator[Naming]:
    part = event[kind]
    at, port = read_moment(event["timestamp"]), whole(event.get("dest_port"), 0)
    queries = part.get("queries") if kind == "dns" and isinstance(part.get("queries"), list) else [part]
    for entry in queries:
        for field, meaning in NAMES[kind]:
            value = entry.get(field)
            if isinstance(value, str) and value:
                yield Naming(at, event["src_ip"], event["dest_ip"], port, meaning, value[:1024])
    ja3 = part.get("ja3")
    if isinstance(ja3, dict) and isinstance(ja3.get("hash"), str):
        yield Naming(at, event["src_ip"], event["dest_ip"], port, "ja3", ja3["hash"])


def recognises(head: bytes) -> bool:
    return any("event_type" in found and ("src_ip" in found or "timestamp" in found) for found in first_objects(head, RESUME))


READER = Reader("eve", "Suricata EVE JSON", recognises, read)
