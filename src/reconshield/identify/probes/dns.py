"""DNS (RFC 1035) over TCP and UDP: the version that a server tells in the CHAOS class, and whether it would recurse.

Over TCP every message is led by its length in two bytes. At level 3 nothing is asked to be looked up: recursion desired (RD) is
off. At level 4 one recursive question for the root's name servers shows whether strangers are served, and how much an answer
grows compared with its question.
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any, NamedTuple

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, name_cpe, prefixed

IDENTITY = 0x5253
IN, CHAOS, NS, TXT = 1, 3, 2, 16
QR, RD, RA = 0x8000, 0x0100, 0x0080
VERSION_BIND = b"\x07version\x04bind\0"
ROOT = b"\0"
REFUSED = 5

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"dnsmasq(?:-pi-hole)?(?:-v?(\d[\w.]*))?", "dnsmasq", ("thekelleys", "dnsmasq")),
    (r"unbound(?: (\d[\w.]*))?", "Unbound", ("nlnetlabs", "unbound")),
    (r"NSD (\d[\w.]*)", "NSD", ("nlnetlabs", "nsd")),
    (r"PowerDNS Recursor(?: (\d[\w.-]*))?", "PowerDNS Recursor", ("powerdns", "recursor")),
    (r"PowerDNS Authoritative Server(?: (\d[\w.-]*))?", "PowerDNS Authoritative Server", ("powerdns", "authoritative_server")),
    (r"Knot DNS(?: (\d[\w.]*))?", "Knot DNS", None),
    (r"CoreDNS-?(\d[\w.]*)?", "CoreDNS", None),
    (r"Microsoft DNS(?: (\d+\.\d+\.\d+))?", "Microsoft DNS", None),
    (r"(?:BIND )?(9\.\d+\.\d+(?:-S\d+|-P\d+)?)(?:[-+ ].*)?$", "ISC BIND", ("isc", "bind")),
)


class Answer(NamedTuple):
    """What is read of a response: its flags, the return code, the number of answers and the first text record."""

    flags: int
    code: int
    answers: int
    text: str | None


def run() -> Dialogue:
    """Over TCP."""
    version = yield from _ask_tcp(VERSION_BIND, TXT, CHAOS)
    root = yield from _ask_tcp(ROOT, NS, IN)
    return _match(version, root)


def run_udp() -> Dialogue:
    """Over UDP: without an answer to the first question the second decides, since some servers drop CHAOS."""
    version = read_answer((yield Ask(write_question(VERSION_BIND, TXT, CHAOS))), VERSION_BIND)
    root = read_answer((yield Ask(write_question(ROOT, NS, IN))), ROOT)
    return _match(version, root)


def assess(match: Match) -> Dialogue:
    """Over TCP: one question that the server must look up for us."""
    answer = yield Ask(_frame(write_question(ROOT, NS, IN, RD)), until=prefixed(2))
    return _judge_recursion(match, read_answer(answer[2:], ROOT))


def assess_udp(match: Match) -> Dialogue:
    """Over UDP the sizes count too: whoever forges the sender's address multiplies his traffic by their quotient."""
    question = write_question(ROOT, NS, IN, RD)
    answer = yield Ask(question)
    match = _judge_recursion(match, read_answer(answer, ROOT))
    return replace(match, facts=dict(match.facts) | {"request_bytes": len(question), "answer_bytes": len(answer)})


def _ask_tcp(name: bytes, kind: int, space: int) -> Any:
    answer = yield Ask(_frame(write_question(name, kind, space)), until=prefixed(2))
    return read_answer(answer[2:], name)


def _frame(message: bytes) -> bytes:
    return struct.pack("!H", len(message)) + message


def write_question(name: bytes, kind: int, space: int, flags: int = 0) -> bytes:
    """One question (RFC 1035 §4.1): id, flags, counts 1 0 0 0, name, type, class."""
    return struct.pack("!6H", IDENTITY, flags, 1, 0, 0, 0) + name + struct.pack("!2H", kind, space)


def read_answer(data: bytes, name: bytes) -> Answer | None:
    """A response to our question: same id, QR set, and where the question is repeated, the same name."""
    if len(data) < 12:
        return None
    identity, flags, questions, answers = struct.unpack("!4H", data[:8])
    if identity != IDENTITY or not flags & QR or flags & 0x7800 or questions > 1:
        return None
    if questions and data[12 : 12 + len(name)].lower() != name:
        return None
    start = 12 + (len(name) + 4 if questions else 0)
    return Answer(flags, flags & 15, answers, _read_text(data, start) if answers else None)


def _read_text(data: bytes, at: int) -> str | None:
    """The first string of a text record at `at`; its name is a pointer or labels."""
    while at < len(data) and 0 < data[at] < 0xC0:
        at += 1 + data[at]
    at += 2 if at < len(data) and data[at] >= 0xC0 else 1
    if at + 11 > len(data) or data[at : at + 2] != struct.pack("!H", TXT):
        return None
    return data[at + 11 : at + 11 + data[at + 10]].decode("latin-1")


def _match(version: Answer | None, root: Answer | None) -> Match | None:
    seen = version or root
    if seen is None:
        return None
    facts: dict[str, Any] = {"recursion_offered": bool((root or seen).flags & RA)}
    text = version.text if version else None
    if not text:
        return Match("dns", facts=facts)
    facts["version_bind"] = text
    package = re.search(r"-(\d[\w.]*?~?(?:deb|\+deb|ubuntu)[\w.~+]*)-?(Debian|Ubuntu)?", text)
    if package:
        facts |= {"package": package[1], "os": package[2] or ("Ubuntu" if "ubuntu" in package[1] else "Debian")}
    for pattern, product, vendor in PRODUCTS:
        found = re.match(pattern, text)
        if found:
            return Match("dns", product, found[1], facts, (name_cpe(*vendor, found[1]),) if vendor else ())
    return Match("dns", facts=facts)


def _judge_recursion(match: Match, answer: Answer | None) -> Match:
    """Recursion is open when it is available to us and the question was not refused; a failed look-up was still tried."""
    if answer is None:
        return match
    return replace(match, facts=dict(match.facts) | {"recursion": bool(answer.flags & RA) and answer.code != REFUSED})


PROBE = Probe("dns", ports=(53, 5353), run=run, assess=assess)
UDP = Probe("dns", ports=(53,), run=run_udp, transport="udp", assess=assess_udp)
