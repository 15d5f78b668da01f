"""Finger (RFC 1288 §2.3): the empty question, answered with who is logged in. No user is named."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

HEADING = re.compile(rb"\s{0,8}Login\s{1,20}Name\s|\s{0,8}Username\s{1,20}(?:Full )?Name", re.IGNORECASE)
NOBODY = re.compile(rb"\s{0,8}No one (?:is )?logged (?:on|in)", re.IGNORECASE)


def run() -> Dialogue:
    answer = yield Ask(b"\r\n")
    facts: dict[str, Any] = {"auth": "none"}
    if NOBODY.match(answer):
        return Match("finger", facts=facts | {"users": 0})
    if HEADING.match(answer):
        rows = [row for row in answer.splitlines()[1:200] if row.strip()]
        return Match("finger", facts=facts | {"users": len(rows)})
    return None


PROBE = Probe("finger", ports=(79,), run=run)
