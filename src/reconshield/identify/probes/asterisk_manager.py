"""Asterisk's manager interface: its greeting, which tells the interface's version, not Asterisk's. Nobody logs in."""

from __future__ import annotations

import re

from reconshield.identify.probe import Dialogue, Match, Probe, Read, line


def run() -> Dialogue:
    hello = yield Read(until=line)
    found = re.match(rb"Asterisk Call Manager/(\d[\d.]{1,20})\r?\n", hello)
    if not found:
        return None
    facts = {"protocol": f"AMI {found[1].decode()}", "auth": "required", "login_clear": "offered"}
    return Match("asterisk-manager", "Asterisk", facts=facts)


PROBE = Probe("asterisk-manager", ports=(5038,), run=run, speaks_first=True)
