"""distcc: which versions of its protocol the daemon accepts. No job is given to it, so nothing is compiled and nothing written.

The daemon says nothing before it has a whole job (distcc's doc/protocol-1.txt). But it reads the greeting of a job, "DIST" and
a version in eight hex digits, and hangs up at once on a version that it does not know, while on one it knows it waits for more.
Only the difference between two greetings of the same length shows it. A daemon that does not serve us hangs up in both cases.
"""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Reconnect, Where

UNKNOWN_VERSION, VERSION_1 = b"DIST000000ff", b"DIST00000001"


def run() -> Dialogue:
    if (yield Where()).port not in PROBE.ports:
        return None  # silence is no evidence where nobody expects this daemon
    said = yield Ask(UNKNOWN_VERSION)
    if said or (yield Where()).open or not (yield Reconnect()):
        return None
    said = yield Ask(VERSION_1)
    if said or not (yield Where()).open:
        return None
    return Match("distcc", "distccd", facts={"protocol": "distcc 1", "auth": "none"})


PROBE = Probe("distcc", ports=(3632,), run=run)
