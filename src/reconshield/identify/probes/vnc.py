"""VNC's RFB protocol (RFC 6143): version and the security types offered. No type that authenticates is gone through.

Type 1 lets everybody in. VeNCrypt (19) hides further types behind one more exchange, TLS with or without a password among them.
Servers such as TigerVNC block an address after a few unfinished connections, so one has to do.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, at_least

SECURITY = {
    1: "None",
    2: "VNC authentication",
    5: "RA2",
    6: "RA2ne",
    16: "Tight",
    17: "Ultra",
    18: "TLS",
    19: "VeNCrypt",
    20: "SASL",
    22: "xvp",
    30: "Apple Diffie-Hellman",
    35: "Apple Mac OS X",
    113: "MS-Logon II",
    129: "RA2_256",
    130: "RA2ne_256",
}
"""IANA's registry of RFB security types, as far as servers use it."""

VENCRYPT = {
    256: "Plain",
    257: "TLSNone",
    258: "TLSVnc",
    259: "TLSPlain",
    260: "X509None",
    261: "X509Vnc",
    262: "X509Plain",
    263: "TLSSASL",
    264: "X509SASL",
}
NONE, VENCRYPT_TYPE = 1, 19


def run() -> Dialogue:
    hello = yield Read(until=at_least(12))
    stated = re.match(rb"RFB (\d{3})\.(\d{3})\n", hello)
    if not stated:
        return None
    facts: dict[str, Any] = {"greeting": hello[:11].decode("ascii"), "protocol": hello[:11].decode("ascii")}
    old = (int(stated[1]), int(stated[2])) < (3, 7)
    if old:
        answer = yield Ask(b"RFB 003.003\n", until=at_least(4))
        types = [int.from_bytes(answer[:4], "big")] if len(answer) >= 4 else []
    else:
        version = b"RFB 003.007\n" if stated[2] == b"007" and stated[1] == b"003" else b"RFB 003.008\n"
        answer = yield Ask(version, until=_whole_list)
        types = list(answer[1 : 1 + answer[0]]) if answer else []
    if types and types != [0]:
        facts |= {"security_types": types, "security": [SECURITY.get(number, str(number)) for number in types]}
        facts["auth"] = "none" if NONE in types else "required"
    elif len(answer) > 8:
        facts["refused"] = _read_reason(answer[3:] if old else answer)
    if VENCRYPT_TYPE in types and NONE not in types and not old:
        facts |= yield from _list_vencrypt()
    return Match("vnc", _name(stated[0]), facts=facts)


def _list_vencrypt() -> Any:
    """Choose VeNCrypt, agree on its version 0.2, and read the types behind it (the protocol's description at libvncserver)."""
    version = yield Ask(bytes([VENCRYPT_TYPE]), until=at_least(2))
    if version != b"\0\x02":
        return {}
    answer = yield Ask(b"\0\x02", until=lambda data: len(data) >= 2 and len(data) >= 2 + 4 * data[1])
    if len(answer) < 2 or answer[0] != 0:
        return {}
    numbers = [int.from_bytes(answer[at : at + 4], "big") for at in range(2, min(len(answer) - 3, 2 + 4 * answer[1]), 4)]
    names = [VENCRYPT.get(number, str(number)) for number in numbers]
    open_to_all = any(name.endswith("None") for name in names)
    return {"vencrypt": names, "auth": "none" if open_to_all else "required"}


def _whole_list(data: bytes) -> bool:
    """A count and as many types; a count of 0 is followed by a reason with its length (RFC 6143 §7.1.2)."""
    if not data:
        return False
    if data[0]:
        return len(data) > data[0]
    return len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[1:5], "big")


def _read_reason(answer: bytes) -> str:
    """A reason follows a zero byte, here the last of the four in version 3.3, and its own length in four."""
    return answer[5 : 5 + min(200, int.from_bytes(answer[1:5], "big"))].decode("latin-1")


def _name(version: bytes) -> str | None:
    """Only two makers have version numbers of their own."""
    if version == b"RFB 003.889\n":
        return "Apple Remote Desktop"
    return "RealVNC" if version.startswith((b"RFB 004.", b"RFB 005.")) else None


PROBE = Probe("vnc", ports=(5900, 5901, 5902, 5903), run=run, speaks_first=True)
