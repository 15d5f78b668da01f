"""Subversion's svnserve: its greeting, and at level 4 which ways to log in it names and whether ANONYMOUS suffices.

Messages are lists in brackets (Subversion's own "protocol" document in libsvn_ra_svn).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, Where, name_cpe

GREETING = re.compile(rb"\( success \( (\d) (\d) \( [^()]*\) \( ([^()]{0,500})\) \) \) ?")


def run() -> Dialogue:
    hello = yield Read(until=_whole)
    stated = GREETING.fullmatch(hello)
    if not stated:
        return None
    facts: dict[str, Any] = {
        "protocol": f"svn {stated[2].decode()}",
        "capabilities": stated[3].decode("latin-1").upper().split(),
    }
    return Match("svn", "Subversion", facts=facts, cpe=(name_cpe("apache", "subversion"),))


def assess(match: Match) -> Dialogue:
    """The client's greeting, then ANONYMOUS where it is offered (RFC 4505, without a trace)."""
    hello = yield Read(until=_whole)
    if not GREETING.fullmatch(hello):
        return match
    place = yield Where()
    url = f"svn://{place.host}/".encode("ascii", "replace")
    offer = yield Ask(b"( 2 ( edit-pipeline svndiff1 ) %d:%s 11:reconshield ( ) ) " % (len(url), url), until=_whole)
    mechanisms = re.match(rb"\( success \( \( ([^()]*)\)", offer)
    if not mechanisms:
        return match
    names = mechanisms[1].decode("latin-1").upper().split()
    facts = dict(match.facts) | {"mechanisms_clear": names}
    if "ANONYMOUS" in names:
        answer = yield Ask(b"( ANONYMOUS ( 0: ) ) ", until=_whole)
        facts["anonymous"] = answer.startswith(b"( success ")
    return replace(match, facts=facts)


def _whole(data: bytes) -> bool:
    return data.rstrip().endswith(b")") and data.count(b"(") == data.count(b")")


PROBE = Probe("svn", ports=(3690,), run=run, speaks_first=True, assess=assess)
