"""ClamAV's daemon: `VERSION` (clamd(8), "COMMANDS"), ended by a zero byte so that the answer is too. It knows no login."""

from __future__ import annotations

import re

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe


def run() -> Dialogue:
    answer = yield Ask(b"zVERSION\0", until=lambda data: data.endswith(b"\0"))
    found = re.match(rb"ClamAV (\d[\w.+~-]{1,30})(?:/(\d{1,8})/)?", answer)
    if not found:
        return None
    version = found[1].decode("ascii")
    facts = {"auth": "none"} | ({"signatures": found[2].decode("ascii")} if found[2] else {})
    return Match("clamd", "ClamAV", version, facts, (name_cpe("clamav", "clamav", version),))


PROBE = Probe("clamd", ports=(3310,), run=run)
