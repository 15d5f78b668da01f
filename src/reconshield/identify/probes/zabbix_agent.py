"""Zabbix agent, passive: its own version, the one item that says nothing about the machine.

Zabbix documentation, "Header" and "Passive checks": "ZBXD", flags, the length in eight bytes, the key. An agent answers only
the servers in its configuration and hangs up on all others, so an answer shows that anybody may ask.
"""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe, prefixed

HEADER = b"ZBXD\x01"
KEY = b"agent.version"


def run() -> Dialogue:
    answer = yield Ask(HEADER + len(KEY).to_bytes(8, "little") + KEY, until=prefixed(4, at=5, extra=4, order="little"))
    # four bytes of length, then four of the length before compression, which the second agent fills in
    found = re.fullmatch(rb"ZBXD[\x01\x03](.)\0{3}.{4}(\d{1,2}\.\d{1,2}[\w.]{0,20})", answer, re.DOTALL)
    if not found or found[1][0] != len(found[2]):
        return None
    version = found[2].decode("ascii")
    return Match("zabbix-agent", "Zabbix agent", version, {"auth": "none"}, (name_cpe("zabbix", "zabbix_agent", version),))


PROBE = Probe("zabbix-agent", ports=(10050,), run=run)
