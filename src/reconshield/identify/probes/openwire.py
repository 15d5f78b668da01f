"""OpenWire, ActiveMQ's protocol: the broker greets with its wire format, and newer ones with their own name and version.

ActiveMQ documentation, "OpenWire Version 2 Specification": a length, type 1 (WIREFORMAT_INFO), "ActiveMQ", a version, a map.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Dialogue, Match, Probe, Read, name_cpe, prefixed


def run() -> Dialogue:
    hello = yield Read(until=prefixed(4))
    if len(hello) < 17 or hello[4:13] != b"\x01ActiveMQ":
        return None
    facts: dict[str, Any] = {"protocol": f"OpenWire {int.from_bytes(hello[13:17], 'big') & 0xFFFF}"}
    # a marshalled text is 9, its length in two bytes, its characters
    found = re.search(rb"ProviderVersion\x09\0[\x01-\x40](\d[\w.-]{1,40})", hello)
    version = found[1].decode("ascii") if found else None
    return Match("openwire", "Apache ActiveMQ", version, facts, (name_cpe("apache", "activemq", version),))


PROBE = Probe("openwire", ports=(61616, 61617), run=run, speaks_first=True)
