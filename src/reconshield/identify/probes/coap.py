"""CoAP (RFC 7252 §4.3): an empty message, which every endpoint answers with a reset. At level 4 the list of its resources.

The list (RFC 6690) may be far larger than the question, which makes CoAP servers useful to attackers, so sizes are kept.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

IDENTITY = b"\x52\x53"
PING = b"\x40\x00" + IDENTITY
RESET = b"\x70\x00" + IDENTITY
GET_CORE = b"\x44\x01" + IDENTITY + b"rcsh" + b"\xbb.well-known\x04core"
"""Confirmable, token of 4; GET; Uri-Path (option 11) twice."""
CONTENT, UNAUTHORISED = 0x45, 0x81


def run() -> Dialogue:
    answer = yield Ask(PING)
    return Match("coap", facts={"protocol": "CoAP 1"}) if answer == RESET else None


def assess(match: Match) -> Dialogue:
    answer = yield Ask(GET_CORE)
    if len(answer) < 8 or answer[0] & 0xC0 != 0x40 or answer[0] & 0x0F != 4 or answer[4:8] != b"rcsh":
        return match
    facts: dict[str, Any] = dict(match.facts) | {"request_bytes": len(GET_CORE), "answer_bytes": len(answer)}
    if answer[1] == UNAUTHORISED:
        facts["auth"] = "required"
    if answer[1] == CONTENT:
        text = answer.partition(b"\xff")[2].decode("utf-8", "replace")
        facts |= {"auth": "none", "resources": re.findall(r"<([^>]{1,100})>", text)[:64]}
    return replace(match, facts=facts)


PROBE = Probe("coap", ports=(5683,), run=run, transport="udp", assess=assess)
