"""Access lists that are not of a host: what cloud and cluster readers have in common.

Security groups, network access lists and network policies become chains on the hooks `input` and `output` of what they protect.
Those that follow connections begin with a rule that lets established ones through.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

from reconshield.addresses.intervals import Ranges, merge
from reconshield.errors import UserError
from reconshield.firewall.ruleset import Action, Box, Branch, Chain, Fault, Field, Kind, Rule, State
from reconshield.firewall.values import all_addresses, family_of, join, read_network, read_protocol
from reconshield.text import printable

FOLLOWS: Box = ((Field.STATE, ((State.ESTABLISHED, State.RELATED),)),)
HOOKS = {"in": "input", "out": "output"}
PEERS = {"in": Field.SOURCE, "out": Field.DESTINATION}
"""Where the other side stands, by direction."""


class AccessList:
    """A list while it is read: rules in the order in which they count."""

    def __init__(self, name: str, direction: str, policy: Kind, *, stateful: bool = True, remark: str = "") -> None:
        self.name = name
        self.direction = direction
        self.policy = policy
        self.stateful = stateful
        self.remark = remark
        self.rules: list[Rule] = []
        self.faults: list[Fault] = []
        if stateful:
            self.add("", "packets of established connections", [FOLLOWS], Kind.ACCEPT)

    def add(self, where: str, text: str, boxes: list[Box], kind: Kind, doubt: str = "") -> None:
        """One rule at the end."""
        branches = (Branch(tuple(boxes), Action(kind), doubt),) if boxes else ()
        self.rules.append(Rule(len(self.rules) + (0 if self.stateful else 1), where, printable(text, 160), branches))

    def doubtful(self, where: str, text: str, boxes: list[Box], kind: Kind, why: str) -> None:
        """A rule of which it is not known what it matches: named as a fault too."""
        self.faults.append(Fault(where, f"{why}: {printable(text, 160)}"))
        self.add(where, text, boxes, kind, why)

    def not_understood(self, where: str, text: str, why: str) -> None:
        """A rule of which nothing is known: from here on nobody knows."""
        self.faults.append(Fault(where, f"{why}: {printable(text, 160)}"))
        unknown = Branch(((),), Action(Kind.UNKNOWN, why=why))
        self.rules.append(Rule(len(self.rules) + (0 if self.stateful else 1), where, printable(text, 160), (unknown,)))

    def chain(self) -> Chain:
        hook = HOOKS[self.direction]
        return Chain(
            self.name, tuple(self.rules), (4, 6), hook, 0, self.policy, stateless=not self.stateful, remark=self.remark
        )


def load(text: str, command: str) -> Any:
    """JSON as a cloud's tool writes it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError("this JSON cannot be read", where=str(error)[:100], hint=f"write it with: {command}") from None


def objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; whatever else stands in it is no rule of any cloud."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """A text, or a list of them."""
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []


def combine_conditions(*conditions: list[Box]) -> list[Box]:
    """The boxes in which one of each condition holds."""
    return reduce(join, conditions, [()])


def networks(field: Field, cidrs: Iterable[str]) -> list[Box]:
    """One box a family for a list of networks."""
    by_family: dict[int, list[tuple[int, int]]] = {}
    for cidr in cidrs:
        ranges = read_network(cidr)
        by_family.setdefault(family_of(ranges), []).extend(ranges)
    return [(family_box(family), (field, merge(ranges))) for family, ranges in by_family.items()]


def family_box(family: int) -> tuple[Field, Ranges]:
    return Field.FAMILY, ((family, family),)


def everywhere(field: Field, families: Iterable[int] = (4, 6)) -> list[Box]:
    return [(family_box(family), (field, all_addresses(family))) for family in families]


def protocol(value: Any) -> list[Box]:
    """A protocol by name or number; -1, `all` and `*` are any. ICMP alone is that of either family."""
    name = str(value).strip().lower()
    if name in {"-1", "all", "*", "any"}:
        return [()]
    if name == "icmp":
        return [((Field.PROTOCOL, ((1, 1), (58, 58))),)]
    number = read_protocol(name)
    return [((Field.PROTOCOL, ((number, number),)),)]


def has_ports(value: Any) -> bool:
    """Whether a protocol has ports, so that a range of them means something."""
    return str(value).strip().lower() in {"tcp", "udp", "6", "17", "sctp", "132"}


def port_box(field: Field, ranges: Ranges) -> list[Box]:
    return [((field, ranges),)]


def numbered(items: Iterable[Any], place: str) -> Iterator[tuple[str, Any]]:
    """Items with the place where they stand: `IpPermissions[2]`."""
    for number, item in enumerate(items):
        yield f"{place}[{number}]", item
