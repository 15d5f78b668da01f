"""What a firewall would do, as data: every format that `readers` knows becomes these records, and `evaluate` judges them.

All filters work alike once three things are said: packets pass *base chains* on a *hook* in order of priority; within a chain
the first rule that matches and decides wins; an accept ends its base chain only, a drop is final. Security groups, network
access lists and network policies are chains of that kind too.

A packet is a point in a space with one axis for each `Field`, and every axis is numbered: addresses in the 128-bit space of
`addresses`, protocols, ports, states, and interface names as the number that their bytes spell (so `wg*` is a range). What a
rule matches is a set of *boxes*: ranges on some axes, everything on the others. So questions about networks and port ranges
are answered exactly, not by trying packets.

What a reader does not understand stays where it stood, as a `doubt` or an action `UNKNOWN`; nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property

from reconshield.addresses.intervals import Ranges, subtract
from reconshield.addresses.sets import ALL_LAST, V4_FIRST, V4_LAST


class Field(IntEnum):
    """What rules look at: the axes of the space of packets."""

    FAMILY = 0
    PROTOCOL = 1
    PORT = 2
    SOURCE = 3
    DESTINATION = 4
    SOURCE_PORT = 5
    IN_INTERFACE = 6
    OUT_INTERFACE = 7
    STATE = 8
    FLAGS = 9
    ICMP = 10
    """Type and code of ICMP and ICMPv6, as type * 256 + code."""
    MARK = 11
    CONNECTION_MARK = 12
    SOURCE_KIND = 13
    DESTINATION_KIND = 14
    ORIGINAL_DESTINATION = 15
    """What the packet was sent to before an address translation: equal to DESTINATION where there was none."""
    ORIGINAL_PORT = 16
    TRANSLATED = 17
    """1 when the destination was translated (`ct status dnat`)."""


class State(IntEnum):
    """The state of a packet's connection, as conntrack sees it."""

    INVALID = 0
    NEW = 1
    ESTABLISHED = 2
    RELATED = 3
    UNTRACKED = 4


class AddressKind(IntEnum):
    """The route type of an address as the routing table of the host has it (`fib daddr type`, `-m addrtype`)."""

    LOCAL = 0
    UNICAST = 1
    BROADCAST = 2
    MULTICAST = 3
    OTHER = 4


NAME_BYTES = 15
"""Interface names are at most so long (IFNAMSIZ less its end)."""

LAST = {
    Field.FAMILY: 6,
    Field.PROTOCOL: 255,
    Field.PORT: 65535,
    Field.SOURCE: ALL_LAST,
    Field.DESTINATION: ALL_LAST,
    Field.SOURCE_PORT: 65535,
    Field.IN_INTERFACE: (1 << 8 * NAME_BYTES) - 1,
    Field.OUT_INTERFACE: (1 << 8 * NAME_BYTES) - 1,
    Field.STATE: max(State),
    Field.FLAGS: 255,
    Field.ICMP: 65535,
    Field.MARK: (1 << 32) - 1,
    Field.CONNECTION_MARK: (1 << 32) - 1,
    Field.SOURCE_KIND: max(AddressKind),
    Field.DESTINATION_KIND: max(AddressKind),
    Field.ORIGINAL_DESTINATION: ALL_LAST,
    Field.ORIGINAL_PORT: 65535,
    Field.TRANSLATED: 1,
}
FIRST_FAMILY = 4

IPV4: Ranges = ((V4_FIRST, V4_LAST),)
IPV6: Ranges = ((0, V4_FIRST - 1), (V4_LAST + 1, ALL_LAST))
FAMILY_ADDRESSES = {4: IPV4, 6: IPV6}

Box = tuple[tuple[Field, Ranges], ...]
"""Ranges on some fields, each field once; all others are free."""


def everything(field: Field) -> Ranges:
    """All values that a field can have."""
    return ((FIRST_FAMILY if field is Field.FAMILY else 0, LAST[field]),)


def complement(field: Field, ranges: Ranges) -> Ranges:
    return subtract(everything(field), ranges)


def name_range(pattern: str, wildcard: str = "*") -> tuple[int, int]:
    """An interface name as a number; one that ends in the wildcard (`*` in nft, `+` in iptables) as the range it means."""
    open_ended = pattern.endswith(wildcard)
    octets = (pattern[:-1] if open_ended else pattern).encode()[:NAME_BYTES]
    first = int.from_bytes(octets.ljust(NAME_BYTES, b"\0"))
    return first, int.from_bytes(octets.ljust(NAME_BYTES, b"\xff")) if open_ended else first


class Kind(StrEnum):
    """What happens to a packet that a rule matches."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    JUMP = "jump"
    GOTO = "goto"
    RETURN = "return"
    CONTINUE = "continue"
    TRANSLATE = "translate"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Change:
    """A field that a rule sets: to `value`, or to the bits of `source` that `keep` has, xor `value`. A value of None is any."""

    field: Field
    value: int | None
    keep: int = 0
    source: Field | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a rule does.

    `target` is a chain; `address` and `port` are where TRANSLATE leads, () = as it was; `local` means an address of this host;
    `sets` are fields that change; `why` says what is not known.
    """

    kind: Kind
    target: str = ""
    address: Ranges = ()
    port: Ranges = ()
    local: bool = False
    sets: tuple[Change, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """One case of a rule (a verdict map has many): where any of the boxes, which do not overlap, matches, the action is done.

    `doubt` says why it may also not match (a limit, a condition that is not understood).
    """

    boxes: tuple[Box, ...]
    action: Action
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a chain: its number from 1, where it stands in the file, its text for people, its cases in order."""

    number: int
    where: str
    text: str
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in order. A base chain has a hook, and `policy` is what happens at its end; other chains are jumped to.

    `scope` limits the packets that pass it at all. `stateless` chains see the reply too, as a packet of its own.
    """

    name: str
    rules: tuple[Rule, ...]
    families: tuple[int, ...] = (4, 6)
    hook: str = ""
    priority: int = 0
    policy: Kind = Kind.ACCEPT
    nat: bool = False
    scope: Box = ()
    stateless: bool = False
    remark: str = ""
    """Why the policy is what it is, where a file does not say so itself."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that could not be read or is not supported: where it stands and what it is."""

    where: str
    what: str


@dataclass(frozen=True)
class Ruleset:
    """All chains of one filtering point, in the order of the file.

    `name` says whose filter it is where a file has several (a security group, the pods of a policy), else it is empty;
    `families` are those that the file speaks of, so that silence about one is not taken for consent.
    """

    format: str
    chains: tuple[Chain, ...]
    name: str = ""
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    families: tuple[int, ...] = (4, 6)

    @cached_property
    def by_name(self) -> dict[str, Chain]:
        return {chain.name: chain for chain in self.chains}

    @property
    def rule_count(self) -> int:
        return sum(len(chain.rules) for chain in self.chains)


UNTRACK = Change(Field.STATE, State.UNTRACKED)


def on_hook(chains: Iterable[Chain], hook: str, family: int) -> list[Chain]:
    """The base chains of a hook that packets of a family pass, in the order in which they do."""
    return sorted((c for c in chains if c.hook == hook and family in c.families), key=lambda chain: chain.priority)
