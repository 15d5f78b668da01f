"""`nft -j list ruleset`: tables, chains, sets, maps and rules of nftables as JSON (libnftables-json(5)).

Of a table that iptables-nft manages, nft shows some conditions only by name (`xt`); those rules are doubtful here, and
`iptables-save` tells them in whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconshield.addresses.intervals import Ranges
from reconshield.errors import UserError
from reconshield.firewall.marks import possible_marks
from reconshield.firewall.nft.match import NamedSet, Sets, bare, members, read_match, read_tuple, read_value
from reconshield.firewall.nft.operands import WITH_PORTS, Operand, looks_past_ports, read_operand
from reconshield.firewall.nft.words import rule_text
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import (
    UNTRACK,
    Action,
    Box,
    Branch,
    Chain,
    Change,
    Fault,
    Field,
    Kind,
    Rule,
    Ruleset,
    complement,
    name_range,
)
from reconshield.firewall.values import Faulty, join, join_boxes, read_network, read_number

FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6), "netdev": (4, 6)}
PLAIN = {
    "accept": Kind.ACCEPT,
    "drop": Kind.DROP,
    "reject": Kind.REJECT,
    "return": Kind.RETURN,
    "continue": Kind.CONTINUE,
    "snat": Kind.TRANSLATE,
    "masquerade": Kind.TRANSLATE,
}
HARMLESS = frozenset(
    {"counter", "log", "comment", "dup", "flow", "ct helper", "ct timeout", "ct expectation", "secmark", "last"}
)
"""Statements that neither decide nor change what later rules look at."""
CONDITIONS = frozenset({"limit", "quota", "ct count", "meter"})
"""Statements that end a rule depending on what came before, which a ruleset does not tell."""
XT_HARMLESS = frozenset({"LOG", "NFLOG", "CHECKSUM", "TCPMSS", "TRACE"})
WITHOUT_PORTS: Box = ((Field.PROTOCOL, complement(Field.PROTOCOL, WITH_PORTS)),)
PORTLESS = "it looks for ports in a protocol that has none"
ALL_BITS = (1 << 32) - 1
MARKS = {"meta": Field.MARK, "ct": Field.CONNECTION_MARK}


def recognises(text: str) -> bool:
    return text.lstrip()[:1] == "{" and '"nftables"' in text[:4096]


def read(text: str) -> tuple[Ruleset, ...]:
    """One ruleset: the whole of what nft lists."""
    try:
        listed = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            "this JSON of nft cannot be read", where=str(error)[:100], hint="write it with: nft -j list ruleset"
        ) from None
    objects = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    tables = Tables(possible_marks(all_changes(objects)))
    for item in objects:
        tables.add(item)
    return (tables.ruleset(),)


@dataclass
class Base:
    """A chain as it is listed, before its rules are known."""

    family: str
    table: str
    spec: Mapping[str, Any]
    rules: list[Rule] = field(default_factory=list)


class Tables:
    """The objects of a listing, gathered; rules are read at once, for nft lists sets before them."""

    def __init__(self, marks: tuple[int, ...]) -> None:
        self.marks = marks
        self.chains: dict[str, Base] = {}
        self.sets: dict[tuple[str, str], dict[str, NamedSet]] = {}
        self.faults: list[Fault] = []
        self.notes: dict[str, None] = {}

    def add(self, item: Mapping[str, Any]) -> None:
        kind, part = next(iter(item.items())) if len(item) == 1 else ("", None)
        if not isinstance(part, dict) or kind == "metainfo":
            return
        family, table = str(part.get("family")), str(part.get("table"))
        if kind in {"chain", "rule"} and family not in FAMILIES:
            self.notes[f"tables of family {family} do not see routed packets and are left out"] = None
        elif kind in {"set", "map"}:
            self._add_set(part, family, table)
        elif kind == "chain":
            self.chains[f"{family} {table} {part.get('name')}"] = Base(family, table, part)
        elif kind == "rule":
            self._add_rule(part, family, table)

    def _add_set(self, part: Mapping[str, Any], family: str, table: str) -> None:
        elements = part.get("elem", [])
        flags = str(part.get("flags"))
        moving = "dynamic" in flags or "timeout" in flags
        named = NamedSet(tuple(elements) if isinstance(elements, list) else (elements,), moving)
        self.sets.setdefault((family, table), {})[str(part.get("name"))] = named
        if moving:
            held = len(named.elements)
            self.notes[f"set {part.get('name')} changes by itself; judged with the {held} elements it has in the file"] = None

    def _add_rule(self, part: Mapping[str, Any], family: str, table: str) -> None:
        name = f"{family} {table} {part.get('chain')}"
        base = self.chains.setdefault(name, Base(family, table, {"name": part.get("chain")}))
        expressions = part.get("expr")
        expressions = expressions if isinstance(expressions, list) else [expressions]
        where = f"{name}, handle {part.get('handle')}"
        reading = RuleReading(Sets(self.sets.get((family, table), {}), self.marks), lambda chain: f"{family} {table} {chain}")
        reading.read(expressions)
        text = rule_text(expressions, str(part.get("comment") or ""))
        base.rules.append(Rule(len(base.rules) + 1, where, text, tuple(reading.branches)))
        self.faults += [Fault(where, f"{why}: {text}") for why in reading.faults[:1]]

    def ruleset(self) -> Ruleset:
        chains = tuple(self._chain(name, base) for name, base in self.chains.items())
        return Ruleset("nft-json", chains, "", tuple(self.faults), tuple(self.notes))

    def _chain(self, name: str, base: Base) -> Chain:
        spec = base.spec
        hook, priority = str(spec.get("hook") or ""), spec.get("prio", 0)
        device = spec.get("dev")
        devices = device if isinstance(device, list) else [device] if device else []
        scope: Box = ((Field.IN_INTERFACE, tuple(sorted(name_range(str(each)) for each in devices))),) if devices else ()
        return Chain(
            name,
            tuple(base.rules),
            FAMILIES[base.family],
            hook,
            priority if isinstance(priority, int) else 0,
            Kind.DROP if spec.get("policy") == "drop" else Kind.ACCEPT,
            nat=spec.get("type") == "nat",
            scope=scope,
        )


class RuleReading:
    """One rule, statement by statement: conditions narrow `boxes`, a verdict makes a branch of what is left.

    `loose` are packets for which a condition on ports reads bytes that are none.
    """

    def __init__(self, sets: Sets, chain_name: Callable[[str], str]) -> None:
        self.sets = sets
        self.chain_name = chain_name
        self.boxes: list[Box] = [()]
        self.loose: list[Box] = []
        self.doubt = ""
        self.branches: list[Branch] = []
        self.faults: list[str] = []

    def read(self, expressions: list[Any]) -> None:
        for expression in expressions:
            kind, part = next(iter(expression.items())) if isinstance(expression, dict) and len(expression) == 1 else ("", None)
            try:
                self.statement(str(kind), part)
            except Faulty as error:
                self.not_understood(str(kind), str(error))
            except (AttributeError, KeyError, TypeError, IndexError, ValueError):
                self.not_understood(str(kind), f"`{str(kind)[:30]}` is not of the form that nft writes")

    def not_understood(self, kind: str, why: str) -> None:
        """A condition leaves a doubt; anything else may have decided, so that what follows is not known."""
        self.faults.append(why)
        if kind == "match":
            self.doubt = self.doubt or why
        else:
            self.emit(Action(Kind.UNKNOWN, why=why))

    def emit(self, action: Action, boxes: list[Box] | None = None) -> None:
        chosen = self.boxes if boxes is None else boxes
        if chosen:
            self.branches.append(Branch(tuple(chosen), action, self.doubt))
        if self.loose:
            self.branches.append(Branch(tuple(self.loose), action, PORTLESS))

    def statement(self, kind: str, part: Any) -> None:
        if kind in HARMLESS:
            return
        if kind == "match":
            self.narrow(part["left"], read_match(part, self.sets))
        elif kind in PLAIN:
            self.emit(Action(PLAIN[kind]))
        elif kind in {"jump", "goto"}:
            self.emit(Action(Kind(kind), target=self.chain_name(str(part["target"]))))
        elif kind == "vmap":
            self.verdict_map(part)
        elif kind in {"dnat", "redirect"}:
            self.translation(part if isinstance(part, dict) else {}, local=kind == "redirect")
        elif kind == "mangle":
            self.change(part)
        elif kind == "notrack":
            self.emit(Action(Kind.CONTINUE, sets=(UNTRACK,)))
        elif kind in CONDITIONS or (kind == "set" and isinstance(part, dict) and part.get("stmt")):
            self.doubt = self.doubt or f"`{kind}` depends on what came before"
        elif kind == "set":
            return  # an element is added to a set
        elif kind == "xt":
            self.foreign(part)
        else:
            raise Faulty(f"`{kind[:30]}` is not supported")

    def narrow(self, left: Any, conditions: list[Box]) -> None:
        """One more condition holds from here on."""
        past = looks_past_ports(left)
        self.loose = (join(self.boxes + self.loose, [WITHOUT_PORTS])) if past else join(self.loose, conditions)
        self.boxes = join(self.boxes, conditions)

    def foreign(self, part: Any) -> None:
        """A condition or target of iptables that nft shows only by its name."""
        name, what = str(part.get("name")), str(part.get("type"))
        if what == "target" and name in XT_HARMLESS:
            return
        why = f"nft does not show what `xt {what} {name}` says; give iptables-save as well"
        self.faults.append(why)
        if what == "match":
            if name != "comment":
                self.doubt = self.doubt or why
            else:
                self.faults.pop()
        else:
            self.emit(Action(Kind.UNKNOWN, why=why))

    def cases(self, key: Any, data: Any) -> Iterator[tuple[list[Box], Any]]:
        """The elements of a map: where each matches, and its value."""
        parts = key["concat"] if isinstance(key, dict) and "concat" in key else [key]
        operands = [read_operand(part) for part in parts]
        for element in members(data, self.sets):
            if not isinstance(element, list) or len(element) != 2:
                raise Faulty("an element of a map is no pair")
            own = bare(element[0])
            boxes = read_tuple(operands, own) if len(operands) > 1 else only(operands[0], own)
            yield join(self.boxes, boxes), element[1]

    def verdict_map(self, part: Any) -> None:
        if looks_past_ports(part["key"]):
            self.loose = join(self.boxes + self.loose, [WITHOUT_PORTS])
        for boxes, verdict in self.cases(part["key"], part["data"]):
            kind, inner = next(iter(verdict.items()))
            if kind in {"jump", "goto"}:
                self.emit(Action(Kind(kind), target=self.chain_name(str(inner["target"]))), boxes)
            elif kind in PLAIN:
                self.emit(Action(PLAIN[kind]), boxes)
            else:
                self.emit(Action(Kind.UNKNOWN, why=f"the verdict `{kind[:30]}` is not supported"), boxes)

    def translation(self, part: Mapping[str, Any], *, local: bool) -> None:
        """Where a destination is translated to; with a map, one case an element."""
        address, port = part.get("addr"), part.get("port")
        by_map = next((each["map"] for each in (address, port) if isinstance(each, dict) and "map" in each), None)
        if by_map is None:
            self.emit(translate(address, port, local=local))
            return
        if address is not None and port is not None:
            raise Faulty("a translation with a map and a fixed part is not supported")
        for boxes, value in self.cases(by_map["key"], by_map["data"]):
            pair = value["concat"] if isinstance(value, dict) and "concat" in value else None
            if pair is not None:
                self.emit(translate(pair[0], pair[1], local=False), boxes)
            else:
                self.emit(translate(value, None, local=False) if port is None else translate(None, value, local=local), boxes)

    def change(self, part: Any) -> None:
        """`meta mark set`, `ct mark set`; other fields that are set are none that rules here look at, but packets' own are."""
        key = part["key"]
        kind, inner = next(iter(key.items()))
        if kind == "payload" and str(inner.get("field")) in {"saddr", "daddr", "sport", "dport", "flags"}:
            raise Faulty(f"`{inner.get('protocol')} {inner.get('field')} set` is not supported")
        if kind in MARKS and inner.get("key") == "mark":
            self.emit(Action(Kind.CONTINUE, sets=(mark_change(MARKS[kind], part.get("value")),)))


