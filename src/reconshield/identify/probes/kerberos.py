"""Kerberos (RFC 4120) over TCP and UDP: a request for a ticket that names nobody, in a realm that does not exist.

The answer is a KRB-ERROR, which carries the server's clock. No principal is named, so none can be locked out.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify import ber
from reconshield.identify.probe import Ask, Dialogue, Match, Probe, prefixed

AS_REQUEST, KRB_ERROR = 0x6A, 0x7E
BIT_STRING, GENERALIZED_TIME, GENERAL_STRING = 0x03, 0x18, 0x1B
REALM = b"RECONSHIELD.INVALID"
ERRORS = {
    6: "client unknown",
    7: "server unknown",
    8: "principal not unique",
    14: "no encryption type",
    60: "generic",
    68: "wrong realm",
}
"""RFC 4120 §7.5.9."""


def run() -> Dialogue:
    request = write_request()
    answer = yield Ask(struct.pack("!I", len(request)) + request, until=prefixed(4))
    return _match(answer[4:]) if len(answer) > 4 and int.from_bytes(answer[:4], "big") == len(answer) - 4 else None


def run_udp() -> Dialogue:
    return _match((yield Ask(write_request())))


def write_request() -> bytes:
    """AS-REQ (§5.4.1) without a client: no options, realm, krbtgt/realm, until 2037, a fixed nonce, AES alone."""
    names = ber.write(ber.SEQUENCE, *(ber.write(GENERAL_STRING, name) for name in (b"krbtgt", REALM)))
    server = ber.write(ber.SEQUENCE, ber.write(0xA0, ber.write_integer(2)), ber.write(0xA1, names))
    body = ber.write(
        ber.SEQUENCE,
        ber.write(0xA0, ber.write(BIT_STRING, bytes(5))),
        ber.write(0xA2, ber.write(GENERAL_STRING, REALM)),
        ber.write(0xA3, server),
        ber.write(0xA5, ber.write(GENERALIZED_TIME, b"20370913024805Z")),
        ber.write(0xA7, ber.write_integer(0x5253)),
        ber.write(0xA8, ber.write(ber.SEQUENCE, ber.write_integer(18), ber.write_integer(17))),
    )
    kinds = ber.write(0xA1, ber.write_integer(5)) + ber.write(0xA2, ber.write_integer(10))
    return ber.write(AS_REQUEST, ber.write(ber.SEQUENCE, kinds, ber.write(0xA4, body)))


def _match(answer: bytes) -> Match | None:
    outer = ber.read(answer)
    inner = ber.read(outer[0][1]) if outer and outer[0][0] == KRB_ERROR else []
    fields = {tag: ber.read(content) for tag, content in ber.read(inner[0][1])} if inner else {}
    if not _is(fields, 0xA0, b"\x05") or not _is(fields, 0xA1, b"\x1e") or not fields.get(0xA6):
        return None
    code = int.from_bytes(fields[0xA6][0][1][:4], "big")
    facts: dict[str, Any] = {"protocol": "Kerberos 5", "error": ERRORS.get(code, str(code))}
    realm = _text(fields, 0xA9)
    if realm and realm.encode("latin-1") != REALM:
        facts["realm"] = realm
    for key, tag in (("time", 0xA4), ("text", 0xAB)):
        if _text(fields, tag):
            facts[key] = _text(fields, tag)
    # the texts are each maker's own; this one is the name of a state in MIT's key distribution centre
    return Match("kerberos", "MIT Kerberos" if facts.get("text") == "NULL_CLIENT" else None, facts=facts)


def _is(fields: dict[int, list[tuple[int, bytes]]], tag: int, value: bytes) -> bool:
    return bool(fields.get(tag)) and fields[tag][0] == (ber.INTEGER, value)


def _text(fields: dict[int, list[tuple[int, bytes]]], tag: int) -> str:
    values = fields.get(tag)
    return values[0][1][:200].decode("latin-1") if values else ""


PROBE = Probe("kerberos", ports=(88,), run=run)
UDP = Probe("kerberos", ports=(88,), run=run_udp, transport="udp")
