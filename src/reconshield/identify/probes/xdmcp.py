"""XDMCP (X.Org, "X Display Manager Control Protocol"): is the display manager willing to show its login screen? No session."""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

QUERY, WILLING, UNWILLING = 2, 5, 6
REQUEST = bytes([0, 1, 0, QUERY, 0, 1, 0])
"""Version 1, the operation, the length of what follows, no names of authentication."""


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    if len(answer) < 10 or answer[:2] != b"\0\x01" or answer[2] or answer[3] not in (WILLING, UNWILLING):
        return None
    if int.from_bytes(answer[4:6], "big") != len(answer) - 6:
        return None
    texts: list[str] = []
    at = 6
    while at + 2 <= len(answer) and len(texts) < 3:
        size = int.from_bytes(answer[at : at + 2], "big")
        texts.append(answer[at + 2 : at + 2 + size].decode("latin-1"))
        at += 2 + size
    willing = answer[3] == WILLING
    names = texts[1:] if willing else texts
    facts = {"willing": willing} | dict(zip(("hostname", "status"), names, strict=False))
    return Match("xdmcp", facts=facts)


PROBE = Probe("xdmcp", ports=(177,), run=run, transport="udp")
