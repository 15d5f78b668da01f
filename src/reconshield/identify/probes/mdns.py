"""Multicast DNS (RFC 6762 §5.5, RFC 6763 §9), asked directly: which kinds of service a machine announces."""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe

IDENTITY = 0x5253
PTR, IN = 12, 1
NAME = b"\x09_services\x07_dns-sd\x04_udp\x05local\0"
REQUEST = struct.pack("!6H", IDENTITY, 0, 1, 0, 0, 0) + NAME + struct.pack("!2H", PTR, IN)


def run() -> Dialogue:
    answer = yield Ask(REQUEST)
    if len(answer) < 12:
        return None
    identity, flags, questions, answers = struct.unpack_from("!4H", answer)
    # authoritative, as every mDNS answer is (§18.4); an ordinary name server is not, for a name in .local
    if identity not in (IDENTITY, 0) or flags & 0xF80F != 0x8000 or not flags & 0x0400 or not answers or questions > 1:
        return None
    at = 12
    for _ in range(questions):
        _, at = _read_name(answer, at)
        at += 4
    kinds = []
    for _ in range(min(answers, 64)):
        name, at = _read_name(answer, at)
        if at + 10 > len(answer) or name.lower() != "_services._dns-sd._udp.local":
            break
        kind, _, _, size = struct.unpack_from("!HHIH", answer, at)
        if kind == PTR:
            kinds.append(_read_name(answer, at + 10)[0].removesuffix(".local"))
        at += 10 + size
    if not kinds:
        return None
    facts: dict[str, Any] = {"auth": "none", "services": list(dict.fromkeys(kinds))}
    return Match("mdns", facts=facts | {"request_bytes": len(REQUEST), "answer_bytes": len(answer)})


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    """A name, and where what follows it begins. At most 32 labels, pointers included, so loops end."""
    labels: list[str] = []
    end = None
    for _ in range(32):
        size = data[at] if at < len(data) else 0
        if size >= 0xC0 and at + 1 < len(data):
            end = at + 2 if end is None else end
            at = int.from_bytes(data[at : at + 2], "big") & 0x3FFF
        elif 0 < size < 0x40:
            labels.append(data[at + 1 : at + 1 + size].decode("utf-8", "replace"))
            at += 1 + size
        else:
            break
    return ".".join(labels), at + 1 if end is None else end


PROBE = Probe("mdns", ports=(5353,), run=run, transport="udp")
