"""Gearman's job server: `version` and `status` of its text protocol, which has no login (gearmand's PROTOCOL document)."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, line

QUEUE = re.compile(rb"(?:[^\t\n]*\t\d+\t\d+\t\d+\n)*\.\n")


def run() -> Dialogue:
    answer = yield Ask(b"version\n", until=line)
    stated = re.fullmatch(rb"(?:OK )?(\d+\.[\w.]{1,20})(?:\+\w{1,8})?\r?\n", answer)
    if not stated:
        return None
    status = yield Ask(b"status\n", until=lambda data: data.endswith(b".\n"))
    # other line protocols also answer "version"; only this one lists its queues so
    if not QUEUE.fullmatch(status[:65536]):
        return None
    return Match("gearman", "Gearman", stated[1].decode("ascii"), {"auth": "none", "queues": status.count(b"\n") - 1})


PROBE = Probe("gearman", ports=(4730,), run=run)
