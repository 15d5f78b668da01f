"""A user's own fingerprints in the form of Rapid7's recog (XML), read and weighed before they may look at what strangers say.

    FILE.xml ──defusedxml──▸ Fingerprint (kind of text, pattern, product, version group) ──weigh──▸ kept, or rejected and why

Python's regular expressions can take exponential time on a text made for that, and a banner is such a text for whoever writes
it. So a pattern is kept only if it passes both of these, and then sees `LONGEST` characters at most:

1. *Structure*: no unbounded repeat inside another unbounded repeat, save where the inner group begins with a separator that its
   own repeats cannot match, as in `\\d+(?:\\.\\d+)*`; no alternatives inside an unbounded repeat; at most `MOST_REPEATS` of
   them in a row, which leaves a low polynomial.
2. *Measurement*: texts that grow step by step, made from the pattern's own examples and the usual pumps, must be matched within
   `SLOW` seconds. The steps are small, so that even an exponential pattern is found out before it costs a second.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LONGEST = 512
SLOW = 0.005
MOST_REPEATS = 4
LARGEST_FILE = 32 * 1024 * 1024
STEPS = (8, 16, 20, 24, 32, 64, 128, 256, LONGEST)
PUMPS = "a0 .-/A_("
FLAGS = {"REG_ICASE": re.IGNORECASE, "REG_MULTILINE": re.MULTILINE, "REG_DOT_NEWLINE": re.DOTALL}

KINDS = {
    "http_header.server": ("http", "server"),
    "html_title": ("http", "title"),
    "ssh.banner": ("ssh", "greeting"),
    "ftp.banner": ("ftp", "greeting"),
    "smtp.banner": ("smtp", "greeting"),
    "pop3.banner": ("pop3", "greeting"),
    "imap4.banner": ("imap", "greeting"),
    "telnet.banner": ("telnet", "greeting"),
    "snmp.sys_description": ("snmp", "description"),
    "mysql.banner": ("mysql", "version"),
    "sip_header.user_agent": ("sip", "user_agent"),
    "sip_header.server": ("sip", "server"),
}
"""recog's name for a kind of text -> our service and the fact that holds it."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One pattern and what it shows. `version_group` is 0 where it shows none; `version` is a constant then, or empty."""

    kind: str
    pattern: str
    flags: int
    description: str
    product: str
    version: str = ""
    version_group: int = 0
    cpe: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A pattern that is not used, and why."""

    description: str
    reason: str


def read_recog(text: bytes) -> Iterator[Fingerprint | Rejected]:
    """The fingerprints of one file, in its order. Raises `ValueError` where it is no recog XML."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root = fromstring(text)
    except (ParseError, DefusedXmlException, ValueError) as problem:
        raise ValueError(f"it is not plain XML: {str(problem) or type(problem).__name__}") from problem
    if root.tag != "fingerprints":
        raise ValueError(f"its first element is <{root.tag}>, not <fingerprints>")
    kind = root.get("matches", "")
    for element in root.iter("fingerprint"):
        yield read_element(kind, element)


def read_element(kind: str, element: Any) -> Fingerprint | Rejected:
    description = " ".join((element.findtext("description") or "").split())[:200] or "without a description"
    if kind not in KINDS:
        return Rejected(description, f"{kind or 'nothing'} is not looked at")
    pattern = element.get("pattern", "")
    flags = sum(FLAGS.get(word, 0) for word in element.get("flags", "").split(","))
    values = {param.get("name", ""): param for param in element.iter("param")}
    product = _value(values.get("service.product"))
    vendor = _value(values.get("service.vendor"))
    if not product:
        return Rejected(description, "it names no product")
    examples = [example.text or "" for example in element.iter("example")][:8]
    if reason := weigh(pattern, flags, examples):
        return Rejected(description, reason)
    stated = values.get("service.version")
    group = int(stated.get("pos", "0")) if stated is not None and stated.get("pos", "0").isdigit() else 0
    if group > re.compile(pattern, flags).groups:
        return Rejected(description, f"the pattern has no group {group}")
    name = product if not vendor or vendor.lower() in product.lower() else f"{vendor} {product}"
    return Fingerprint(kind, pattern, flags, description, name, _value(stated), group, _value(values.get("service.cpe23")))


