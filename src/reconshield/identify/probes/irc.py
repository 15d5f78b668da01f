"""IRC: the capabilities that a server lists before anybody is registered (IRCv3, "Capability Negotiation").

Version and server name come only to a registered nick. Registering one is a session under a name, so it is not done at any
level: they are told only where the server volunteers them.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, StartTls, Tell, Where, first_line

PREFIX = re.compile(r"(?::(\S{1,100}) )?(?:(NOTICE|CAP|\d{3})) (\S+) (.*)")
VENDORS = {
    "inspircd.org": "InspIRCd",
    "unrealircd.org": "UnrealIRCd",
    "solanum.chat": "Solanum",
    "ergo.chat": "Ergo",
    "znc.in": "ZNC",
}
"""Capabilities are named after the maker's domain."""
OWN_WORDS = (
    (r"BitlBee-IRCd|\bBitlBee\b", "BitlBee"),
    (r"451 \S{1,30} :Connection not registered\b", "ngIRCd"),
    (r"451 \S{1,30} (?:VERSION )?:You have not registered\.", "InspIRCd"),
)
"""How servers say that nobody has registered yet, where the words are one maker's alone."""
LOOKING_UP = re.compile(r":?[A-Za-z0-9.-]{0,100} ?NOTICE (?:\*|AUTH) :\*\*\* ")
"""What a server says unasked while it looks up who comes."""


def run() -> Dialogue:
    # servers without capabilities keep silent on the first; the second is refused to everybody who has not registered
    answer = yield Ask(b"CAP LS 302\r\nVERSION\r\n", until=_listed)
    place = yield Where()
    lines = [found for text in answer.decode("latin-1").splitlines()[:50] if (found := PREFIX.fullmatch(text.strip()))]
    said = place.heard + answer
    # it looks up who comes, and answers once it has
    waiting = Match("irc", facts={"greeting": first_line(said)[:200]}) if LOOKING_UP.match(said.decode("latin-1")) else None
    if not lines or not all(found[1] or found[2] == "NOTICE" for found in lines):
        return waiting if not lines else None
    caps = [word for found in lines if found[2] == "CAP" for word in re.sub(r"^LS (?:\* )?:?", "", found[4]).split()]
    if not caps and not {"421", "451"} & {found[2] for found in lines}:
        return waiting
    facts: dict[str, Any] = {"greeting": first_line(answer)[:200], "capabilities": caps[:64]}
    name = next((found[1] for found in lines if found[1]), None)
    if name and "." in name.rstrip("."):
        facts["hostname"] = name
    if not place.tls:
        facts |= yield from _try_tls(caps)
    yield Tell(b"QUIT\r\n")
    return Match("irc", name_product(said.decode("latin-1"), caps), facts=facts)


def name_product(text: str, caps: list[str]) -> str | None:
    vendor = next((VENDORS[word.split("/")[0]] for word in caps if word.split("/")[0] in VENDORS), None)
    return vendor or next((product for words, product in OWN_WORDS if re.search(words, text)), None)


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


PROBE = Probe("irc", ports=(6667, 6668, 6697, 7000), run=run)
