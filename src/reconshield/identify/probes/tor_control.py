"""Tor's control port: `PROTOCOLINFO`, the one question that is answered before a login (control-spec §3.21)."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe


def run() -> Dialogue:
    answer = yield Ask(
        b"PROTOCOLINFO 1\r\n", until=lambda data: data.endswith((b"250 OK\r\n", b"510 Unrecognized command\r\n"))
    )
    text = answer[:4096].decode("latin-1")
    methods = re.search(r"250-AUTH METHODS=([A-Z,]{1,100})", text)
    if not text.startswith("250-PROTOCOLINFO ") or not methods:
        return None
    names = methods[1].split(",")
    facts: dict[str, Any] = {"mechanisms_clear": names, "auth": "none" if "NULL" in names else "required"}
    stated = re.search(r'250-VERSION Tor="(\d[\w.-]{1,40})', text)
    version = stated[1] if stated else None
    return Match("tor-control", "Tor", version, facts, (name_cpe("torproject", "tor", version),))


PROBE = Probe("tor-control", ports=(9051,), run=run)
