"""gpsd: the object with which it greets (gpsd_json(5), "VERSION"). Nothing is watched."""

from __future__ import annotations

import re

from reconshield.identify.probe import Dialogue, Match, Probe, Read, line


def run() -> Dialogue:
    hello = yield Read(until=line)
    found = re.match(rb'\{"class":"VERSION","release":"(\d[\w.~+-]{0,40})"', hello)
    return Match("gpsd", "gpsd", found[1].decode("ascii"), {"auth": "none"}) if found else None


PROBE = Probe("gpsd", ports=(2947,), run=run, speaks_first=True)
