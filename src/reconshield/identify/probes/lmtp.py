"""LMTP (RFC 2033), the last step of mail inside a mail system: greeting and extensions. No mail is begun."""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, StartTls, Tell, Where, first_line

LHLO = b"LHLO reconshield.invalid\r\n"
PRODUCTS = ((r"Dovecot", "Dovecot lmtpd"), (r"Cyrus LMTP", "Cyrus lmtpd"), (r"Zimbra LMTP", "Zimbra lmtpd"))


def whole_reply(data: bytes) -> bool:
    """The last line has no hyphen after its three digits (RFC 5321 §4.2.1)."""
    return data.endswith(b"\n") and re.match(rb"\d{3}-", data.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]) is None


def run() -> Dialogue:
    hello = yield Read(until=whole_reply)
    greeting = first_line(hello)
    if not re.match(r"220[ -]", greeting):
        return None
    named = re.match(r".{0,300}\b(?:LMTP|Dovecot)", greeting) is not None
    place = yield Where()
    if not named and place.port not in PROBE.ports:
        return None
    reply = yield Ask(LHLO, until=whole_reply)
    if not reply.startswith(b"250"):
        return None
    extensions = [text[4:].strip().upper() for text in reply.decode("latin-1").splitlines()[1:65] if text.startswith("250")]
    facts: dict[str, Any] = {"greeting": greeting, "capabilities": extensions}
    if not place.tls:
        facts["starttls"] = "offered" if "STARTTLS" in extensions else "not offered"
        facts |= (yield from _try_tls()) if "STARTTLS" in extensions else {}
    yield Tell(b"QUIT\r\n")
    product = next((name for pattern, name in PRODUCTS if re.search(pattern, greeting)), None)
    return Match("lmtp", product, facts=facts)


def _try_tls() -> Any:
    reply = yield Ask(b"STARTTLS\r\n", until=whole_reply)
    upgraded = (yield StartTls()) if reply.startswith(b"220") else None
    return {"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded}


PROBE = Probe("lmtp", ports=(24, 2003), run=run, speaks_first=True)