def _value(param: Any) -> str:
    return "" if param is None else str(param.get("value") or "")[:200]


def weigh(pattern: str, flags: int, examples: list[str]) -> str | None:
    """Why a pattern may not be used; None if it may."""
    if not pattern or len(pattern) > LONGEST * 2:
        return "the pattern is empty or too long"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError, Warning) as problem:
        return f"Python cannot read the pattern: {problem}"
    return judge_structure(pattern) or measure(compiled, examples)


def judge_structure(pattern: str) -> str | None:
    """Look at the repeats of a pattern without running it."""
    stack: list[list[str]] = [[]]
    repeats = 0
    for word in words(pattern):
        if word.startswith("("):
            stack.append([word])
            continue
        if word == CLOSE:
            inner = stack.pop() if len(stack) > 1 else []
            stack[-1].append("".join(inner) + word)
            continue
        if REPEAT.fullmatch(word):
            repeats += UNBOUNDED.fullmatch(word) is not None
            if reason := judge_repeated(stack[-1][-1] if stack[-1] else ""):
                return reason
        stack[-1].append(word)
    return f"more than {MOST_REPEATS} unbounded repeats" if repeats > MOST_REPEATS else None


CLOSE = ")"
UNBOUNDED = re.compile(r"[*+][?+]?|\{\d*,\}\??")
REPEAT = re.compile(UNBOUNDED.pattern + r"|\{\d+(?:,\d+)?\}\??|\{,\d+\}\??")
WORD = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\((?:\?(?:P<\w+>|[:=!]|<[=!]|[aiLmsux-]+[:)]?))?|\{\d*,?\d*\}\??|[*+?][?+]?|.", re.DOTALL
)
"""A character, a class, the opening of a group, or a repeat."""


def words(pattern: str) -> Iterator[str]:
    return (found[0] for found in WORD.finditer(pattern))


def judge_repeated(atom: str) -> str | None:
    """What may stand before a repeat: one character or class, or a group that its separator makes unambiguous."""
    if not atom.endswith(")") or atom.endswith(r"\)"):
        return None
    body = re.sub(r"^\((?:\?(?:P<\w+>|:))?", "", atom)[:-1]
    if "|" in body:
        return "alternatives inside a repeat"
    if not re.search(r"[*+?]|\{\d*,", re.sub(r"\\.", "x", body)):
        return None
    separator = re.match(r"\\?([-.,:;/_ ])", body)
    simple = re.fullmatch(r"(?:\\d|\[0-9\]|\[\\d\]|\[a-z\]|\[A-Z\])[+*]?", body[separator.end() :]) if separator else None
    return None if simple else "a repeat inside another"


def measure(compiled: re.Pattern[str], examples: list[str]) -> str | None:
    """Run the pattern on texts that grow, made of its examples and its own characters, up to the first that takes too long."""
    starts = list(dict.fromkeys(["", *examples[:1], *(example[: len(example) // 2] for example in examples[:1])]))
    pumps = list(dict.fromkeys(PUMPS + re.sub(r"[^ -~]", "", compiled.pattern)))[:40]
    for size in STEPS:
        for text in (f"{start}{pump * size}"[:LONGEST] + end for start in starts for pump in pumps for end in ("", "\0")):
            begun = time.perf_counter()
            compiled.search(text)
            if time.perf_counter() - begun > SLOW and repeated_slow(compiled, text):
                return f"it takes too long on a text of {len(text)} characters"
    return None


def repeated_slow(compiled: re.Pattern[str], text: str) -> bool:
    """Whether it is the pattern, not the machine, that was slow: the quickest of three."""
    taken = []
    for _ in range(3):
        begun = time.process_time()
        compiled.search(text)
        taken.append(time.process_time() - begun)
    return min(taken) > SLOW
