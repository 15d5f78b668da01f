"""Echo (RFC 862): sends back what it is sent. Two different lines must come back as they were.

`drive` sees an echo in any dialogue and stops it; this probe gives the thing its name.
"""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, at_least

FIRST, SECOND = b"reconshield asks: 7f3a\r\n", b"reconshield asks: again, c519\r\n"


def run() -> Dialogue:
    for words in (FIRST, SECOND):
        if (yield Ask(words, until=at_least(len(words)))) != words:
            return None
    return Match("echo", facts={"auth": "none"})


PROBE = Probe("echo", ports=(7,), run=run)
UDP = Probe("echo", ports=(7,), run=run, transport="udp")
