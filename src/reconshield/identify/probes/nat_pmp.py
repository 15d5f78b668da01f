"""NAT-PMP (RFC 6886 §3.2): the external address of a gateway, a question without effect. No mapping is asked for."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

REQUEST = b"\0\0"
RESULTS = {0: "ok", 1: "unsupported version", 2: "refused", 3: "network failure", 4: "out of resources", 5: "unsupported"}


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    if len(answer) not in (8, 12) or answer[0] or answer[1] != 0x80:
        return None
    result = int.from_bytes(answer[2:4], "big")
    if result not in RESULTS or (result == 0 and len(answer) != 12):
        return None
    facts: dict[str, Any] = {"result": RESULTS[result], "auth": "none"}
    if result == 0:
        facts["external_address"] = str(IPv4Address(answer[8:12]))
    return Match("nat-pmp", facts=facts)


PROBE = Probe("nat-pmp", ports=(5351,), run=run, transport="udp")
