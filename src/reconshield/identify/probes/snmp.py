"""SNMP: the engine discovery of version 3 (RFC 3414 §4), which every agent answers and which needs no secret.

The engine id names its maker by the number that IANA gave him. At level 4 the community "public" is tried once, with one value
(sysDescr.0) of version 2c (RFC 3416).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconshield.identify import ber
from reconshield.identify.probe import Ask, Dialogue, Match, Probe

GET, RESPONSE, REPORT = 0xA0, 0xA2, 0xA8
MESSAGE_ID = 0x5253
REPORTABLE, USM = b"\x04", 3
SYS_DESCR = bytes([0x2B, 6, 1, 2, 1, 1, 1, 0])
MAKERS = {
    2: "IBM",
    9: "Cisco",
    11: "HP",
    311: "Microsoft",
    2011: "Huawei",
    2636: "Juniper",
    8072: "net-snmp",
    12356: "Fortinet",
    14988: "MikroTik",
    30065: "Arista",
}
"""IANA's private enterprise numbers."""


def run() -> Dialogue:
    engine = read_discovery((yield Ask(write_discovery())))
    if engine is None:
        return None
    identity, boots, seconds = engine
    facts: dict[str, Any] = {
        "protocol": "SNMPv3",
        "engine_id": identity.hex(),
        "engine_boots": boots,
        "engine_seconds": seconds,
    }
    number = int.from_bytes(identity[:4], "big") & 0x7FFFFFFF
    if len(identity) >= 5:
        facts |= {"enterprise": number} | ({"maker": MAKERS[number]} if number in MAKERS else {})
    return Match("snmp", "net-snmp" if facts.get("maker") == "net-snmp" else None, facts=facts)


def assess(match: Match) -> Dialogue:
    answer = yield Ask(write_public())
    facts = dict(match.facts)
    description = read_description(answer)
    facts["community_public"] = description is not None
    if description:
        facts["description"] = description
    return replace(match, facts=facts | {"request_bytes": len(write_public()), "answer_bytes": len(answer)})


def write_discovery() -> bytes:
    """An empty GET with an empty engine id and user (RFC 3412 §6, RFC 3414 §2.4)."""
    header = ber.write(
        ber.SEQUENCE,
        ber.write_integer(MESSAGE_ID) + ber.write_integer(65507),
        ber.write(ber.OCTETS, REPORTABLE) + ber.write_integer(USM),
    )
    security = ber.write(
        ber.SEQUENCE,
        ber.write(ber.OCTETS) + ber.write_integer(0) * 2,
        ber.write(ber.OCTETS) * 3,
    )
    scoped = ber.write(ber.SEQUENCE, ber.write(ber.OCTETS) * 2, _write_get(b""))
    return ber.write(ber.SEQUENCE, ber.write_integer(3), header, ber.write(ber.OCTETS, security), scoped)


def write_public() -> bytes:
    binding = ber.write(ber.SEQUENCE, ber.write(ber.OID, SYS_DESCR), b"\x05\x00")
    return ber.write(ber.SEQUENCE, ber.write_integer(1), ber.write(ber.OCTETS, b"public"), _write_get(binding))


def _write_get(bindings: bytes) -> bytes:
    return ber.write(GET, ber.write_integer(MESSAGE_ID), ber.write_integer(0) * 2, ber.write(ber.SEQUENCE, bindings))


def read_discovery(data: bytes) -> tuple[bytes, int, int] | None:
    """Engine id, boots and seconds since the last boot, from the security parameters of the report."""
    outer = ber.read(data)
    parts = ber.read(outer[0][1]) if outer and outer[0][0] == ber.SEQUENCE else []
    if len(parts) < 4 or parts[0] != (ber.INTEGER, b"\x03") or parts[2][0] != ber.OCTETS:
        return None
    header = ber.read(parts[1][1])
    if not header or header[0] != (ber.INTEGER, MESSAGE_ID.to_bytes(2, "big")):
        return None
    inner = ber.read(parts[2][1])
    fields = ber.read(inner[0][1]) if inner else []
    if len(fields) < 3 or fields[0][0] != ber.OCTETS or not 5 <= len(fields[0][1]) <= 32:
        return None
    return fields[0][1], int.from_bytes(fields[1][1][:5], "big"), int.from_bytes(fields[2][1][:5], "big")


def read_description(data: bytes) -> str | None:
    """The one value of the response; empty where the agent has none; None when this is no response."""
    outer = ber.read(data)
    parts = ber.read(outer[0][1]) if outer and outer[0][0] == ber.SEQUENCE else []
    if len(parts) < 3 or parts[1] != (ber.OCTETS, b"public") or parts[2][0] != RESPONSE:
        return None
    fields = ber.read(parts[2][1])
    bindings = ber.read(fields[3][1]) if len(fields) > 3 else []
    pair = ber.read(bindings[0][1]) if bindings else []
    return pair[1][1].decode("utf-8", "replace") if len(pair) > 1 and pair[1][0] == ber.OCTETS else ""


PROBE = Probe("snmp", ports=(161, 1161), run=run, transport="udp", assess=assess)
