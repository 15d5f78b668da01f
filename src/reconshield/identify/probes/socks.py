"""SOCKS 5 (RFC 1928 §3): which way to log in the proxy picks. No connection through it is asked for."""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, at_least

NO_LOGIN, PASSWORD, NONE_ACCEPTABLE = 0, 2, 0xFF
METHODS = {NO_LOGIN: "none", PASSWORD: "password", NONE_ACCEPTABLE: "other"}


def run() -> Dialogue:
    answer = yield Ask(bytes([5, 2, NO_LOGIN, PASSWORD]), until=at_least(2))
    if len(answer) != 2 or answer[0] != 5 or answer[1] not in METHODS:
        return None
    auth = "none" if answer[1] == NO_LOGIN else "required"
    return Match("socks", facts={"protocol": "SOCKS5", "method": METHODS[answer[1]], "auth": auth})


PROBE = Probe("socks", ports=(1080, 1081, 1085, 7891, 9050, 9150, 10808), run=run)
