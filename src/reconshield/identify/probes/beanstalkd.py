"""Beanstalkd: `stats`, a read-only command of its protocol.txt. There is no login in this protocol."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe


def run() -> Dialogue:
    answer = yield Ask(b"stats\r\n", until=_whole)
    if not re.match(rb"OK \d{1,6}\r\n---\n", answer) or b"\ncurrent-jobs-ready: " not in answer:
        return None
    text = answer.decode("latin-1")
    facts: dict[str, Any] = {"auth": "none"}
    host = re.search(r'^hostname: "?([\w.-]+)', text, re.MULTILINE)
    if host:
        facts["hostname"] = host[1]
    stated = re.search(r'^version: "?(\d[\w.+-]*)', text, re.MULTILINE)
    version = stated[1] if stated else None
    return Match("beanstalkd", "beanstalkd", version, facts)


def _whole(data: bytes) -> bool:
    """`OK <bytes>`, the data, a line end; or one line of refusal."""
    stated = re.match(rb"OK (\d{1,6})\r\n", data)
    return len(data) >= stated.end() + int(stated[1]) + 2 if stated else data.endswith(b"\r\n")


PROBE = Probe("beanstalkd", ports=(11300,), run=run)
