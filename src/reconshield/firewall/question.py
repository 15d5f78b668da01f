"""What is asked of a ruleset, what is known of the host around it, and the shape of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconshield.addresses import AddressSet
from reconshield.addresses.intervals import Ranges, intersect
from reconshield.firewall.regions import EVERYTHING, Region
from reconshield.firewall.ruleset import (
    FAMILY_ADDRESSES,
    AddressKind,
    Chain,
    Field,
    Rule,
    State,
    complement,
    everything,
    name_range,
)
from reconshield.firewall.values import PROTOCOLS

CLIENT_PORTS: Ranges = ((1024, 65535),)
"""Where connections come from unless asked otherwise: clients do not use the ports of the administrator."""
NOT_LOOPBACK = complement(Field.IN_INTERFACE, (name_range("lo"),))
SYN: Ranges = ((0x02, 0x02),)


@dataclass(frozen=True, slots=True)
class Link:
    """An interface of the host: its name, its own addresses, the networks that are reached by it."""

    name: str
    addresses: AddressSet
    networks: AddressSet


@dataclass(frozen=True, slots=True)
class World:
    """What is known of the host that filters. Without links nothing is known: then an address that was not translated is taken
    for one of the host's own, and a translated one for one behind it.
    """

    links: tuple[Link, ...] = ()

    @property
    def own(self) -> AddressSet:
        return AddressSet(tuple(pair for link in self.links for pair in link.addresses.ranges))


@dataclass(frozen=True, slots=True)
class Question:
    """May these sources reach these ports? One family, one protocol, a new connection unless `state` says otherwise.

    `destinations` None is "whatever address the host has". `interface` is where packets come in; None is any but loopback.
    `through` asks about packets that the host passes on instead of those to itself, `outward` about those that it sends.
    """

    family: int
    sources: AddressSet
    transport: str
    ports: Ranges
    destinations: AddressSet | None = None
    source_ports: Ranges = CLIENT_PORTS
    interface: str | None = None
    state: State = State.NEW
    flags: Ranges | None = None
    icmp: Ranges | None = None
    through: bool = False
    outward: bool = False

    def region(self) -> Region | None:
        """The packets that are asked about; None when the addresses have none of this family."""
        addresses = FAMILY_ADDRESSES[self.family]
        sources = intersect(self.sources.ranges, addresses)
        destinations = intersect(self.destinations.ranges, addresses) if self.destinations is not None else addresses
        if not sources or not destinations:
            return None
        region = list(EVERYTHING)
        region[Field.FAMILY] = single(self.family)
        region[Field.PROTOCOL] = single(PROTOCOLS[self.transport])
        region[Field.PORT] = self.ports
        region[Field.SOURCE] = sources
        region[Field.DESTINATION] = destinations
        region[Field.SOURCE_PORT] = self.source_ports
        region[Field.IN_INTERFACE] = self._arrival()
        region[Field.STATE] = single(self.state)
        region[Field.FLAGS] = self._flags()
        region[Field.ICMP] = self.icmp or EVERYTHING[Field.ICMP]
        region[Field.MARK] = region[Field.CONNECTION_MARK] = region[Field.TRANSLATED] = single(0)
        passing = self.through or self.outward
        region[Field.DESTINATION_KIND] = single(AddressKind.UNICAST if passing else AddressKind.LOCAL)
        region[Field.SOURCE_KIND] = single(AddressKind.LOCAL if self.outward else AddressKind.UNICAST)
        return tuple(region)

    def _arrival(self) -> Ranges:
        if self.interface is not None:
            return (name_range(self.interface),)
        return NOT_LOOPBACK

    def _flags(self) -> Ranges:
        if self.flags is not None:
            return self.flags
        new_tcp = self.transport == "tcp" and self.state is State.NEW
        return SYN if new_tcp else everything(Field.FLAGS)


def single(value: int) -> Ranges:
    return ((value, value),)


class Answer(StrEnum):
    """What becomes of packets."""

    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A rule of a chain that did something, or the policy at its end when `rule` is None. Compared by identity: an evaluator
    makes one for each rule.
    """

    chain: Chain
    rule: Rule | None = None

    def text(self) -> str:
        if self.rule is None:
            return f"{self.chain.name}, policy {self.chain.policy}" + (f" ({self.chain.remark})" if self.chain.remark else "")
        return f"{self.chain.name} rule {self.rule.number}: {self.rule.text}"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what was asked that has one answer.

    `region` is in the addresses as they were sent; `by` decides, None when no chain concerns these packets at all; `path` are
    the rules that led there, in order; `how` is the action's word; `because` says why an answer is unknown. `moved` is where an
    address translation leads: addresses and ports.
    """

    answer: Answer
    region: Region
    by: Decision | None
    path: tuple[Decision, ...] = ()
    how: str = ""
    because: str = ""
    moved: tuple[Ranges, Ranges] | None = None

    @property
    def sources(self) -> AddressSet:
        return AddressSet(self.region[Field.SOURCE])
