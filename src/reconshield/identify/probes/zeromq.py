"""ZeroMQ (ZMTP 3.1, rfc.zeromq.org/spec/37): both sides greet. Salt's master speaks it on its two ports.

The server sends its signature unasked; only reading it opens no session, and no mechanism is chosen.
"""

from __future__ import annotations

import re

from reconshield.identify.probe import Dialogue, Match, Probe, Read, Where

SALT_PORTS = (4505, 4506)
SIGNATURE = re.compile(rb"\xff[\0-\xff]{8}\x7f", re.DOTALL)


def run() -> Dialogue:
    hello = yield Read(until=lambda data: len(data) >= 10)
    if not SIGNATURE.match(hello) or hello[1:8].strip(b"\0"):
        return None
    place = yield Where()
    if place.port in SALT_PORTS:
        return Match("salt", facts={"protocol": "ZMTP"}, sure=False)
    return Match("zeromq", facts={"protocol": "ZMTP"})


PROBE = Probe("zeromq", ports=(4505, 4506, 5555, 5556), run=run, speaks_first=True)
