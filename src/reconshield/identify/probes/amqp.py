"""AMQP: the protocol header, answered by RabbitMQ with what it is, by other brokers with the version they speak.

AMQP 0-9-1 §4.2.2 and §1.4.2.1 (connection.start): class 10, method 10, version, server properties, mechanisms, locales.
Nothing follows the first answer, so no login is begun.
"""

from __future__ import annotations

import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe

HEADER = b"AMQP\0\0\x09\x01"
KEPT = ("product", "version", "platform", "cluster_name")


def run() -> Dialogue:
    answer = yield Ask(HEADER, until=_whole)
    # a broker never answers with the version that was asked for, an echo does
    if len(answer) == 8 and answer[:4] == b"AMQP" and answer != HEADER:
        return Match("amqp", facts={"protocol": f"AMQP {answer[5]}.{answer[6]}", "sasl": answer[4] == 3})
    if len(answer) < 20 or answer[:3] != b"\x01\0\0" or answer[7:11] != b"\0\x0a\0\x0a":
        return None
    properties, rest = _read_table(answer[13:])
    mechanisms, _ = _read_long(rest)
    names = mechanisms.decode("latin-1").split()[:32]
    facts: dict[str, Any] = {"protocol": f"AMQP {answer[11]}.{answer[12]}", "mechanisms_clear": names}
    facts |= {"starttls": "not offered", "login_clear": "offered" if {"PLAIN", "AMQPLAIN"} & set(names) else "unknown"}
    facts |= {key: properties[key] for key in ("platform", "cluster_name") if key in properties}
    if "cluster_name" in facts and "@" in facts["cluster_name"]:
        facts["hostname"] = facts["cluster_name"].split("@", 1)[1]
    version = properties.get("version") or None
    cpe = (name_cpe("vmware", "rabbitmq", version),) if properties.get("product") == "RabbitMQ" else ()
    return Match("amqp", properties.get("product") or None, version, facts, cpe)


def _whole(data: bytes) -> bool:
    """A protocol header of 8 bytes, or a frame: type, channel, size, payload, 0xCE."""
    if data.startswith(b"AMQP"):
        return len(data) >= 8
    return len(data) >= 8 and len(data) >= 8 + int.from_bytes(data[3:7], "big")


def _read_long(data: bytes) -> tuple[bytes, bytes]:
    """A string led by its length in four bytes, and what follows."""
    size = int.from_bytes(data[:4], "big")
    return data[4 : 4 + size], data[4 + size :]


def _read_table(data: bytes) -> tuple[dict[str, str], bytes]:
    """The text entries of a field table; nested tables and other kinds are passed over (§4.2.5.5)."""
    table, rest = _read_long(data)
    found: dict[str, str] = {}
    while len(table) > 2:
        key = table[1 : 1 + table[0]].decode("latin-1")
        kind, table = table[1 + table[0] : 2 + table[0]], table[2 + table[0] :]
        if kind in (b"S", b"F", b"x"):
            value, table = _read_long(table)
            if kind == b"S" and key in KEPT:
                found[key] = value.decode("utf-8", "replace")
        elif kind == b"t":
            table = table[1:]
        elif kind in (b"I", b"i"):
            table = table[struct.calcsize("!i") :]
        else:
            break
    return found, rest


PROBE = Probe("amqp", ports=(5672, 5671), run=run)
