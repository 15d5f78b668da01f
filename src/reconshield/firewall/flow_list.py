"""Connections that were seen, from a simple list: CSV with a heading, or one JSON object a line. Pure.

A flow is a source, a destination, a protocol and a destination port; the names of the columns are those that common tools use.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconshield.firewall.compare import Flow
from reconshield.firewall.ruleset import Fault
from reconshield.firewall.values import Faulty, family_of, read_address, read_number, read_protocol

NAMES = {
    "source": ("source", "src", "src_ip", "saddr", "srcaddr", "id.orig_h", "source_ip"),
    "destination": ("destination", "dst", "dst_ip", "dest_ip", "daddr", "dstaddr", "id.resp_h", "destination_ip"),
    "port": ("port", "dst_port", "dport", "dest_port", "dstport", "id.resp_p", "destination_port"),
    "source_port": ("source_port", "src_port", "sport", "srcport", "id.orig_p"),
    "transport": ("transport", "proto", "protocol"),
}
TRANSPORTS = {6: "tcp", 17: "udp", 132: "sctp"}


def read_flows(text: str) -> tuple[list[Flow], list[Fault]]:
    """The flows of a list, and the lines that are none."""
    flows: list[Flow] = []
    faults: list[Fault] = []
    for number, row in rows_of(text):
        try:
            flows.append(read_flow(f"line {number}", row))
        except Faulty as error:
            faults.append(Fault(f"line {number}", str(error)))
    return flows, faults


def rows_of(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Every line as a mapping, with its number; a line that is no object is an empty one."""
    lines = text.splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("{"):
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, read_object(line)
        return
    reader = csv.DictReader(plain_lines(lines))
    try:
        for row in reader:
            yield reader.line_num, {str(key).strip().lower(): value for key, value in row.items()}
    except csv.Error:
        yield reader.line_num, {}


def plain_lines(lines: Iterable[str]) -> Iterator[str]:
    yield from (line.replace("\0", "") for line in lines)


def read_object(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return {str(key).lower(): value for key, value in found.items()} if isinstance(found, dict) else {}


def read_flow(where: str, row: Mapping[str, Any]) -> Flow:
    """One flow. Raises `Faulty` when something of it is missing or is not what it should be."""
    values = {own: next((row[name] for name in names if row.get(name) not in {None, ""}), None) for own, names in NAMES.items()}
    missing = [own for own in ("source", "destination", "port") if values[own] is None]
    if missing:
        raise Faulty(f"no {' and no '.join(missing)}")
    source, destination = read_address(str(values["source"])), read_address(str(values["destination"]))
    if family_of(((source, source),)) != family_of(((destination, destination),)):
        raise Faulty("source and destination are not of one family")
    protocol = read_protocol(values["transport"] if values["transport"] is not None else "tcp")
    if protocol not in TRANSPORTS:
        raise Faulty(f"protocol {protocol} has no ports")
    port = read_number(values["port"], 65535)
    sport = read_number(values["source_port"], 65535) if values["source_port"] is not None else None
    return Flow(where, source, destination, TRANSPORTS[protocol], port, sport)
