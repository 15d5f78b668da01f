"""NNTP (RFC 3977 §5.1, §5.2): the greeting and CAPABILITIES; STARTTLS by RFC 4642. No login is begun, no group read."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, StartTls, Tell, Where, first_line, line, name_cpe

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"\bINN (\d[\w.]*)", "INN", ("isc", "inn")),
    (r"\bLeafnode NNTP [Dd]aemon,? version (\d[\w.]*)", "Leafnode", ("leafnode", "leafnode")),
    (r"\bNNTP Service (\d[\w.]*) Version", "Microsoft NNTP Service", None),
    (r"\bDiablo/(\d[\w.]*)", "Diablo", None),
)


def run() -> Dialogue:
    hello = yield Read(until=line)
    if not re.match(rb"(?:200|201|400|502) (?!\d{1,8} *\n)", hello):  # a number alone is the length of Varnish's greeting
        return None
    listed = yield Ask(b"CAPABILITIES\r\n", until=_whole)
    text = first_line(hello)
    capabilities = _read_capabilities(listed)
    if not capabilities and not (re.match(rb"5\d\d ", listed) and re.search(r"\b(?:NNTP|NNRP|InterNetNews)", text)):
        return None
    facts: dict[str, Any] = {"greeting": text, "capabilities": capabilities}
    facts["auth"] = "none" if hello[:1] == b"2" and "READER" in capabilities else "unknown"
    if not (yield Where()).tls:
        facts |= yield from _try_tls(capabilities)
    yield Tell(b"QUIT\r\n")
    return _name(" ".join([text, *(word for word in capabilities if word.startswith("IMPLEMENTATION"))]), facts)


def _try_tls(capabilities: list[str]) -> Any:
    login = next((word for word in capabilities if word.startswith("AUTHINFO")), None)
    clear = "unknown" if login is None else "offered" if "USER" in login.split() else "refused"
    facts: dict[str, Any] = {"starttls": "not offered", "login_clear": clear}
    if "STARTTLS" not in capabilities:
        return facts
    facts["starttls"] = "required" if clear == "refused" else "offered"
    if not (yield Ask(b"STARTTLS\r\n", until=line)).startswith(b"382"):
        return facts | {"starttls_failed": True}
    upgraded = yield StartTls()
    return facts | ({"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded})


def _whole(data: bytes) -> bool:
    """101 is followed by lines up to a single dot; every other answer is one line."""
    return data.endswith(b"\r\n.\r\n") if data.startswith(b"101") else line(data)


def _read_capabilities(listed: bytes) -> list[str]:
    if not listed.startswith(b"101"):
        return []
    lines = listed.decode("latin-1").splitlines()[1:]
    return [text if text.startswith("IMPLEMENTATION") else text.upper() for text in lines if text != "."][:64]


def _name(text: str, facts: dict[str, Any]) -> Match:
    for pattern, product, vendor in PRODUCTS:
        found = re.search(pattern, text)
        if found:
            return Match("nntp", product, found[1], facts, (name_cpe(*vendor, found[1]),) if vendor else ())
    return Match("nntp", facts=facts)


PROBE = Probe("nntp", ports=(119, 563), run=run, speaks_first=True)
