"""Sets of `ipset save`: iptables-save only names them. Lines are `create NAME TYPE …` and `add NAME ELEMENT`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

from reconshield.addresses.intervals import merge
from reconshield.firewall.ruleset import Box, Field, name_range
from reconshield.firewall.values import Faulty, join, read_network, read_ports, read_protocol

SIDES = {
    ("ip", "src"): Field.SOURCE,
    ("ip", "dst"): Field.DESTINATION,
    ("net", "src"): Field.SOURCE,
    ("net", "dst"): Field.DESTINATION,
    ("port", "src"): Field.SOURCE_PORT,
    ("port", "dst"): Field.PORT,
    ("iface", "src"): Field.IN_INTERFACE,
    ("iface", "dst"): Field.OUT_INTERFACE,
}


@dataclass
class IpSet:
    """One set: the kinds of its parts (`hash:net,port` has two) and its elements as text."""

    kinds: tuple[str, ...]
    elements: list[str] = field(default_factory=list)
    refused: str = ""


class IpSets:
    """The sets that a text holds."""

    def __init__(self) -> None:
        self.by_name: dict[str, IpSet] = {}

    def take(self, words: list[str]) -> bool:
        """Take a line of `ipset save`; False for any other."""
        if len(words) >= 3 and words[0] == "create":
            method, _, kinds = words[2].partition(":")
            own = IpSet(tuple(kinds.split(",")))
            if method not in {"hash", "bitmap"} or any((kind, "src") not in SIDES for kind in own.kinds):
                own.refused = f"a set of type {words[2][:40]} is not supported"
            self.by_name[words[1]] = own
            return True
        if len(words) >= 3 and words[0] == "add":
            own = self.by_name.setdefault(words[1], IpSet((), refused="the set is not created in this file"))
            own.elements.append(words[2])
            if "nomatch" in words:
                own.refused = "a set with exceptions (nomatch) is not supported"
            return True
        return False

    def match(self, name: str, sides: str) -> list[Box]:
        """What `--match-set NAME src,dst` matches. Raises `Faulty` where the set is not known."""
        own = self.by_name.get(name)
        if own is None:
            raise Faulty(f"the set {name[:40]} is not in this file; add the output of ipset save")
        wanted = sides.split(",")
        if own.refused or len(wanted) < len(own.kinds):
            raise Faulty(own.refused or f"the set {name[:40]} has {len(own.kinds)} parts")
        fields = [SIDES[kind, side] for kind, side in zip(own.kinds, wanted, strict=False) if (kind, side) in SIDES]
        if len(fields) != len(own.kinds):
            raise Faulty(f"{sides[:20]!r} is not supported")
        boxes = [box for element in own.elements for box in read_element(fields, element)]
        if len(fields) == 1 and boxes:  # one list of ranges is one box
            return [((fields[0], merge(pair for box in boxes for _, ranges in box for pair in ranges)),)]
        return boxes


def read_element(fields: list[Field], text: str) -> list[Box]:
    """`10.0.0.0/8`, `10.0.0.1,tcp:80`, `10.0.0.0/8,eth0`."""
    parts = text.split(",")
    if len(parts) != len(fields):
        raise Faulty(f"{text[:40]!r} does not fit its set")
    return reduce(join, ([read_part(own, part)] for own, part in zip(fields, parts, strict=True)), [()])


def read_part(own: Field, part: str) -> Box:
    if own in {Field.SOURCE, Field.DESTINATION}:
        return ((own, read_network(part)),)
    if own in {Field.IN_INTERFACE, Field.OUT_INTERFACE}:
        return ((own, (name_range(part),)),)
    protocol, colon, ports = part.rpartition(":")
    number = read_protocol(protocol) if colon else 6
    return ((Field.PROTOCOL, ((number, number),)), (own, read_ports(ports, "-")))
