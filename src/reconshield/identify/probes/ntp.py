"""NTP (RFC 5905): an ordinary client's question for the time. At level 4 one control message (RFC 9327) asks for the version.

The answer to the latter may be larger than the question; its size is kept, since that is what reflection attacks live on.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe

CLIENT, SERVER, CONTROL = 3, 4, 6
STAMP = bytes.fromhex("5253000052530000")
"""Our transmit time, which the server must repeat as the originate time."""
REQUEST = bytes([4 << 3 | CLIENT]) + bytes(39) + STAMP
READ_VARIABLES = struct.pack("!BBHHHHH", 2 << 3 | CONTROL, 2, 0x5253, 0, 0, 0, 0)


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    if len(answer) < 48 or answer[0] & 7 != SERVER or answer[24:32] != STAMP:
        return None
    stratum = answer[1]
    facts: dict[str, Any] = {"protocol": f"NTPv{answer[0] >> 3 & 7}", "stratum": stratum, "synchronised": answer[0] >> 6 != 3}
    if stratum <= 1 and answer[12:16].rstrip(b"\0").isalnum():
        facts["reference"] = answer[12:16].rstrip(b"\0").decode("ascii", "replace")
    return Match("ntp", facts=facts)


def assess(match: Match) -> Dialogue:
    answer = yield Ask(READ_VARIABLES)
    if len(answer) < 12 or answer[0] & 7 != CONTROL or answer[1] & 0x9F != 0x82 or answer[2:4] != READ_VARIABLES[2:4]:
        return replace(match, facts=dict(match.facts) | {"control": False})
    text = answer[12:].decode("latin-1")
    facts = dict(match.facts) | {"control": True, "request_bytes": len(READ_VARIABLES), "answer_bytes": len(answer)}
    stated = re.search(r'version="(ntpd|ntpsec) (?:ntpsec-)?(\d[\w.]*)', text)
    system = re.search(r'system="([^"]{1,80})"', text)
    if system:
        facts["system"] = system[1]
    if not stated:
        return replace(match, facts=facts)
    product = "NTPsec" if "ntpsec" in stated[0] else "ntpd"
    cpe = (name_cpe("ntp", "ntp", re.split(r"p\d+$", stated[2])[0]),) if product == "ntpd" and "p" not in stated[2] else ()
    return replace(match, product=product, version=stated[2], facts=facts, cpe=cpe)


PROBE = Probe("ntp", ports=(123,), run=run, transport="udp", assess=assess)
