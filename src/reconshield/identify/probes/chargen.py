"""Character generator (RFC 864): lines of 72 printable characters, each beginning one character later than the last.

Over TCP it talks without being asked; over UDP any datagram is answered by a much larger one, which is what it is abused for.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, at_least

TWO_LINES = 2 * 74
NUDGE = b"\n"


def run() -> Dialogue:
    return _match((yield Read(until=at_least(TWO_LINES))), {})


def run_udp() -> Dialogue:
    answer = yield Ask(NUDGE)
    return _match(answer, {"request_bytes": len(NUDGE), "answer_bytes": len(answer)})


def _match(data: bytes, facts: dict[str, Any]) -> Match | None:
    """Two whole lines of 72, the second being the first moved on by one."""
    lines = re.match(rb"([\x20-\x7e]{72})\r?\n([\x20-\x7e]{72})\r?\n", data)
    if not lines or lines[1][1:] != lines[2][:-1]:
        return None
    return Match("chargen", facts={"auth": "none"} | facts)


PROBE = Probe("chargen", ports=(19,), run=run, speaks_first=True)
UDP = Probe("chargen", ports=(19,), run=run_udp, transport="udp")
