"""AJP 1.3 (Tomcat documentation, "AJPv13"): a CPing, answered with a CPong. No request is passed to the server behind it."""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, at_least

CPING = b"\x12\x34\x00\x01\x0a"
CPONG = b"AB\x00\x01\x09"


def run() -> Dialogue:
    answer = yield Ask(CPING, until=at_least(len(CPONG)))
    return Match("ajp", facts={"protocol": "AJP/1.3"}) if answer == CPONG else None


PROBE = Probe("ajp", ports=(8009,), run=run)
