"""Telnet (RFC 854): recognised by the options that the server asks for. Nothing is answered.

A server that is told nothing usually waits with its login prompt, so the prompt is a bonus, not the evidence.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Dialogue, Match, Probe, Read

IAC, SE, SB = 0xFF, 0xF0, 0xFA
VERBS = {0xFB: "WILL", 0xFC: "WON'T", 0xFD: "DO", 0xFE: "DON'T"}
OPTIONS = {
    0: "BINARY",
    1: "ECHO",
    3: "SUPPRESS-GO-AHEAD",
    5: "STATUS",
    24: "TERMINAL-TYPE",
    31: "WINDOW-SIZE",
    32: "TERMINAL-SPEED",
    33: "FLOW-CONTROL",
    34: "LINEMODE",
    35: "X-DISPLAY",
    36: "ENVIRON",
    37: "AUTHENTICATION",
    38: "ENCRYPT",
    39: "NEW-ENVIRON",
    46: "START-TLS",
}
"""The telnet options registry of IANA, as far as servers use it."""

TERMINAL = {"TERMINAL-TYPE", "AUTHENTICATION", "ENVIRON", "NEW-ENVIRON", "WINDOW-SIZE"}
"""Options that only a server which lets people log in asks for."""

PROMPT = re.compile(r"(?:login|user ?name|user|password)\s*:\s*$", re.IGNORECASE)
PRODUCTS: tuple[tuple[str, str], ...] = (
    (r"MikroTik v(\d[\w.]*)", "MikroTik RouterOS telnetd"),
    (r"BusyBox v(\d[\w.]*)", "BusyBox telnetd"),
    (r"Microsoft Telnet S(?:ervice|erver)", "Microsoft Telnet Server"),
)


def run() -> Dialogue:
    hello = yield Read()
    options, text = split(hello)
    prompt = PROMPT.search(text) is not None
    if not options and not prompt:
        return None
    facts: dict[str, Any] = {"options": options, "auth": "required" if prompt else "unknown"}
    facts["starttls"] = "offered" if "DO START-TLS" in options else "not offered"
    asks_terminal = any(option.split()[-1] in TERMINAL for option in options)
    facts["login_clear"] = "offered" if prompt or (asks_terminal and facts["starttls"] == "not offered") else "unknown"
    if text.strip():
        facts["greeting"] = text.strip().splitlines()[0]
    for pattern, product in PRODUCTS:
        found = re.search(pattern, text)
        if found:
            return Match("telnet", product, found[1] if found.re.groups else None, facts, sure=bool(options))
    return Match("telnet", facts=facts, sure=bool(options))


def split(data: bytes) -> tuple[list[str], str]:
    """The option commands (`"DO TERMINAL-TYPE"`) and the text around them. Malformed commands make all of it text."""
    options: list[str] = []
    text = bytearray()
    at = 0
    while at < len(data):
        verb = data[at + 1] if data[at] == IAC and at + 1 < len(data) else None
        if verb in VERBS and at + 2 < len(data):
            options.append(f"{VERBS[verb]} {OPTIONS.get(data[at + 2], data[at + 2])}")
            at += 3
        elif verb == SB:
            end = data.find(bytes([IAC, SE]), at)
            at = len(data) if end < 0 else end + 2
        else:
            text.append(data[at])
            at += 1
    # a few bytes of noise can look like one command; a server that means it does not surround it by other high bytes
    if sum(byte >= 0x80 for byte in text) > len(options):
        return [], data.decode("latin-1")
    return options[:64], text.decode("latin-1")


PROBE = Probe("telnet", ports=(23, 2323, 992), run=run, speaks_first=True)
