"""TeamSpeak 3's query port: its greeting, and `version`, which its manual lists among the commands that need no login."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, Tell


def run() -> Dialogue:
    hello = yield Read(until=lambda data: data.count(b"\n") >= 2)
    if not hello.startswith(b"TS3\n"):
        return None
    answer = yield Ask(b"version\n", until=lambda data: b"error id=" in data and data.rstrip(b"\r").endswith(b"\n"))
    yield Tell(b"quit\n")
    stated = re.match(rb"version=(\d[\w.]{1,20}) build=\d{1,12} platform=(\w{1,20})", answer)
    facts = {"os": stated[2].decode("ascii")} if stated else {}
    return Match("teamspeak", "TeamSpeak server", stated[1].decode("ascii") if stated else None, facts)


PROBE = Probe("teamspeak", ports=(10011,), run=run, speaks_first=True)
