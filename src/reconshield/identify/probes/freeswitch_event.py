"""FreeSWITCH's event socket: it greets with the demand for a password (mod_event_socket), or refuses the address."""

from __future__ import annotations

from reconshield.identify.probe import Dialogue, Match, Probe, Read

GREETING = b"Content-Type: auth/request\n\n"
REFUSAL = b"Content-Type: text/rude-rejection\n"


def run() -> Dialogue:
    hello = yield Read(until=lambda data: data.endswith(b"\n\n"))
    if hello == GREETING:
        return Match("freeswitch-event", "FreeSWITCH", facts={"auth": "required", "login_clear": "offered"})
    if hello.startswith(REFUSAL):
        return Match("freeswitch-event", "FreeSWITCH", facts={"auth": "required", "refused": "address"})
    return None


PROBE = Probe("freeswitch-event", ports=(8021,), run=run, speaks_first=True)
