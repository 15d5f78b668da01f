"""STOMP, a text protocol of message brokers: a CONNECTED or ERROR frame in answer to a frame that no server can accept.

A frame is a command, header lines, an empty line and a zero byte (STOMP 1.2, "STOMP Frames"). CONNECT without a user is a
session for nobody where the broker allows it, so it waits for level 4; below, the version asked for does not exist, which a
server must refuse with its own versions ("Protocol Negotiation").
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Tell, Where, name_cpe

NO_VERSION = b"CONNECT\naccept-version:99.9\nhost:/\n\n\0"
NOBODY = b"CONNECT\naccept-version:1.0,1.1,1.2\nhost:/\n\n\0"
PRODUCTS = (
    (r"RabbitMQ/(\d[\w.]*)", "RabbitMQ", ("vmware", "rabbitmq")),
    (r"ActiveMQ-Artemis/(\d[\w.]*)", "Apache ActiveMQ Artemis", ("apache", "activemq_artemis")),
    (r"ActiveMQ/(\d[\w.]*)", "Apache ActiveMQ", ("apache", "activemq")),
    (r"apache-apollo/(\d[\w.]*)", "Apache Apollo", None),
    (r"CoilMQ/(\d[\w.]*)", "CoilMQ", None),
)


def whole_frame(data: bytes) -> bool:
    return data.rstrip(b"\r\n").endswith(b"\0")


def run() -> Dialogue:
    frame = read_frame((yield Ask(NO_VERSION, until=whole_frame)))
    if frame is None:
        return None
    command, headers = frame
    facts: dict[str, Any] = {"protocol": f"STOMP {headers['version']}" if headers.get("version") else "STOMP"}
    if not (yield Where()).tls:
        facts["starttls"] = "not offered"
    if command == "CONNECTED":
        facts["anonymous"] = True
    return name_product(headers, facts)


def assess(match: Match) -> Dialogue:
    """One session as nobody, and out."""
    frame = read_frame((yield Ask(NOBODY, until=whole_frame)))
    if frame is None:
        return match
    command, headers = frame
    yield Tell(b"DISCONNECT\n\n\0")
    facts = dict(match.facts) | {"anonymous": command == "CONNECTED"}
    facts["auth"] = "none" if command == "CONNECTED" else "required"
    known = name_product(headers, facts)
    return known if known.product else replace(match, facts=facts)


def read_frame(data: bytes) -> tuple[str, dict[str, str]] | None:
    """Command and headers of a CONNECTED or ERROR frame; of a header given twice the first counts (STOMP 1.2)."""
    found = re.match(rb"\s{0,4}(CONNECTED|ERROR)\r?\n((?:[^:\r\n\0]{1,100}:[^\r\n\0]{0,500}\r?\n){0,32})\r?\n", data)
    if not found:
        return None
    headers: dict[str, str] = {}
    for text in found[2].decode("latin-1").splitlines():
        name, _, value = text.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    return found[1].decode("ascii"), headers


def name_product(headers: dict[str, str], facts: dict[str, Any]) -> Match:
    server = headers.get("server", "")
    for pattern, product, vendor in PRODUCTS:
        found = re.match(pattern, server)
        if found:
            return Match("stomp", product, found[1], facts, (name_cpe(*vendor, found[1]),) if vendor else ())
    return Match("stomp", facts=facts)


PROBE = Probe("stomp", ports=(61613, 61614, 61612), run=run, assess=assess)
