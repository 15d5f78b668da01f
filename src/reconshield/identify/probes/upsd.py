"""Network UPS Tools: `VER`, which its network protocol (docs/net-protocol.txt) answers to anybody."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, line


def run() -> Dialogue:
    answer = yield Ask(b"VER\n", until=line)
    found = re.match(rb"Network UPS Tools upsd (\d[\w.]{1,20})", answer)
    if not found:
        return None
    return Match("upsd", "Network UPS Tools upsd", found[1].decode("ascii"), {"auth": "none"})


PROBE = Probe("upsd", ports=(3493,), run=run)
