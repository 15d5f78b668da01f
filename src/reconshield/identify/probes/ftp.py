"""FTP (RFC 959, 2389, 4217): greeting, features, whether TLS is offered and whether a login without it is refused.

No login is begun below level 4, so there a server that offers TLS is not known to insist on it. At level 4 `USER` with an empty
name makes one that insists say so, then one anonymous session is tried (RFC 1635) and left at once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, Reconnect, StartTls, Tell, Where, first_line, name_cpe

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"\(vsFTPd (\d[\w.]*)\)", "vsftpd", ("vsftpd_project", "vsftpd")),
    (r"ProFTPD (?:(\d[\w.]*) )?Server", "ProFTPD", ("proftpd", "proftpd")),
    (r"Welcome to Pure-FTPd(?: (\d[\w.]*))?", "Pure-FTPd", ("pureftpd", "pure-ftpd")),
    (r"FileZilla Server(?: version)?(?: (\d[\w.]*))?", "FileZilla Server", ("filezilla-project", "filezilla_server")),
    (r"Microsoft FTP Service", "Microsoft FTP Service", None),
    (r"pyftpdlib (?:based FTP server|(\d[\w.]*) ready)", "pyftpdlib", None),
    (r"FTP server \(GNU inetutils (\d[\w.]*)\)", "GNU inetutils ftpd", ("gnu", "inetutils")),
    (r"Serv-U FTP Server v?(\d[\w.]*)", "Serv-U", ("solarwinds", "serv-u")),
    (r"(?:bftpd|Bftpd) (\d[\w.]*)", "Bftpd", None),
    (r"Twisted (\d[\w.]*) FTP Server", "Twisted FTP", None),
    (r"\(MikroTik (\d[\w.]*)\)", "MikroTik RouterOS FTP", None),
    (r"Wing FTP Server(?: (\d[\w.]*))? ready", "Wing FTP Server", ("wftpserver", "wing_ftp_server")),
)
WANTS_TLS = re.compile(rb"\b(?:tls|ssl|encrypt\w*|cleartext|auth first)\b", re.IGNORECASE)
NOT_FTP = re.compile(r"\bE?SMTP\b|\bLMTP\b|\bNNTP\b|\bPOP3?\b|\bIMAP", re.IGNORECASE)


def whole_reply(data: bytes) -> bool:
    """A reply has ended: its last line has a space after the three digits (RFC 959 §4.2)."""
    if not data.endswith(b"\n"):
        return False
    last = data.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
    return re.match(rb"\d{3}(?: |\r?$)", last) is not None or not re.match(rb"\d{3}-", data)


def run() -> Dialogue:
    hello = yield Read(until=whole_reply)
    greeting = hello.decode("latin-1")
    if not re.match(r"(?:220|120|421|530)[ -]", greeting) or NOT_FTP.search(greeting):
        return None
    if not hello.startswith(b"220"):
        return _match(greeting, {}, sure=False) if re.search(r"\bFTP\b", greeting) else None
    reply = yield Ask(b"FEAT\r\n", until=whole_reply)
    if not _speaks_ftp(greeting, reply):
        return None
    features = _features(reply)
    facts: dict[str, Any] = {"capabilities": features} if features else {}
    if (yield Where()).tls:
        return _match(greeting, facts)
    if not any(feature.startswith("AUTH") and "TLS" in feature for feature in features) and not WANTS_TLS.search(reply):
        return _match(greeting, facts | {"starttls": "not offered", "login_clear": "offered"})
    return _match(greeting, facts | _judge_clear(reply) | (yield from _ask_for_tls()))


def _ask_for_tls() -> Any:
    """Does TLS work? Some servers end the connection after they have refused a command."""
    facts: dict[str, Any] = {}
    reply = yield Ask(b"AUTH TLS\r\n", until=whole_reply)
    if not reply and (yield Reconnect()):
        yield Read(until=whole_reply)
        reply = yield Ask(b"AUTH TLS\r\n", until=whole_reply)
    if not reply.startswith(b"234"):
        return facts | {"starttls_failed": True}
    upgraded = yield StartTls()
    return facts | ({"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded})


def _judge_clear(reply: bytes) -> dict[str, Any]:
    """What an answer to FEAT, or to `USER` without a name, says about a login in clear text."""
    if reply[:1] in (b"4", b"5") and WANTS_TLS.search(reply):
        return {"starttls": "required", "login_clear": "refused"}
    return {"starttls": "offered", "login_clear": "offered" if reply.startswith(b"331") else "unknown"}


def _speaks_ftp(greeting: str, reply: bytes) -> bool:
    """211 and 530 before a login are FTP's; a plain refusal proves it only under a greeting that says FTP."""
    if reply.startswith((b"211", b"530")):
        return True
    return bool(re.match(rb"[25]\d\d[ -]", reply)) and re.search(r"FTP", greeting, re.IGNORECASE) is not None


def _features(reply: bytes) -> list[str]:
    """The lines of a 211 reply, upper case (RFC 2389 §3.2)."""
    if not reply.startswith(b"211"):
        return []
    lines = reply.decode("latin-1").splitlines()
    return [text.strip().upper() for text in lines if text.startswith(" ") and text.strip()][:64]


def _match(greeting: str, facts: dict[str, Any], *, sure: bool = True) -> Match:
    facts = {"greeting": first_line(greeting.encode("latin-1"))} | facts
    distribution = re.search(r"\((Debian|Ubuntu)\)", greeting)
    if distribution:
        facts["os"] = distribution[1]
    for pattern, product, vendor in PRODUCTS:
        found = re.search(pattern, greeting)
        if found:
            version = found[1] if found.re.groups else None
            cpe = (name_cpe(*vendor, version),) if vendor else ()
            return Match("ftp", product, version, facts, cpe, sure)
    return Match("ftp", facts=facts, sure=sure)


def assess(match: Match) -> Dialogue:
    """Where TLS is offered: is a login refused without it? Then one anonymous session (RFC 1635 §2.2), and out."""
    facts = dict(match.facts)
    hello = yield Read(until=whole_reply)
    if facts.get("login_clear") == "unknown":
        facts |= _judge_clear((yield Ask(b"USER \r\n", until=whole_reply)))
        if not (yield Reconnect()):
            return replace(match, facts=facts)
        yield Read(until=whole_reply)
    reply = yield Ask(b"USER anonymous\r\n", until=whole_reply)
    private = re.search(rb"\bno anonymous login", hello, re.IGNORECASE) is not None
    if reply.startswith(b"331") and private:
        facts |= {"login_clear": "offered"} if facts.get("login_clear") == "unknown" else {}
    elif reply.startswith(b"331"):
        reply = yield Ask(b"PASS guest@\r\n", until=whole_reply)
        if reply.startswith(b"530") and facts.get("login_clear") == "unknown":
            facts["login_clear"] = "offered"  # it took a password in clear, and judged it
    if reply:
        facts["anonymous"] = reply.startswith(b"230")
    yield Tell(b"QUIT\r\n")
    return replace(match, facts=facts)


PROBE = Probe("ftp", ports=(21, 990, 2121), run=run, speaks_first=True, assess=assess)
