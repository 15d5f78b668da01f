"""SpamAssassin's daemon: `PING` of its protocol (spamd/PROTOCOL). No mail is handed over."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, line


def run() -> Dialogue:
    answer = yield Ask(b"PING SPAMC/1.2\r\n\r\n", until=line)
    found = re.match(rb"SPAMD/(\d\.\d) \d{1,3} PONG", answer)
    if not found:
        return None
    return Match("spamd", "SpamAssassin spamd", facts={"protocol": f"SPAMD/{found[1].decode()}", "auth": "none"})


PROBE = Probe("spamd", ports=(783,), run=run)
