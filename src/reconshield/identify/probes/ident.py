"""Ident (RFC 1413): asked about a pair of ports that cannot be, so the answer is an error and names nobody."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, line

REPLY = re.compile(rb"\s{0,4}0\s{0,4},\s{0,4}0\s{0,4}:\s{0,4}(ERROR|USERID)\s{0,4}:\s{0,4}([\x20-\x7e]{1,60})\r?\n?\Z")


def run() -> Dialogue:
    found = REPLY.match((yield Ask(b"0, 0\r\n", until=line)))
    return Match("ident", facts={"answer": found[2].decode("ascii").strip()}) if found else None


PROBE = Probe("ident", ports=(113,), run=run)