def only(operand: Operand, value: Any) -> list[Box]:
    joined = join_boxes(operand.needs, ((operand.field, read_value(operand, value)),))
    return [joined] if joined is not None else []


def mark_change(mark: Field, value: Any) -> Change:
    """A number, the other mark, or some bits of either; any value where it is computed in another way."""
    try:
        source, keep, bits = mark_terms(value)
    except (Faulty, AttributeError, KeyError, TypeError, ValueError):
        return Change(mark, None)
    return Change(mark, bits, keep, source)


def mark_terms(value: Any) -> tuple[Field | None, int, int]:
    """The mark that is looked at, the bits that are kept of it, and those that are turned over."""
    if isinstance(value, int):
        return None, 0, read_number(value, ALL_BITS)
    kind, part = next(iter(value.items()))
    if kind in MARKS and part["key"] == "mark":
        return MARKS[kind], ALL_BITS, 0
    source, keep, bits = mark_terms(part[0])
    number = read_number(part[1], ALL_BITS)
    if kind == "&":
        return source, keep & number, bits & number
    if kind == "|":
        return source, keep & ~number, bits | number
    if kind == "^":
        return source, keep, bits ^ number
    raise Faulty(f"the operation {kind[:10]}")


def all_changes(listed: Iterable[Any]) -> Iterator[Change]:
    """What all rules of a listing do to marks."""
    for item in listed:
        expressions = item["rule"].get("expr") if isinstance(item.get("rule"), dict) else None
        for expression in expressions if isinstance(expressions, list) else []:
            part = expression.get("mangle") if isinstance(expression, dict) else None
            key = part.get("key") if isinstance(part, dict) else None
            for kind, mark in MARKS.items():
                if isinstance(key, dict) and isinstance(part, dict) and key.get(kind) == {"key": "mark"}:
                    yield mark_change(mark, part.get("value"))


def translate(address: Any, port: Any, *, local: bool) -> Action:
    return Action(
        Kind.TRANSLATE,
        address=() if address is None else read_target(address),
        port=() if port is None else read_ports(port),
        local=local,
    )


def read_target(value: Any) -> Ranges:
    if isinstance(value, dict):
        ends = value.get("range")
        if ends is None:
            return read_network(f"{value['prefix']['addr']}/{value['prefix']['len']}")
        return read_network(f"{ends[0]}-{ends[1]}")
    return read_network(str(value))


def read_ports(value: Any) -> Ranges:
    ends = value["range"] if isinstance(value, dict) else [value, value]
    return ((read_number(ends[0], 65535), read_number(ends[1], 65535)),)


READER = Reader("nft-json", "nft -j list ruleset", recognises, read)
