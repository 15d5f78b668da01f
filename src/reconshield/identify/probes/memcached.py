"""Memcached: `version` in the text protocol, else in the binary one, which servers that demand SASL insist on.

Nothing is read from the cache or its statistics; `version` alone shows whether commands work without a login.
The protocol is described in memcached's own doc/protocol.txt and doc/protocol-binary.txt.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Reconnect, Where, line, name_cpe, prefixed

VERSION, SASL_MECHANISMS = 0x0B, 0x20
UNAUTHENTICATED = re.compile(rb"CLIENT_ERROR unauthenticated")
FRAME = bytes([0x52, 0x53, 0, 0, 0, 1, 0, 0])
"""UDP frame: request id, sequence 0 of 1 datagram, reserved."""

whole_packet = prefixed(4, at=8, extra=12)
"""A binary packet: its 24-byte header says at offset 8 how long the body is."""


def run() -> Dialogue:
    answer = yield Ask(b"version\r\n", until=line)
    if answer:
        return _read_text(answer)
    if (yield Where()).port not in PROBE.ports or not (yield Reconnect()):
        return None
    answer = yield Ask(_packet(VERSION), until=whole_packet)
    if not _answers(answer, VERSION):
        return None
    mechanisms = yield Ask(_packet(SASL_MECHANISMS), until=whole_packet)
    facts: dict[str, Any] = {"auth": "unknown", "protocol": "binary"}
    if _answers(mechanisms, SASL_MECHANISMS):
        facts |= {"auth": "required", "mechanisms_clear": mechanisms[24:].decode("latin-1").split()[:16]}
    return _match(answer[24:].decode("latin-1"), facts)


def run_udp() -> Dialogue:
    answer = yield Ask(FRAME + b"version\r\n")
    return _read_text(answer[8:]) if answer[:2] == FRAME[:2] else None


def _read_text(answer: bytes) -> Match | None:
    if UNAUTHENTICATED.match(answer):
        return Match("memcached", "Memcached", facts={"auth": "required", "protocol": "text"})
    if not re.fullmatch(rb"VERSION [\x21-\x7e]{1,40}\r\n", answer):
        return None
    return _match(answer[8:-2].decode("ascii"), {"auth": "none", "protocol": "text"})


def _match(version: str, facts: dict[str, Any]) -> Match | None:
    if not re.fullmatch(r"\d+\.\d+[\w.-]*", version):
        return Match("memcached", facts=facts)
    return Match("memcached", "Memcached", version, facts, (name_cpe("memcached", "memcached", version),))


def _packet(opcode: int) -> bytes:
    """A request without key, extras or value: magic 0x80, opcode, the rest zero."""
    return bytes([0x80, opcode]) + bytes(22)


def _answers(answer: bytes, opcode: int) -> bool:
    """A whole successful answer to that request: magic 0x81, the opcode, status 0."""
    return len(answer) >= 24 and answer[:2] == bytes([0x81, opcode]) and answer[6:8] == b"\0\0"


PROBE = Probe("memcached", ports=(11211,), run=run)
UDP = Probe("memcached", ports=(11211,), run=run_udp, transport="udp")
