"""Milter, the filters of a mail server: which version of the protocol and which actions a filter negotiates. No mail is shown.

A packet is its length in four bytes, a letter, and data. `O` carries version, actions and steps as 32-bit numbers
(Sendmail's mfdef.h, "SMFIC_OPTNEG"); `Q` says goodbye.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Tell, prefixed

VERSION, ALL_ACTIONS, ALL_STEPS = 6, 0x1FF, 0x1FFFFF
ACTIONS = ("add headers", "change body", "add recipients", "remove recipients", "change headers", "quarantine", "change sender")
"""By bit: SMFIF_ADDHDRS and those after it."""
OFFER = struct.pack("!IcIII", 13, b"O", VERSION, ALL_ACTIONS, ALL_STEPS)
GOODBYE = struct.pack("!Ic", 1, b"Q")


def run() -> Dialogue:
    answer = yield Ask(OFFER, until=prefixed(4))
    if len(answer) < 17 or answer[4:5] != b"O" or int.from_bytes(answer[:4], "big") != len(answer) - 4:
        return None
    version, actions, steps = struct.unpack_from("!III", answer, 5)
    if not 2 <= version <= VERSION or steps & ~0x3FFFFFFF:
        return None
    yield Tell(GOODBYE)
    wanted = [name for bit, name in enumerate(ACTIONS) if actions >> bit & 1]
    facts: dict[str, Any] = {"protocol": f"milter {version}", "actions": wanted, "auth": "none"}
    return Match("milter", facts=facts)


PROBE = Probe("milter", ports=(8891, 8892, 8893, 7357, 11332), run=run)
