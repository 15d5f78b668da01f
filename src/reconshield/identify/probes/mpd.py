"""Music Player Daemon: its greeting, which tells the protocol's version, not its own; whether `status` wants a password."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, first_line, line

NO_PERMISSION = b"ACK [4@"


def run() -> Dialogue:
    hello = yield Read(until=line)
    stated = re.fullmatch(rb"OK MPD (\d+\.\d+\.\d+)\n", hello)
    if not stated:
        return None
    answer = yield Ask(b"status\n", until=lambda data: data.endswith(b"OK\n") or data.startswith(b"ACK"))
    facts: dict[str, Any] = {"greeting": first_line(hello), "protocol": stated[1].decode("ascii"), "auth": "unknown"}
    if answer.startswith(NO_PERMISSION):
        facts["auth"] = "required"
    elif answer.endswith(b"OK\n"):
        facts["auth"] = "none"
    return Match("mpd", "Music Player Daemon", facts=facts)


PROBE = Probe("mpd", ports=(6600,), run=run, speaks_first=True)
