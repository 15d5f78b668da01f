"""IRC: the capabilities that a server lists before anybody is registered (IRCv3, "Capability Negotiation").

Version and server name come only to a registered nick, so below level 4 they are told only where the server volunteers them. At
level 4 one nick is registered without a password (RFC 2812 §3.1, the session that IRC has for everybody), the version is read,
and the connection is left at once; no channel is joined and nobody is spoken to.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, StartTls, Tell, Where, first_line, name_cpe

PREFIX = re.compile(r"(?::(\S{1,100}) )?(?:(NOTICE|CAP|\d{3})) (\S+) (.*)")
VENDORS = {"inspircd.org": "InspIRCd", "unrealircd.org": "UnrealIRCd", "solanum.chat": "Solanum", "ergo.chat": "Ergo"}
"""Capabilities are named after the maker's domain."""

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"\bInspIRCd(?:-(\d+\.\d[\w.]{0,20}))?", "InspIRCd", ("inspircd", "inspircd")),
    (r"\bUnrealIRCd?-(\d[\w.-]{1,20})", "UnrealIRCd", ("unrealircd", "unrealircd")),
    (r"\bBitlBee(?:-| )(\d[\w.]{0,20})", "BitlBee", ("bitlbee", "bitlbee")),
    (r"\bngircd-(\d[\w.]{0,20})", "ngIRCd", ("barton", "ngircd")),
    (r"\bsolanum-(\d[\w.]{0,20})", "Solanum", None),
    (r"\bergo-v?(\d[\w.]{0,20})", "Ergo", None),
)


def run() -> Dialogue:
    # servers without capabilities keep silent on the first; the second is refused to everybody who has not registered
    answer = yield Ask(b"CAP LS 302\r\nVERSION\r\n", until=_listed)
    lines = [found for text in answer.decode("latin-1").splitlines()[:50] if (found := PREFIX.fullmatch(text.strip()))]
    if not lines or not all(found[1] or found[2] == "NOTICE" for found in lines):
        return None
    caps = [word for found in lines if found[2] == "CAP" for word in re.sub(r"^LS (?:\* )?:?", "", found[4]).split()]
    texts = " ".join(found[4] for found in lines)
    if not caps and "421" not in [found[2] for found in lines] and "451" not in [found[2] for found in lines]:
        return None
    facts: dict[str, Any] = {"greeting": first_line(answer)[:200], "capabilities": caps[:64]}
    name = next((found[1] for found in lines if found[1]), None)
    if name and "." in name.rstrip("."):
        facts["hostname"] = name
    place = yield Where()
    if not place.tls:
        facts |= yield from _try_tls(caps)
    yield Tell(b"QUIT\r\n")
    bitlbee = re.search(r"BitlBee-IRCd", texts)
    vendor = next((VENDORS[word.split("/")[0]] for word in caps if word.split("/")[0] in VENDORS), None)
    return Match("irc", "BitlBee" if bitlbee else vendor, facts=facts)


def assess(match: Match) -> Dialogue:
    """Registration, answered by the numerics 001 to 004; a PING in between wants its word back."""
    answer = yield Ask(b"NICK reconshield\r\nUSER reconshield 0 * :reconshield\r\n", until=_welcomed)
    cookie = re.search(rb"(?:\A|\n)PING (:?[\x21-\x7e]{1,60})", answer)
    if cookie and b" 001 " not in answer:
        answer += yield Ask(b"PONG " + cookie[1] + b"\r\n", until=_welcomed)
    facts: dict[str, Any] = dict(match.facts)
    if b" 001 " not in answer:
        refused = re.search(rb" 464 |ERROR :[^\r\n]{0,200}(?:password|not authori[sz]ed)", answer, re.IGNORECASE)
        return replace(match, facts=facts | ({"anonymous": False, "auth": "required"} if refused else {}))
    facts |= {"anonymous": True, "auth": "none"}
    answer += yield Ask(b"VERSION\r\n", until=lambda data: b" 351 " in data and data.endswith(b"\n"))
    yield Tell(b"QUIT\r\n")
    return _name(replace(match, facts=facts), answer.decode("latin-1"))


def _name(match: Match, text: str) -> Match:
    """From the numerics 002 ("running version X"), 004 (server, version) and 351 (version)."""
    for pattern, product, vendor in PRODUCTS:
        found = re.search(pattern, text)
        if found:
            cpe = (name_cpe(*vendor, found[1]),) if vendor else ()
            return replace(match, product=product, version=found[1], cpe=cpe)
    return match


def _welcomed(data: bytes) -> bool:
    """The numeric 004 ends what a server says of itself; a PING wants an answer first; an ERROR is the end."""
    return data.endswith(b"\n") and re.search(rb" (?:004|43[236]|46[45]) |(?:\A|\n)(?:PING|ERROR) ", data) is not None


def _try_tls(caps: list[str]) -> Any:
    """The capability `tls` (IRCv3, "tls Extension"): 670 says go on, 691 that it failed."""
    if "tls" not in caps:
        login = any(word.split("=")[0] == "sasl" for word in caps)
        return {"starttls": "not offered", "login_clear": "offered" if login else "unknown"}
    answer = yield Ask(b"STARTTLS\r\n", until=lambda data: data.endswith(b"\n"))
    if not re.search(rb" 670 ", answer):
        return {"starttls": "not offered", "login_clear": "offered"}
    upgraded = yield StartTls()
    facts: dict[str, Any] = {"starttls": "offered", "login_clear": "unknown"}
    return facts | ({"starttls_failed": True} if upgraded is None else {"starttls_tls": upgraded})


def _listed(data: bytes) -> bool:
    """The refusal of the second command (421 unknown, 451 not registered) ends the answer."""
    last = data.rstrip(b"\r\n").rsplit(b"\n", 1)[-1]
    return data.endswith(b"\n") and re.search(rb" (?:421|451) ", last) is not None


PROBE = Probe("irc", ports=(6667, 6668, 6697, 7000), run=run, assess=assess)
