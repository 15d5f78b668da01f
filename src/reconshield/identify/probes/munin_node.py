"""Munin's node: its greeting, and `version` (Munin documentation, "Data exchange between master and node")."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, Tell, line


def run() -> Dialogue:
    hello = yield Read(until=line)
    node = re.match(rb"# munin node at ([\w.-]{1,253})\s", hello)
    if not node:
        return None
    answer = yield Ask(b"version\n", until=line)
    yield Tell(b"quit\n")
    stated = re.search(rb"version: (\d[\w.~+-]{0,40})", answer)
    facts = {"auth": "none", "hostname": node[1].decode("ascii")}
    return Match("munin-node", "Munin node", stated[1].decode("ascii") if stated else None, facts)


PROBE = Probe("munin-node", ports=(4949,), run=run, speaks_first=True)
