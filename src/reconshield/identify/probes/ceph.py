"""Ceph: the banner of its messenger, version 1 or 2 (Ceph documentation, "messenger v2 protocol"). It speaks first."""

from __future__ import annotations

import re

from reconshield.identify.probe import Dialogue, Match, Probe, Read


def run() -> Dialogue:
    hello = yield Read(until=lambda data: len(data) >= 9)
    if re.match(rb"ceph v2\n", hello):
        return Match("ceph", "Ceph", facts={"protocol": "msgr2"})
    old = re.match(rb"ceph v(\d{3})", hello)
    return Match("ceph", "Ceph", facts={"protocol": f"msgr1 {old[1].decode()}"}) if old else None


PROBE = Probe("ceph", ports=(6789, 3300, 6800, 6801), run=run, speaks_first=True)
