"""MySQL and MariaDB: the greeting packet tells version, TLS and the way passwords are proved; TLS is tried, no login is begun.

Server packets are `length (3, little endian) | sequence | payload`. Servers count broken connections per host and lock it out
after `max_connect_errors` (100 by default), so one connection has to do.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Dialogue, Match, Probe, Read, StartTls, Tell, name_cpe, prefixed

CLIENT_SSL, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH = 0x800, 0x200, 0x8000, 0x80000
ERRORS = {1040: "too many connections", 1129: "host blocked", 1130: "host not allowed", 1203: "too many connections"}
"""Error numbers that a server sends instead of its greeting."""

whole_packet = prefixed(3, extra=1, order="little")


def run() -> Dialogue:
    hello = yield Read(until=whole_packet)
    payload = hello[4:]
    if len(hello) < 5 or len(payload) != int.from_bytes(hello[:3], "little") or hello[3] not in (0, 1):
        return None
    if payload[0] == 0xFF:
        return _read_error(payload)
    match = _read_greeting(payload)
    if match is None or not match.facts["tls"]:
        return match
    yield Tell(_request_tls())
    upgraded = yield StartTls()
    facts = dict(match.facts) | ({"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded})
    return Match("mysql", match.product, match.version, facts, match.cpe)


def _request_tls() -> bytes:
    """SSLRequest: capabilities, largest packet, character set utf8mb4 (45), 23 zeros; sequence number 1."""
    flags = CLIENT_SSL | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH
    body = flags.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + bytes([45]) + bytes(23)
    return len(body).to_bytes(3, "little") + b"\x01" + body


def _read_error(payload: bytes) -> Match | None:
    code = int.from_bytes(payload[1:3], "little")
    text = payload[3:].decode("latin-1")
    if code not in ERRORS or not re.search(r"host|connection", text, re.IGNORECASE):
        return None
    stated = re.search(r"this (MariaDB|MySQL) server", text)
    facts = {"refused": ERRORS[code], "auth": "unknown", "greeting": re.sub(r"^#\w{5}", "", text)}
    return Match("mysql", stated[1] if stated else None, facts=facts)


def _read_greeting(payload: bytes) -> Match | None:
    """Protocol 10: version NUL, thread 4, salt 8, 0, flags 2, charset 1, status 2, flags 2, salt length 1, 10 zeros, salt."""
    version, nul, rest = payload[1:].partition(b"\0")
    if payload[0] != 10 or not nul or len(rest) < 15 or not re.fullmatch(rb"\d+\.\d+[\x20-\x7e]{0,80}", version):
        return None
    flags = int.from_bytes(rest[13:15], "little") | int.from_bytes(rest[18:20], "little") << 16
    facts: dict[str, Any] = {"protocol": "10", "greeting": version.decode("ascii"), "tls": bool(flags & CLIENT_SSL)}
    facts["starttls"] = "offered" if flags & CLIENT_SSL else "not offered"
    if flags & PLUGIN_AUTH and len(rest) > 31:
        plugin = rest[31 + max(13, rest[20] - 8) :].split(b"\0", 1)[0]
        if re.fullmatch(rb"\w{1,64}", plugin):
            facts["auth_plugin"] = plugin.decode("ascii")
    return _name(version.decode("ascii"), facts)


def _name(text: str, facts: dict[str, Any]) -> Match:
    """MariaDB before 11.0 puts "5.5.5-" before its own version, so that old replicas take it for a MySQL that they know."""
    package = re.search(r"-(\d\w*\+(?:deb|ubuntu)\w*|\d+ubuntu[\d.]+)", text)
    if package:
        facts |= {"package": package[1], "os": "Ubuntu" if "ubuntu" in package[1] else "Debian"}
    maria = re.match(r"(?:5\.5\.5-)?(\d+\.\d+\.\d+)-MariaDB", text)
    if maria:
        return Match("mysql", "MariaDB", maria[1], facts, (name_cpe("mariadb", "mariadb", maria[1]),))
    other = re.search(r"-(TiDB|Vitess)(?:-v?(\d[\w.]*))?", text)
    if other:
        return Match("mysql", other[1], other[2], facts)
    oracle = re.match(r"(\d+\.\d+\.\d+)(?:-log|-debug|-\d*ubuntu\S*|-\d+\+deb\S*|-cluster\S*)?$", text)
    if oracle:
        return Match("mysql", "MySQL", oracle[1], facts, (name_cpe("oracle", "mysql", oracle[1]),))
    return Match("mysql", facts=facts)


PROBE = Probe("mysql", ports=(3306, 33060), run=run, speaks_first=True)
