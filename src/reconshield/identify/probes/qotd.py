"""Quote of the day (RFC 865): any text. It looks like every other greeting, so only its own port makes it probable."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, Where

NUDGE = b"\n"
LONGEST = 512
"""The quote is to be shorter than this (RFC 865)."""


def run() -> Dialogue:
    if (yield Where()).port not in PROBE.ports:
        return None
    return _match((yield Read()))


def run_udp() -> Dialogue:
    if (yield Where()).port not in PROBE.ports:
        return None
    return _match((yield Ask(NUDGE)))


def _match(data: bytes) -> Match | None:
    text = data.decode("latin-1")
    if not 20 <= len(data) <= LONGEST or not re.search(r"[A-Za-z]{2,} [A-Za-z]{2,}", text) or "\x00" in text:
        return None
    return Match("qotd", facts={"auth": "none", "greeting": " ".join(text.split())[:200]}, sure=False)


PROBE = Probe("qotd", ports=(17,), run=run, speaks_first=True)
UDP = Probe("qotd", ports=(17,), run=run_udp, transport="udp")
