"""NRPE, Nagios' remote plug-ins: the built-in command that only tells the version. No plug-in is run.

A packet (NRPE's include/common.h, version 2): version, kind, CRC-32 over all with a zero in its place, result, 1024 bytes of
text, two of padding. It is usually inside TLS.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Where, at_least, name_cpe

QUERY, RESPONSE = 1, 2
TEXT = 1024
COMMAND = b"_NRPE_CHECK"


def run() -> Dialogue:
    if (yield Where()).port not in PROBE.ports:
        return None  # a packet of a kilobyte is too much for a long shot
    answer = yield Ask(write_packet(QUERY, COMMAND), until=at_least(12 + TEXT))
    if len(answer) < 12 + TEXT:
        return None
    version, kind, _, _ = struct.unpack_from("!hhIh", answer)
    text = answer[10 : 10 + TEXT].split(b"\0", 1)[0]
    if version != 2 or kind != RESPONSE:
        return None
    facts: dict[str, Any] = {"auth": "none", "answer": text.decode("latin-1")[:200]}
    stated = re.match(r"NRPE v(\d[\w.]{1,20})", facts["answer"])
    known = stated[1] if stated else None
    return Match("nrpe", "NRPE", known, facts, (name_cpe("nagios", "remote_plug_in_executor", known),) if known else ())


def write_packet(kind: int, text: bytes) -> bytes:
    body = text.ljust(TEXT, b"\0") + bytes(2)
    blank = struct.pack("!hhIh", 2, kind, 0, 0) + body
    return struct.pack("!hhIh", 2, kind, zlib.crc32(blank), 0) + body


PROBE = Probe("nrpe", ports=(5666,), run=run)
