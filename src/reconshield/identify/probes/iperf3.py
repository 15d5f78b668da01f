"""iperf3, the bandwidth meter: a test is announced by 37 bytes (a cookie), and hung up before its parameters.

The server answers with one byte, its state: 9 asks for the parameters, 255 says that another test is running. No test runs
without parameters, so nothing is measured and no traffic made (iperf3's iperf_api.h).
"""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, at_least

COOKIE = b"reconshield".ljust(36, b"-") + b"\0"
STATES = {9: "ready", 255: "busy"}


def run() -> Dialogue:
    answer = yield Ask(COOKIE, until=at_least(1))
    if len(answer) != 1 or answer[0] not in STATES:
        return None
    return Match("iperf3", "iperf3", facts={"state": STATES[answer[0]], "auth": "none"})


PROBE = Probe("iperf3", ports=(5201,), run=run)
