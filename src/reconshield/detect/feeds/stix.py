"""STIX 2.1 bundles: the indicators among the objects, their patterns as alternatives of address, port and name.

A pattern is `[comparisons]`, joined by OR; inside, AND and OR of comparisons with `=`, `IN` and `ISSUBSET`. An alternative that
also asks for something that flows do not show is left out: without that part it would say more than its author did.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from reconshield.detect.feeds.record import Record, read_time
from reconshield.detect.flows import Bad

TOKEN = re.compile(r"\s*('(?:[^'\\]|\\.)*'|[a-z0-9-]+:[\w.\[\]*'-]+?(?=[\s=!<>]|$)|[\[\](),]|[!<>=]+|-?\d+|[A-Za-z]+|\S)")
ROLES = {
    "ipv4-addr:value": "address",
    "ipv6-addr:value": "address",
    "network-traffic:dst_ref.value": "address",
    "domain-name:value": "domain",
    "url:value": "url",
    "network-traffic:dst_port": "port",
    "network-traffic:protocols[*]": "transport",
    "network-traffic:protocols[0]": "transport",
    "network-traffic:dst_ref.type": "type",
}
MOST_WAYS = 10_000
MOST_DEPTH = 50

Way = tuple[tuple[str, str], ...]
"""One alternative: roles with values that all must hold."""


def read(objects: list[Any]) -> Iterator[Record | Bad]:
    for number, each in enumerate(objects, 1):
        if not isinstance(each, dict):
            yield Bad(f"object {number}", "this is no object")
        elif each.get("type") == "indicator":
            yield from read_indicator(str(each.get("id") or f"object {number}")[:80], each)


def read_indicator(where: str, each: dict[str, Any]) -> Iterator[Record | Bad]:
    try:
        label = str(each.get("name") or each.get("description") or "")[:120]
        if each.get("revoked"):
            yield Record(where, "", unused="revoked")
            return
        if each.get("pattern_type", "stix") != "stix":
            yield Record(where, "", unused=f"a pattern in {str(each['pattern_type'])[:20]}")
            return
        expires = read_time(each.get("valid_until"))
        for way in Pattern(str(each.get("pattern") or "")).read():
            yield record_of(where, way, label, expires)
    except ValueError as error:
        yield Bad(where, str(error))


def record_of(where: str, way: Way, label: str, expires: float | None) -> Record:
    roles = dict(way)
    if strange := next((role for role, _ in way if role not in ROLES.values()), None):
        return Record(where, "", unused=f"{strange} is nothing that flows show")
    named = [role for role in ("address", "domain", "url") if role in roles]
    if not named:
        return Record(where, "", unused="a port alone would hit everybody")
    if len(named) > 1 or len(roles) < len(way):
        return Record(where, "", unused="several names at once are not compared")
    port, transport = roles.get("port", ""), roles.get("transport", "").lower()
    if port and not (port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"{port[:20]!r} is no port")
    kind = "" if named[0] == "address" else named[0]
    if kind and port:
        return Record(where, "", unused="a name with a port is not compared")
    if transport not in {"", "tcp", "udp"}:
        return Record(where, "", unused=f"{transport[:20]} is nothing that conversations are told apart by")
    return Record(where, roles[named[0]], label, expires, int(port or 0), transport, kind)


class Pattern:
    """A pattern, read from the left into its alternatives."""

    def __init__(self, text: str) -> None:
        self._tokens = [found[1] for found in TOKEN.finditer(text)]
        self._at = 0

    def read(self) -> list[Way]:
        ways = self._either("[", 0)
        if self._peek():
            raise ValueError(f"the pattern goes on with {self._peek()[:20]!r}, which is not compared")
        return ways

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self, wanted: str = "") -> str:
        found = self._peek()
        if not found or (wanted and found != wanted):
            raise ValueError(f"the pattern has {found[:20]!r} where {wanted or 'more'} should be")
        self._at += 1
        return found

    def _either(self, opens: str, depth: int) -> list[Way]:
        """Alternatives joined by OR: of observations (`opens` is a bracket) or of comparisons."""
        if depth > MOST_DEPTH:
            raise ValueError("the pattern is nested too deeply")
        ways = self._part(opens, depth)
        while self._peek() == "OR":
            self._next()
            ways += self._part(opens, depth)
        return ways

    def _part(self, opens: str, depth: int) -> list[Way]:
        if not opens:
            return self._all_of(depth)
        return self._inside("(", ")", opens, depth) if self._peek() == "(" else self._inside("[", "]", "", depth)

    def _inside(self, begin: str, end: str, opens: str, depth: int) -> list[Way]:
        self._next(begin)
        ways = self._either(opens, depth + 1)
        self._next(end)
        return ways

    def _all_of(self, depth: int) -> list[Way]:
        ways = self._one_of(depth)
        while self._peek() == "AND":
            self._next()
            more = self._one_of(depth)
            if len(ways) * len(more) > MOST_WAYS:
                raise ValueError("the pattern has too many alternatives")
            ways = [one + two for one in ways for two in more]
        return ways

    def _one_of(self, depth: int) -> list[Way]:
        return self._inside("(", ")", "", depth) if self._peek() == "(" else self._comparison()

    def _comparison(self) -> list[Way]:
        path, operator = self._next(), self._next()
        if ":" not in path:
            raise ValueError(f"the pattern has {path[:20]!r} where a property should be")
        values = self._values() if operator == "IN" else [self._next()]
        role = ROLES.get(path, path) if operator in {"=", "IN", "ISSUBSET"} else f"{path} {operator}"
        return [((role, plain(value)),) for value in values]

    def _values(self) -> list[str]:
        self._next("(")
        values = [self._next()]
        while self._peek() == ",":
            self._next()
            values.append(self._next())
        self._next(")")
        return values


def plain(value: str) -> str:
    """A value without its quotes and escapes."""
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith("'") else value
