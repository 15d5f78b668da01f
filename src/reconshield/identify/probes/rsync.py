"""The rsync daemon: its greeting and, as any client without a module gets it, the list of modules.

At level 4 the first module is asked for, and the connection left at its answer: opened to everybody, or a password wanted.
Nothing is transferred. The dialogue is described in rsync's own "csprotocol.txt" and authenticate.c.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, first_line, line

GREETING = re.compile(rb"@RSYNCD: (\d+(?:\.\d+)?)(?: [\w ]+)?\n")


def run() -> Dialogue:
    hello = yield Read(until=line)
    stated = GREETING.match(hello)
    if not stated:
        return None
    facts: dict[str, Any] = {"greeting": first_line(hello), "protocol": stated[1].decode("ascii")}
    answer = yield Ask(_answer(hello) + b"#list\n", until=_list_ended)
    if _list_ended(answer):
        lines = [text for text in answer.decode("latin-1").splitlines() if not text.startswith("@")]
        facts["modules"] = [text.split("\t")[0].strip() for text in lines if "\t" in text][:100]
    return Match("rsync", "rsync", facts=facts)


def assess(match: Match) -> Dialogue:
    hello = yield Read(until=line)
    modules = match.facts.get("modules") or []
    if not GREETING.match(hello) or not modules:
        return match
    answer = yield Ask(_answer(hello) + modules[0].encode("latin-1", "replace") + b"\n", until=line)
    facts = dict(match.facts) | {"module": modules[0]}
    if b"@RSYNCD: OK" in answer:
        facts |= {"auth": "none", "anonymous": True}
    elif b"@RSYNCD: AUTHREQD" in answer:
        facts |= {"auth": "required", "anonymous": False}
    return replace(match, facts=facts)


def _answer(hello: bytes) -> bytes:
    """We speak what the server speaks; digests are named after the version since protocol 31."""
    return hello[: hello.find(b"\n") + 1]


def _list_ended(data: bytes) -> bool:
    return data.endswith(b"@RSYNCD: EXIT\n") or data.startswith(b"@ERROR")


PROBE = Probe("rsync", ports=(873,), run=run, speaks_first=True, assess=assess)
