"""IPMI over LAN (IPMI v2.0 §22.13, RMCP in §13.1): which ways to log in a management controller offers. No session begins."""

from __future__ import annotations

from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

RMCP = b"\x06\x00\xff\x07"
SESSION = bytes(9)
"""No authentication, sequence 0, session 0."""
THIS_CHANNEL, ADMINISTRATOR, IPMI_20 = 0x0E, 0x04, 0x80
NET_FUNCTION, COMMAND = 0x18, 0x38
TYPES = {0: "none", 1: "md2", 2: "md5", 4: "password", 5: "oem"}


def run() -> Dialogue:
    request = write_request()
    answer = yield Ask(request)
    body = read_response(answer)
    if body is None:
        return None
    version, status, extended = body[1], body[2], body[3]
    facts: dict[str, Any] = {"protocol": "IPMI 2.0" if version & 0x80 and extended & 2 else "IPMI 1.5"}
    facts["auth_types"] = [name for bit, name in TYPES.items() if version >> bit & 1]
    facts |= {"null_users": bool(status & 2), "anonymous_login": bool(status & 1), "default_key": not status & 0x20}
    facts["auth"] = "none" if version & 1 and status & 3 else "required"
    return Match("ipmi", facts=facts | {"request_bytes": len(request), "answer_bytes": len(answer)})


def write_request() -> bytes:
    """Get Channel Authentication Capabilities: addresses and checksums around (channel, privilege)."""
    head = bytes([0x20, NET_FUNCTION])
    body = bytes([0x81, 0, COMMAND, IPMI_20 | THIS_CHANNEL, ADMINISTRATOR])
    message = head + _checksum(head) + body + _checksum(body)
    return RMCP + SESSION + bytes([len(message)]) + message


def _checksum(data: bytes) -> bytes:
    return bytes([-sum(data) & 0xFF])


def read_response(data: bytes) -> bytes | None:
    """The data of a successful answer to our command: channel, types, status, extended, maker (3), auxiliary."""
    if len(data) < 30 or data[:4] != RMCP or data[4] or data[13] != len(data) - 14:
        return None
    message = data[14:]
    if message[:1] != b"\x81" or message[1] != NET_FUNCTION | 4 or message[5] != COMMAND or message[6] or len(message) < 16:
        return None
    if sum(message[:3]) & 0xFF or sum(message[3:]) & 0xFF:
        return None
    return message[7:15]


PROBE = Probe("ipmi", ports=(623,), run=run, transport="udp")
