"""An nft rule from JSON in nft's own words, for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconshield.text import printable

LONGEST = 160
SIGNS = {"==": "", "in": "", "!": "! "}


def rule_text(expressions: list[Any], comment: str = "") -> str:
    """`tcp dport 22 accept`; counters are left out, what is not known stands as its name."""
    words = [say(expression) for expression in expressions]
    if comment:
        words.append(f'comment "{comment}"')
    return printable(" ".join(word for word in words if word), LONGEST)


def say(part: Any) -> str:
    """A statement, an operand or a value."""
    if isinstance(part, list):
        return ",".join(say(one) for one in part)
    if not isinstance(part, dict):
        return "" if part is None else str(part)
    if len(part) != 1:
        return "…"
    kind, inner = next(iter(part.items()))
    words = WORDS.get(kind)
    try:
        return words(inner) if words else str(kind)
    except (AttributeError, KeyError, TypeError):
        return str(kind)


def say_match(part: Any) -> str:
    operator = str(part.get("op", "=="))
    return f"{say(part['left'])} {SIGNS.get(operator, operator + ' ')}{say(part['right'])}"


def say_meta(part: Any) -> str:
    key = str(part["key"])
    return key if key in {"iifname", "oifname", "iif", "oif"} else f"meta {key}"


def say_connection(part: Any) -> str:
    return " ".join(str(word) for word in ("ct", part.get("dir"), part["key"]) if word)


def say_set(part: Any) -> str:
    pairs = [": ".join(say(side) for side in one) if isinstance(one, list) else say(one) for one in part]
    return "{ " + ", ".join(pairs) + " }"


def say_limit(part: Any) -> str:
    return f"limit rate {'over ' if part.get('inv') else ''}{part.get('rate')}/{part.get('per', 'second')}"


def say_translation(kind: str) -> Callable[[Any], str]:
    def words(part: Any) -> str:
        address = say(part.get("addr")) if part else ""
        port = f":{say(part['port'])}" if part and "port" in part else ""
        return f"{kind} to {address}{port}" if address or port else kind

    return words


def joined(sign: str) -> Callable[[Any], str]:
    return lambda part: sign.join(say(one) for one in part)


WORDS: dict[str, Callable[[Any], str]] = {
    "match": say_match,
    "counter": lambda _: "",
    "log": lambda _: "log",
    "jump": lambda part: f"jump {part['target']}",
    "goto": lambda part: f"goto {part['target']}",
    "vmap": lambda part: f"{say(part['key'])} vmap {say(part['data'])}",
    "map": lambda part: f"{say(part['key'])} map {say(part['data'])}",
    "mangle": lambda part: f"{say(part['key'])} set {say(part['value'])}",
    "reject": lambda part: f"reject with {part['type']}" if part and "type" in part else "reject",
    "limit": say_limit,
    "xt": lambda part: f"xt {part['type']} {part['name']}",
    "dnat": say_translation("dnat"),
    "snat": say_translation("snat"),
    "redirect": say_translation("redirect"),
    "payload": lambda part: f"{part['protocol']} {part['field']}",
    "meta": say_meta,
    "ct": say_connection,
    "fib": lambda part: f"fib {say(part['flags']).replace(',', ' . ')} {part['result']}",
    "set": say_set,
    "prefix": lambda part: f"{part['addr']}/{part['len']}",
    "range": joined("-"),
    "concat": joined(" . "),
    "&": joined(" & "),
    "|": joined(" | "),
    "elem": lambda part: say(part["val"]),
}
