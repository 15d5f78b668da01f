"""IKE (RFC 7296): a header of a version that does not exist, refused by name (§2.5). No key exchange is begun.

On port 4500 messages are led by four zero bytes, which tell them from ESP (RFC 3948 §2.2).
"""

from __future__ import annotations

import struct

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Where

INITIATOR = b"recnshld"
SA_INIT, INFORMATIONAL, NOTIFY, INVALID_MAJOR_VERSION = 34, 37, 41, 5
NAT_PORT = 4500


def run() -> Dialogue:
    marker = bytes(4) if (yield Where()).port == NAT_PORT else b""
    request = INITIATOR + bytes(8) + struct.pack("!BBBBII", 0, 0x30, SA_INIT, 0x08, 0, 28)
    answer = yield Ask(marker + request)
    if not answer.startswith(marker):
        return None
    answer = answer[len(marker) :]
    if len(answer) < 28 or answer[:8] != INITIATOR or int.from_bytes(answer[24:28], "big") != len(answer):
        return None
    version = answer[17]
    if version >> 4 not in (1, 2):
        return None
    facts = {"protocol": f"IKEv{version >> 4}"}
    if len(answer) >= 36 and answer[16] == NOTIFY:
        facts["notify"] = str(int.from_bytes(answer[34:36], "big"))
    return Match("ike", facts=facts)


PROBE = Probe("ike", ports=(500, NAT_PORT), run=run, transport="udp")
