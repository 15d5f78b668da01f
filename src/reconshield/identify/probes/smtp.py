"""SMTP (RFC 5321, 3207, 4954): greeting, extensions, and the extensions again inside TLS. No mail is begun, nobody logs in.

`AUTH` in the list before TLS means that a password may be sent in clear; a server that wants TLS first hides it (RFC 4954 §4).
A relay that takes no logins at all offers neither, and its `login_clear` is "not offered".
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, StartTls, Tell, Where, first_line, name_cpe

EHLO = b"EHLO reconshield.invalid\r\n"  # RFC 2606 §2: a name that never exists

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"ESMTP Postfix(?: \((\d[\w.-]*)\))?", "Postfix smtpd", ("postfix", "postfix")),
    (r"ESMTP Exim (\d[\w.]*)", "Exim smtpd", ("exim", "exim")),
    (r"Microsoft ESMTP MAIL Service ready", "Microsoft Exchange smtpd", ("microsoft", "exchange_server")),
    (r"Microsoft ESMTP MAIL Service, Version: (\d[\w.]*)", "Microsoft ESMTP", None),
    (r"ESMTP Sendmail (\d+\.\d+\.\d+)", "Sendmail", ("proofpoint", "sendmail")),
    (r"ESMTP OpenSMTPD", "OpenSMTPD", ("openbsd", "opensmtpd")),
    (r"ESMTP Haraka(?:/(\d[\w.]*))?", "Haraka smtpd", ("haraka_project", "haraka")),
    (r"Kerio Connect (\d[\w.]*)", "Kerio Connect smtpd", None),
    (r"ESMTP MDaemon (\d[\w.]*)", "MDaemon smtpd", ("altn", "mdaemon")),
    (r"hMailServer", "hMailServer smtpd", ("hmailserver", "hmailserver")),
    (r"Python SMTP (?:proxy version )?(\d[\w.]*)", "Python smtpd", None),
    (r"Zimbra", "Zimbra smtpd", ("zimbra", "collaboration")),
    (r"Dovecot", "Dovecot submissiond", ("dovecot", "dovecot")),
    (r"qmail|netqmail", "qmail smtpd", None),
)


def whole_reply(data: bytes) -> bool:
    """The last line has a space, or nothing, after its three digits (RFC 5321 §4.2.1)."""
    if not data.endswith(b"\n"):
        return False
    last = data.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
    return re.match(rb"\d{3}-", last) is None


def run() -> Dialogue:
    hello = yield Read(until=whole_reply)
    if not re.match(rb"(?:220|421|554)[ -]", hello) or re.match(rb"\d{3}[^\r\n]{0,300}\b(?:FTP|LMTP)\b", hello):
        return None
    if not hello.startswith(b"220"):  # refuses to talk to us at all
        return (
            name_product(hello, {}, sure=False) if re.search(rb"SMTP|mail|spam|blocked|relay", hello, re.IGNORECASE) else None
        )
    inside = (yield Where()).tls
    reply = yield Ask(EHLO, until=whole_reply)
    if not reply.startswith((b"250", b"502 5.5.1", b"500 5.5.1")) and not (reply[:1] == b"5" and b"SMTP" in hello):
        return None
    if not reply.startswith(b"250") and b"Dovecot" in hello:
        return None  # knows no EHLO: its LMTP server, which greets in the same words
    extensions = read_extensions(reply)
    facts: dict[str, Any] = {"capabilities_tls" if inside else "capabilities": extensions} if extensions else {}
    facts["mechanisms_tls" if inside else "mechanisms_clear"] = mechanisms(extensions)
    if not inside:
        facts |= {"starttls": "not offered", "login_clear": "offered" if mechanisms(extensions) else "not offered"}
        if "STARTTLS" in extensions:
            facts |= {"starttls": "offered"} | (yield from turn_to_tls())
            if facts["login_clear"] == "not offered" and facts.get("mechanisms_tls"):
                facts["starttls"] = "required"
    yield Tell(b"QUIT\r\n")
    return name_product(hello, facts, sure=True)


def turn_to_tls() -> Any:
    reply = yield Ask(b"STARTTLS\r\n", until=whole_reply)
    upgraded = (yield StartTls()) if reply.startswith(b"220") else None
    if upgraded is None:
        return {"starttls_failed": True}
    facts: dict[str, Any] = {"starttls_tls": upgraded}
    extensions = read_extensions((yield Ask(EHLO, until=whole_reply)))
    if extensions:
        facts |= {"capabilities_tls": extensions, "mechanisms_tls": mechanisms(extensions)}
    return facts


def read_extensions(reply: bytes) -> list[str]:
    """The lines after the first of a 250 reply, upper case (RFC 5321 §4.1.1.1)."""
    if not reply.startswith(b"250"):
        return []
    lines = reply.decode("latin-1").splitlines()[1:]
    return [text[4:].strip().upper() for text in lines if text.startswith("250") and text[4:].strip()][:64]


def mechanisms(extensions: list[str]) -> list[str]:
    """Of `AUTH PLAIN LOGIN`, and of the old `AUTH=PLAIN`."""
    found = [word for entry in extensions if re.match(r"AUTH[ =]", entry) for word in entry[5:].split()]
    return list(dict.fromkeys(found))


def name_product(hello: bytes, facts: dict[str, Any], *, sure: bool) -> Match:
    greeting = first_line(hello)
    facts = {"greeting": greeting} | facts
    host = re.match(r"220[ -]([A-Za-z0-9.-]{1,253}\.[A-Za-z0-9-]{1,63})\s", greeting)
    if host:
        facts["hostname"] = host[1].lower()
    distribution = re.search(r"(Debian|Ubuntu)", greeting)
    if distribution:
        facts["os"] = distribution[1]
    revision = re.search(r"Sendmail \d[\w.]*/\d[\w.]*/(Debian-[\w.+~-]{1,40})", greeting)
    if revision:
        facts["package"] = revision[1]
    for pattern, product, vendor in PRODUCTS:
        found = re.search(pattern, greeting)
        if found:
            version = found[1] if found.re.groups else None
            return Match("smtp", product, version, facts, (name_cpe(*vendor, version),) if vendor else (), sure)
    return Match("smtp", facts=facts, sure=sure)


PROBE = Probe("smtp", ports=(25, 465, 587, 2525), run=run, speaks_first=True)
