"""MQTT (OASIS 3.1.1 §3.1, §3.2): a CONNECT of a protocol level that does not exist, which a broker must refuse by name.

A broker that hangs up on that without a word is asked for a lasting session under no name, which it must refuse too (§3.1.3.1).
So no session is opened at level 3. At level 4 one CONNECT without a user is tried; where it is granted, the broker's own
version topic is read before leaving. Nothing is published.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Reconnect, Tell, Where, at_least, name_cpe

CONNECT, CONNACK, PUBLISH, SUBSCRIBE, DISCONNECT = 0x10, 0x20, 0x30, 0x82, b"\xe0\x00"
UNKNOWN_LEVEL, LEVEL_311 = 0x7F, 4
ACCEPTED, BAD_LEVEL, BAD_NAME, BAD_LOGIN, NOT_AUTHORISED = 0, 1, 2, 4, 5
LASTING_SESSION, CLEAN_SESSION = 0, 2
VERSION_TOPIC = b"$SYS/broker/version"


def run() -> Dialogue:
    answer = yield Ask(write_connect(UNKNOWN_LEVEL), until=at_least(4))
    if answer[:4] == bytes([CONNACK, 2, 0, BAD_LEVEL]) and len(answer) == 4:
        return Match("mqtt", facts={"refused": "protocol level", "auth": "unknown"})
    # MQTT 5 §3.2.2.2: 0x84 unsupported protocol version, 0x81 malformed, 0x82 protocol error
    if (
        len(answer) >= 5
        and answer[0] == CONNACK
        and answer[1] == len(answer) - 2
        and answer[2:4] in (b"\0\x84", b"\0\x81", b"\0\x82")
    ):
        return Match("mqtt", facts={"refused": "protocol level", "auth": "unknown", "protocol": "MQTT 5"})
    place = yield Where()
    if answer or place.open or place.port not in PROBE.ports or not (yield Reconnect()):
        return None
    answer = yield Ask(write_connect(LEVEL_311, session=LASTING_SESSION), until=at_least(4))
    if len(answer) != 4 or answer[:3] != bytes([CONNACK, 2, 0]) or answer[3] not in (BAD_NAME, BAD_LOGIN, NOT_AUTHORISED):
        return None
    auth = "unknown" if answer[3] == BAD_NAME else "required"
    return Match("mqtt", facts={"refused": "client id" if auth == "unknown" else "login", "auth": auth})


def assess(match: Match) -> Dialogue:
    answer = yield Ask(write_connect(LEVEL_311), until=at_least(4))
    if len(answer) < 4 or answer[:2] != bytes([CONNACK, 2]):
        return match
    facts: dict[str, Any] = dict(match.facts) | {"anonymous": answer[3] == ACCEPTED}
    if answer[3] in (ACCEPTED, BAD_LOGIN, NOT_AUTHORISED):
        facts["auth"] = "none" if answer[3] == ACCEPTED else "required"
    if answer[3] != ACCEPTED:
        return replace(match, facts=facts)
    wanted = _string(VERSION_TOPIC)
    told = yield Ask(bytes([SUBSCRIBE, len(wanted) + 3, 0, 1]) + wanted + b"\0", until=lambda data: VERSION_TOPIC in data)
    yield Tell(DISCONNECT)
    return _name(replace(match, facts=facts), told)


def write_connect(level: int, session: int = CLEAN_SESSION) -> bytes:
    """A clean session, 10 seconds, the empty client id that lets the broker choose one (§3.1.3.1), no user."""
    body = _string(b"MQTT") + bytes([level, session, 0, 10]) + _string(b"")
    return bytes([CONNECT, len(body)]) + body


def _string(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _name(match: Match, told: bytes) -> Match:
    """The retained message on the version topic, as far as the broker has one."""
    found = re.search(re.escape(VERSION_TOPIC) + rb"([\x20-\x7e]{1,80})", told)
    if not found:
        return match
    text = found[1].decode("ascii")
    mosquitto = re.match(r"mosquitto version (\d[\w.]*)", text)
    facts = dict(match.facts) | {"broker_version": text}
    if not mosquitto:
        return replace(match, facts=facts)
    cpe = (name_cpe("eclipse", "mosquitto", mosquitto[1]),)
    return replace(match, product="Mosquitto", version=mosquitto[1], cpe=cpe, facts=facts)


PROBE = Probe("mqtt", ports=(1883, 8883, 1884, 8884), run=run, assess=assess)
