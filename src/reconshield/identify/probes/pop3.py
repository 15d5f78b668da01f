"""POP3 (RFC 1939, 2449, 2595): greeting, capabilities, and what changes when the connection is turned to TLS.

Whether a password can be sent in clear is read from the capabilities; none is ever sent.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import (
    Ask,
    Dialogue,
    Match,
    Probe,
    Read,
    StartTls,
    Tell,
    Where,
    dot_line,
    first_line,
    line,
    name_cpe,
)

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"Dovecot", "Dovecot pop3d", ("dovecot", "dovecot")),
    (r"Cyrus POP3 v?(\d[\w.]*)?", "Cyrus pop3d", ("cyrus", "imap")),
    (r"Hello there", "Courier pop3d", ("courier-mta", "courier")),
    (r"Microsoft Exchange(?: Server \d{4})? POP3", "Microsoft Exchange pop3d", ("microsoft", "exchange_server")),
    (r"Zimbra (\d[\w.]*)? ?POP3|Zimbra POP3", "Zimbra pop3d", ("zimbra", "collaboration")),
    (r"Qpopper \(version (\d[\w.]*)\)", "Qpopper pop3d", ("qualcomm", "qpopper")),
    (r"hMailServer", "hMailServer pop3d", ("hmailserver", "hmailserver")),
    (r"MDaemon (\d[\w.]*)?", "MDaemon pop3d", ("altn", "mdaemon")),
    (r"GNU POP3|mailutils", "GNU Mailutils pop3d", ("gnu", "mailutils")),
)


def run() -> Dialogue:
    hello = yield Read(until=line)
    if not hello.startswith(b"+OK"):
        return None
    inside = (yield Where()).tls
    listing = yield Ask(b"CAPA\r\n", until=dot_line)
    if not listing:  # says no more than its greeting
        shape = re.search(rb"POP3?\b|Dovecot|<[^<>\s]{1,100}@[^<>\s]{1,100}>", hello, re.IGNORECASE)
        return name_product({"greeting": first_line(hello)}, sure=False) if shape else None
    if not listing.startswith((b"+OK", b"-ERR")):
        return None
    capabilities = read_capabilities(listing)
    facts: dict[str, Any] = {"greeting": first_line(hello)}
    facts |= {"capabilities_tls" if inside else "capabilities": capabilities} if capabilities else {}
    if inside:
        facts["mechanisms_tls"] = mechanisms(capabilities)
    else:
        facts["mechanisms_clear"] = mechanisms(capabilities)
        facts |= judge_clear(listing, capabilities)
        if "STLS" in capabilities:
            facts |= yield from turn_to_tls()
    yield Tell(b"QUIT\r\n")
    return name_product(facts, sure=bool(capabilities) or listing.startswith(b"-ERR"))


def turn_to_tls() -> Any:
    """Ask for TLS and for the capabilities in it; gives the facts."""
    reply = yield Ask(b"STLS\r\n", until=line)
    upgraded = (yield StartTls()) if reply.startswith(b"+OK") else None
    if upgraded is None:
        return {"starttls_failed": True}
    facts: dict[str, Any] = {"starttls_tls": upgraded}
    capabilities = read_capabilities((yield Ask(b"CAPA\r\n", until=dot_line)))
    if capabilities:
        facts |= {"capabilities_tls": capabilities, "mechanisms_tls": mechanisms(capabilities)}
    return facts


def read_capabilities(listing: bytes) -> list[str]:
    """The lines between `+OK` and the dot, upper case."""
    if not listing.startswith(b"+OK"):
        return []
    words = [text.strip().upper() for text in listing.decode("latin-1").splitlines()[1:]]
    return [word for word in words if word and word != "."][:64]


def mechanisms(capabilities: list[str]) -> list[str]:
    return next((entry.split()[1:] for entry in capabilities if entry.startswith("SASL ")), [])


def judge_clear(listing: bytes, capabilities: list[str]) -> dict[str, Any]:
    """`USER` or a plain SASL mechanism in the list: a password may be sent. A list without them: not (RFC 2449 §6.3, 6.5)."""
    if not listing.startswith(b"+OK"):
        return {"starttls": "not offered", "login_clear": "unknown"}
    plain = {"PLAIN", "LOGIN"} & set(mechanisms(capabilities))
    login = "offered" if "USER" in capabilities or plain else "not offered"
    if "STLS" not in capabilities:
        return {"starttls": "not offered", "login_clear": login}
    return {"starttls": "offered" if login == "offered" else "required", "login_clear": login}


def name_product(facts: dict[str, Any], *, sure: bool) -> Match:
    shown = " ".join([facts["greeting"], *facts.get("capabilities", facts.get("capabilities_tls", []))])
    distribution = re.search(r"\((Debian|Ubuntu)\)", shown)
    if distribution:
        facts["os"] = distribution[1]
    for pattern, product, vendor in PRODUCTS:
        found = re.search(pattern, shown, re.IGNORECASE)
        if found:
            version = found[1] if found.re.groups else None
            return Match("pop3", product, version, facts, (name_cpe(*vendor, version),) if vendor else (), sure)
    return Match("pop3", facts=facts, sure=sure)


PROBE = Probe("pop3", ports=(110, 995), run=run, speaks_first=True)
