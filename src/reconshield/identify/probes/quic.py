"""QUIC (RFC 9000 §6, §17.2): a packet of a version reserved for this, which a server answers with the versions it speaks.

It must be as long as a real first packet (§14.1). No connection is begun; the server keeps nothing.
"""

from __future__ import annotations

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

RESERVED = bytes.fromhex("1a2a3a4a")
THEIRS, OURS = b"recnshld", b"shldrecn"
REQUEST = (b"\xc0" + RESERVED + b"\x08" + THEIRS + b"\x08" + OURS).ljust(1200, b"\0")
NAMES = {0x00000001: "1", 0x6B3343CF: "2", 0x51303433: "Q043", 0x51303436: "Q046", 0x51303530: "Q050"}


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    # long header, version 0, the two connection ids changed over, versions of four bytes
    if len(answer) < 27 or not answer[0] & 0x80 or answer[1:5] != bytes(4):
        return None
    if answer[5:23] != b"\x08" + OURS + b"\x08" + THEIRS:
        return None
    listed = [int.from_bytes(answer[at : at + 4], "big") for at in range(23, min(len(answer) - 3, 23 + 64), 4)]
    known = [NAMES.get(number, f"{number:08x}") for number in listed if number & 0x0F0F0F0F != 0x0A0A0A0A]
    facts = {"versions": known, "request_bytes": len(REQUEST), "answer_bytes": len(answer)}
    return Match("quic", facts=facts) if known else None


PROBE = Probe("quic", ports=(443, 8443, 784, 853), run=run, transport="udp")
