"""PostgreSQL: whether TLS is offered, and the answer to a start-up message of a protocol version that does not exist.

The error that follows is PostgreSQL's own and needs no user name: an account would have to be named to learn more (how it
asks for the password, its version), so that is left unsaid. Formats: PostgreSQL documentation, "Frontend/Backend Protocol".
"""

from __future__ import annotations

import re
import struct
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Reconnect, StartTls, at_least, name_cpe, prefixed

REQUEST_TLS = struct.pack("!II", 8, 80877103)
UNKNOWN_VERSION = struct.pack("!IHH", 9, 255, 255) + b"\0"
"""A start-up message without parameters, for protocol 255.255."""
SOURCE = re.compile(r"^(?:.*[/\\])?(?:postmaster|backend_startup)\.c$")

OTHERS = (
    (r"pgbouncer|bad packet header: '[0-9a-f]{16}'", "PgBouncer"),
    (r"\bodyssey\b", "Odyssey"),
    (r"\bCockroachDB\b", "CockroachDB"),
)
"""Poolers and databases that speak this protocol, by their own words in an error."""

whole_message = prefixed(4, at=1, extra=-4)


def run() -> Dialogue:
    answer = yield Ask(REQUEST_TLS, until=at_least(1))
    if answer[:1] not in (b"S", b"N", b"E") or (answer[:1] != b"E" and len(answer) != 1):
        return None
    facts: dict[str, Any] = {"ssl": "accepted" if answer == b"S" else "refused"}
    facts["starttls"] = "offered" if answer == b"S" else "not offered"
    if answer == b"S":
        upgraded = yield StartTls()
        if upgraded is None:
            facts["starttls_failed"] = True
        else:
            facts["starttls_tls"] = upgraded
    if answer[:1] == b"E" or "starttls_failed" in facts:
        yield Reconnect()
    error = read_error((yield Ask(UNKNOWN_VERSION, until=whole_message)))
    if error is None:
        return None
    return _match(error, facts)


def read_error(data: bytes) -> dict[str, str] | None:
    """The fields of an ErrorResponse by their letter: S severity, C code, M message, F source file, R routine."""
    if data[:1] != b"E" or len(data) < 6:
        return None
    fields = {part[:1].decode("latin-1"): part[1:].decode("latin-1") for part in data[5:4096].split(b"\0") if part}
    return fields if "M" in fields and re.fullmatch(r"[0-9A-Z]{5}", fields.get("C", "")) else None


def _match(error: dict[str, str], facts: dict[str, Any]) -> Match:
    """Only PostgreSQL's own code names its source file; poolers and other databases with this protocol do not."""
    supports = re.search(r"server supports (\d+\.\d+) to (\d+\.\d+)", error["M"])
    if supports:
        facts |= {"protocol": supports[2], "oldest_protocol": supports[1]}
    facts["error"] = error["M"]
    if SOURCE.match(error.get("F", "")) and error.get("R") == "ProcessStartupPacket":
        return Match("postgresql", "PostgreSQL", facts=facts, cpe=(name_cpe("postgresql", "postgresql"),))
    pooler = next((name for pattern, name in OTHERS if re.search(pattern, " ".join(error.values()), re.IGNORECASE)), None)
    return Match("postgresql", pooler, facts=facts)


PROBE = Probe("postgresql", ports=(5432, 5433, 6432), run=run)
