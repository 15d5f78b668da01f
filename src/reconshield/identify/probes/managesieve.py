"""ManageSieve (RFC 5804): the capabilities with which the server greets, and again inside TLS. No script is read."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, StartTls, Tell, Where

PRODUCTS = (("Dovecot", "Dovecot Pigeonhole"), ("Cyrus timsieved", "Cyrus timsieved"), ("Citadel", "Citadel"))
LISTED = re.compile(rb'"([A-Z]{2,20})"(?: "([^"\r\n]{0,500})")?\r?\n')


def listed(data: bytes) -> bool:
    """The list is ended by a line with OK, NO or BYE (§1.2)."""
    return re.search(rb"(?:\A|\n)(?:OK|NO|BYE)\b[^\n]{0,500}\n\Z", data[-520:]) is not None


def run() -> Dialogue:
    hello = yield Read(until=listed)
    capabilities = _read(hello)
    if "SIEVE" not in capabilities and "IMPLEMENTATION" not in capabilities:
        return None
    facts: dict[str, Any] = {"greeting": capabilities.get("IMPLEMENTATION", ""), "capabilities": list(capabilities)}
    mechanisms = capabilities.get("SASL", "").split()
    if (yield Where()).tls:
        facts["mechanisms_tls"] = mechanisms
    else:
        facts |= {"mechanisms_clear": mechanisms, "login_clear": "offered" if mechanisms else "refused"}
        facts |= (yield from _try_tls(mechanisms)) if "STARTTLS" in capabilities else {"starttls": "not offered"}
    yield Tell(b"LOGOUT\r\n")
    implementation = capabilities.get("IMPLEMENTATION", "")
    product = next((name for start, name in PRODUCTS if implementation.startswith(start)), None)
    version = re.search(r"v?(\d+\.\d[\w.]{0,20})", implementation) if product else None
    return Match("managesieve", product, version[1] if version else None, facts)


def _try_tls(mechanisms: list[str]) -> Any:
    facts: dict[str, Any] = {"starttls": "offered" if mechanisms else "required"}
    if not (yield Ask(b"STARTTLS\r\n", until=listed)).startswith(b"OK"):
        return facts | {"starttls_failed": True}
    upgraded = yield StartTls()
    if upgraded is None:
        return facts | {"starttls_failed": True}
    again = _read((yield Read(until=listed)))  # the server lists them again unasked (§2.2)
    return facts | {"starttls_tls": upgraded, "mechanisms_tls": again.get("SASL", "").split()}


def _read(data: bytes) -> dict[str, str]:
    return {name.decode("ascii"): value.decode("utf-8", "replace") for name, value in LISTED.findall(data[:8192])}


PROBE = Probe("managesieve", ports=(4190, 2000), run=run, speaks_first=True)
