"""IMAP (RFC 9051, 3501, 2971, 2595): greeting, capabilities, the server's name for itself, and the same inside TLS.

`LOGINDISABLED` says that no password is taken in clear (RFC 3501 §6.2.3). The server's `ID` is asked only where it is offered;
ours is `NIL`.
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
    Until,
    Where,
    first_line,
    line,
    name_cpe,
)

PRODUCTS: tuple[tuple[str, str, tuple[str, str]], ...] = (
    (r"Dovecot", "Dovecot imapd", ("dovecot", "dovecot")),
    (r"Cyrus IMAP\S* v?(\d[\w.]*)?", "Cyrus imapd", ("cyrus", "imap")),
    (r"Courier-IMAP", "Courier imapd", ("courier-mta", "courier")),
    (r"Microsoft Exchange(?: Server \d{4})? IMAP4", "Microsoft Exchange imapd", ("microsoft", "exchange_server")),
    (r"Zimbra(?: IMAP4rev1)?", "Zimbra imapd", ("zimbra", "collaboration")),
    (r"IMAP4rev1 (20\d\d[\w.]*) at ", "UW imapd", ("university_of_washington", "uw-imap")),
    (r"hMailServer", "hMailServer imapd", ("hmailserver", "hmailserver")),
    (r"Gimap", "Google Gimap", ("google", "gmail")),
)


def tagged(tag: bytes) -> Until:
    """The answer has ended: a line with our tag."""
    return lambda data: data.endswith(b"\n") and data[data.rstrip(b"\r\n").rfind(b"\n") + 1 :].startswith(tag + b" ")


def run() -> Dialogue:
    hello = yield Read(until=line)
    if not re.match(rb"\* (?:OK|PREAUTH|BYE)\b", hello, re.IGNORECASE):
        return None
    inside = (yield Where()).tls
    listing = yield Ask(b"a1 CAPABILITY\r\n", until=tagged(b"a1"))
    capabilities = read_capabilities(listing)
    if not capabilities:  # says no more than its greeting, which has the form of IMAP alone
        return name_product({"greeting": first_line(hello)}, {}, sure=False) if not listing else None
    facts: dict[str, Any] = {"greeting": first_line(hello)}
    facts["capabilities_tls" if inside else "capabilities"] = capabilities
    facts["mechanisms_tls" if inside else "mechanisms_clear"] = mechanisms(capabilities)
    if hello[2:9].upper() == b"PREAUTH":
        facts["auth"] = "none"
    names = yield from ask_id(capabilities, b"a2")
    if not inside:
        facts |= judge_clear(capabilities)
        if "STARTTLS" in capabilities:
            facts |= yield from turn_to_tls()
    yield Tell(b"a9 LOGOUT\r\n")
    return name_product(facts, names, sure=True)


def ask_id(capabilities: list[str], tag: bytes) -> Any:
    """What the server calls itself (RFC 2971 §3.1), where it offers to say."""
    if "ID" not in capabilities:
        return {}
    reply = yield Ask(tag + b" ID NIL\r\n", until=tagged(tag))
    found = re.search(r"^\* ID \(([^\r\n]{0,2000})\)", reply.decode("latin-1"), re.MULTILINE | re.IGNORECASE)
    words = re.findall(r'"([^"]{0,200})"', found[1]) if found else []
    return {key.lower(): value for key, value in zip(words[::2], words[1::2], strict=False)}


def turn_to_tls() -> Any:
    reply = yield Ask(b"a3 STARTTLS\r\n", until=tagged(b"a3"))
    upgraded = (yield StartTls()) if re.search(rb"^a3 OK", reply, re.MULTILINE | re.IGNORECASE) else None
    if upgraded is None:
        return {"starttls_failed": True}
    facts: dict[str, Any] = {"starttls_tls": upgraded}
    capabilities = read_capabilities((yield Ask(b"a4 CAPABILITY\r\n", until=tagged(b"a4"))))
    if capabilities:
        facts |= {"capabilities_tls": capabilities, "mechanisms_tls": mechanisms(capabilities)}
    return facts


def read_capabilities(listing: bytes) -> list[str]:
    """The words of `* CAPABILITY ...`, upper case, first come first."""
    found = re.search(rb"^\* CAPABILITY ([^\r\n]{1,4000})", listing, re.MULTILINE | re.IGNORECASE)
    return list(dict.fromkeys(found[1].decode("latin-1").upper().split()))[:128] if found else []


def mechanisms(capabilities: list[str]) -> list[str]:
    return [word[5:] for word in capabilities if word.startswith("AUTH=")]


def judge_clear(capabilities: list[str]) -> dict[str, Any]:
    disabled = "LOGINDISABLED" in capabilities and not {"PLAIN", "LOGIN"} & set(mechanisms(capabilities))
    login = "refused" if disabled else "offered"
    if "STARTTLS" not in capabilities:
        return {"starttls": "not offered", "login_clear": login}
    return {"starttls": "required" if disabled else "offered", "login_clear": login}


def name_product(facts: dict[str, Any], names: dict[str, str], *, sure: bool) -> Match:
    """Product from what the server calls itself, else from its greeting."""
    if names:
        facts["id"] = names
    own = names.get("name", "")
    shown = f"{own} {names.get('vendor', '')} {facts['greeting']}"
    distribution = re.search(r"\((Debian|Ubuntu)\)", facts["greeting"])
    if distribution:
        facts["os"] = distribution[1]
    for pattern, product, vendor in PRODUCTS:
        found = re.search(pattern, shown, re.IGNORECASE)
        if found:
            version = (found[1] if found.re.groups else None) or stated_version(names)
            return Match("imap", product, version, facts, (name_cpe(*vendor, version),), sure)
    return Match("imap", own or None, stated_version(names), facts, (), sure)


def stated_version(names: dict[str, str]) -> str | None:
    """The upstream part; Cyrus tells Debian's own version behind it: `3.6.1-Debian-3.6.1-4+deb12u5`."""
    found = re.match(r"v?(\d[\w.]{0,40})", names.get("version", ""))
    return found[1] if found else None


PROBE = Probe("imap", ports=(143, 993), run=run, speaks_first=True)
