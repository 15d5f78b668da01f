"""Android Debug Bridge over TCP: CNXN, and the device says who it is, or that it wants a key first. No service is opened.

AOSP, "adb/protocol.txt": command, two arguments, length, sum of the data's bytes, the command with all bits turned.
"""

from __future__ import annotations

import re
import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

CONNECT, AUTH, START_TLS = b"CNXN", b"AUTH", b"STLS"
BANNER = b"host::\0"
VERSION, LARGEST = 0x01000000, 4096

whole_message = prefixed(4, at=12, extra=8, order="little")


def run() -> Dialogue:
    answer = yield Ask(write_message(CONNECT, VERSION, LARGEST, BANNER), until=whole_message)
    if len(answer) < 24 or answer[20:24] != bytes(byte ^ 0xFF for byte in answer[:4]):
        return None
    command = answer[:4]
    if command in (AUTH, START_TLS):
        return Match("adb", facts={"auth": "required", "tls_wanted": command == START_TLS})
    banner = answer[24:].decode("utf-8", "replace").rstrip("\0")
    if command != CONNECT or not re.match(r"(?:device|bootloader|recovery|host|sideload)?:", banner) or answer[24:] == BANNER:
        return None
    facts: dict[str, Any] = {"auth": "none"}
    facts |= dict(re.findall(r"ro\.product\.(name|model|device)=([^;]{1,100})", banner))
    return Match("adb", "Android Debug Bridge", facts=facts)


def write_message(command: bytes, first: int, second: int, data: bytes) -> bytes:
    turned = bytes(byte ^ 0xFF for byte in command)
    return command + struct.pack("<IIII", first, second, len(data), sum(data)) + turned + data


PROBE = Probe("adb", ports=(5555,), run=run)
