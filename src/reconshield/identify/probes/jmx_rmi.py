"""Java RMI, and with it JMX: the handshake of the stream protocol (Java RMI specification §10.2). No object is asked for."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

STREAM_PROTOCOL = b"JRMI\x00\x02\x4b"
ACKNOWLEDGE = 0x4E


def run() -> Dialogue:
    """The answer is one byte, then our own host as the server sees it: a length, the text, a port in four bytes."""
    answer = yield Ask(STREAM_PROTOCOL, until=lambda data: len(data) >= 3 and len(data) >= 7 + int.from_bytes(data[1:3], "big"))
    if len(answer) < 7 or answer[0] != ACKNOWLEDGE:
        return None
    size = int.from_bytes(answer[1:3], "big")
    host = answer[3 : 3 + size]
    if len(answer) != 7 + size or not re.fullmatch(rb"[\w.:%-]{1,255}", host):
        return None
    return Match("jmx-rmi", "Java RMI", facts={"protocol": "JRMP 2"})


PROBE = Probe("jmx-rmi", ports=(1099, 1098, 9010, 1090), run=run)
