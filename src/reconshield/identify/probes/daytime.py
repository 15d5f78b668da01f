"""Daytime (RFC 867): the date as one line of text, without being asked over TCP, after any datagram over UDP."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, line

NUDGE = b"\n"
MONTH = rb"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
DATE = re.compile(
    rb"(?=[^\r\n]{0,60}\b(?:19|20)\d\d\b)(?=[^\r\n]{0,60}\b\d\d:\d\d)(?=[^\r\n]{0,60}\b"
    + MONTH
    + rb"\b)[\x20-\x7e]{14,60}\r?\n?\Z",
    re.IGNORECASE,
)
"""One line with a year, a time and the name of a month; the standard leaves the rest free."""


def run() -> Dialogue:
    return _match((yield Read(until=line)))


def run_udp() -> Dialogue:
    return _match((yield Ask(NUDGE)))


def _match(data: bytes) -> Match | None:
    if not DATE.match(data):
        return None
    return Match("daytime", facts={"auth": "none", "greeting": data.decode("ascii").strip()})


PROBE = Probe("daytime", ports=(13,), run=run, speaks_first=True)
UDP = Probe("daytime", ports=(13,), run=run_udp, transport="udp")
