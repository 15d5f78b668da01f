"""firewalld: `firewall-cmd --list-all-zones`, or a zone's XML file. Older versions do not mark the default zone; firewalld.conf
before the list, or its line `DefaultZone=public`, tells it.

A packet belongs to the zone of its source, else of its interface, else to the default zone. In a zone rich rules with a
priority below 0 come first, then denials, then what is allowed, then rules above 0; the rest meets the target.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reconshield.addresses.intervals import Ranges, subtract
from reconshield.firewall.firewalld.services import SERVICES
from reconshield.firewall.firewalld.zone import RichRule, Zone, read_listing, read_xml
from reconshield.firewall.lists import FOLLOWS, combine_conditions, family_box, networks
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import Action, Box, Branch, Chain, Fault, Field, Kind, Rule, Ruleset, name_range
from reconshield.firewall.values import Faulty, all_addresses, family_of, read_network, read_ports, read_protocol
from reconshield.text import printable

LISTING = re.compile(r"^[\w.-]+( \([^)]*\))?\n  target: ", re.MULTILINE)
DEFAULT_ZONE = re.compile(r"^DefaultZone=(\S+)", re.MULTILINE)
TARGETS = {"default": Kind.REJECT, "ACCEPT": Kind.ACCEPT, "DROP": Kind.DROP, "%%REJECT%%": Kind.REJECT, "REJECT": Kind.REJECT}
VERDICTS = {"accept": Kind.ACCEPT, "drop": Kind.DROP, "reject": Kind.REJECT}
HARMLESS = frozenset({"log", "audit", "nflog", "mark", "masquerade"})
ICMP: Box = ((Field.PROTOCOL, ((1, 1), (58, 58))),)
TRANSLATED: Box = ((Field.TRANSLATED, ((1, 1),)),)
LOOPBACK: Box = ((Field.IN_INTERFACE, (name_range("lo"),)),)


def recognises(text: str) -> bool:
    return LISTING.search(text) is not None or re.search(r"<zone[\s>]", text[:2000]) is not None


def read(text: str) -> tuple[Ruleset, ...]:
    zones = list(read_xml(text) if text.lstrip()[:1] == "<" else read_listing(text))
    notes = []
    told = DEFAULT_ZONE.search(text)
    for zone in zones:
        zone.is_default = zone.is_default or (told is not None and told[1] == zone.name)
    if len(zones) == 1 and not zones[0].is_default:
        zones[0].is_default = True
        notes.append("the only zone of this file is taken for that of every packet")
    bodies = [Body(zone) for zone in zones]
    chains = (
        Chain(
            "firewalld input",
            tuple(dispatch(zones, "zone", [FOLLOWS, TRANSLATED, LOOPBACK])),
            hook="input",
            policy=Kind.UNKNOWN,
            remark=NO_DEFAULT,
        ),
        Chain("firewalld prerouting", tuple(dispatch(zones, "forwards", [])), hook="prerouting", priority=-100, nat=True),
        Chain(
            "firewalld forward",
            (passing(1, [FOLLOWS, TRANSLATED]),),
            hook="forward",
            policy=Kind.UNKNOWN,
            remark="forwarding between zones is not read",
        ),
        *(chain for body in bodies for chain in body.chains()),
    )
    faults = tuple(fault for body in bodies for fault in body.faults)
    return (Ruleset("firewalld", chains, "", faults, tuple(notes)),)


NO_DEFAULT = "which zone is the default is not in this file (add the line DefaultZone= of firewalld.conf)"


def passing(number: int, boxes: Iterable[Box]) -> Rule:
    return Rule(
        number, "", "established connections, published ports and loopback", (Branch(tuple(boxes), Action(Kind.ACCEPT)),)
    )


def dispatch(zones: list[Zone], kind: str, first: list[Box]) -> Iterator[Rule]:
    """Which zone a packet belongs to: by source, by interface, else the default zone."""
    rules: list[tuple[Zone, list[Box], str]] = []
    for zone in zones:
        cidrs = [source for source in zone.lists["sources"] if is_network(source)]
        others = [source for source in zone.lists["sources"] if not is_network(source)]
        rules += [(zone, networks(Field.SOURCE, cidrs), "")] if cidrs else []
        rules += [(zone, [()], f"what {printable(source, 40)} holds is not in this file") for source in others]
    for zone in zones:
        names = tuple(sorted(name_range(name, "+") for name in zone.lists["interfaces"]))
        rules += [(zone, [((Field.IN_INTERFACE, names),)], "")] if names else []
    rules += [(zone, [()], "") for zone in zones if zone.is_default]
    offset = 0
    if first:
        offset = 1
        yield passing(1, first)
    for number, (zone, boxes, doubt) in enumerate(rules, 1 + offset):
        action = Action(Kind.GOTO, target=f"firewalld {kind} {zone.name}")
        if doubt:
            action = Action(Kind.UNKNOWN, why=doubt)
        yield Rule(number, "", f"zone {zone.name}", (Branch(tuple(boxes), action, doubt),))


def is_network(text: str) -> bool:
    try:
        read_network(text)
    except Faulty:
        return False
    return True


class Body:
    """One zone as chains."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.faults: list[Fault] = []
        self.rules: list[Rule] = []
        self.forwards: list[Rule] = []

    def chains(self) -> tuple[Chain, Chain]:
        rich = sorted(self.zone.rules, key=lambda rule: rule.priority)
        early = [rule for rule in rich if rule.priority < 0]
        usual = [rule for rule in rich if rule.priority == 0]
        late = [rule for rule in rich if rule.priority > 0]
        denials = [rule for rule in usual if not any(name == "accept" for name, _ in rule.parts)]
        for rule in (*early, *denials):
            self.add_rich(rule)
        self.add_lists()
        for rule in (*(rule for rule in usual if rule not in denials), *late):
            self.add_rich(rule)
        if self.zone.target == "default":
            self.add("", "ICMP", [ICMP], Kind.ACCEPT)
        target = TARGETS.get(self.zone.target, Kind.UNKNOWN)
        self.add("", f"target {printable(self.zone.target, 20)}", [()], target)
        for forward in self.zone.forwards:
            self.add_forward(forward, "", [()])
        return (
            Chain(f"firewalld zone {self.zone.name}", tuple(self.rules)),
            Chain(f"firewalld forwards {self.zone.name}", tuple(self.forwards), nat=True),
        )

    def add(self, where: str, text: str, boxes: list[Box], kind: Kind, doubt: str = "") -> None:
        self.rules.append(Rule(len(self.rules) + 1, where, text, (Branch(tuple(boxes), Action(kind), doubt),) if boxes else ()))

    def fault(self, where: str, text: str, why: str) -> None:
        self.faults.append(Fault(where or f"zone {self.zone.name}", f"{why}: {text}"))

    def add_lists(self) -> None:
        """Services, ports and protocols that the zone allows."""
        listed = [("service", name) for name in self.zone.lists["services"]]
        listed += [
            (key.removesuffix("s"), value) for key in ("ports", "source-ports", "protocols") for value in self.zone.lists[key]
        ]
        for key, value in listed:
            text = f"{key} {printable(value, 40)}"
            try:
                self.add("", text, element_boxes(key, value), Kind.ACCEPT)
            except Faulty as error:
                self.fault("", text, str(error))
                self.add("", text, [()], Kind.ACCEPT, str(error))

    def add_rich(self, rule: RichRule) -> None:
        """A rich rule: its conditions, then what it does."""
        conditions: list[list[Box]] = (
            [[(family_box(4 if rule.attributes["family"] == "ipv4" else 6),)]] if "family" in rule.attributes else []
        )
        kind: Kind | None = None
        doubt = ""
        forward: dict[str, str] | None = None
        try:
            for name, own in rule.parts:
                if name in VERDICTS:
                    kind = VERDICTS[name]
                    doubt = "a limit" if "limit inside" in own or any(part == "limit" for part, _ in after(rule, name)) else ""
                elif name == "forward-port":
                    forward = own
                elif name not in HARMLESS and name != "limit":
                    conditions.append(rich_boxes(name, own))
        except Faulty as error:
            self.fault(rule.where, rule.text, str(error))
            self.rules.append(
                Rule(len(self.rules) + 1, rule.where, rule.text, (Branch(((),), Action(Kind.UNKNOWN, why=str(error))),))
            )
            return
        boxes = combine_conditions(*conditions)
        if forward is not None:
            self.add_forward(forward, rule.where, boxes)
        if kind is not None:
            self.add(rule.where, rule.text, boxes, kind, doubt and f"{doubt} refuses who comes too often")

    def add_forward(self, own: dict[str, str], where: str, boxes: list[Box]) -> None:
        """A port that is passed on, to another port here or to another host."""
        text = f"forward-port {own.get('port')}/{own.get('protocol')} to {own.get('to-addr', '')}:{own.get('to-port', '')}"
        try:
            matched = combine_conditions(boxes, element_boxes("port", f"{own.get('port')}/{own.get('protocol')}"))
            address: Ranges = read_network(own["to-addr"]) if own.get("to-addr") else ()
            port: Ranges = read_ports(own["to-port"], "-") if own.get("to-port") else ()
            if address:
                matched = combine_conditions(matched, [(family_box(family_of(address)),)])
            action = Action(Kind.TRANSLATE, address=address, port=port, local=not address)
        except Faulty as error:
            self.fault(where, printable(text), str(error))
            matched, action = [()], Action(Kind.UNKNOWN, why=str(error))
        self.forwards.append(Rule(len(self.forwards) + 1, where, printable(text), (Branch(tuple(matched), action),)))


def after(rule: RichRule, name: str) -> list[tuple[str, dict[str, str]]]:
    """The elements that follow one, such as the limit of an accept."""
    names = [part for part, _ in rule.parts]
    return rule.parts[names.index(name) + 1 :]


def element_boxes(key: str, value: str) -> list[Box]:
    """`ssh`, `8080/tcp`, `5000-5010/udp`, `esp`."""
    if key == "service":
        if value not in SERVICES:
            raise Faulty(f"the ports of the service {printable(value, 40)} are not known here")
        return [box for port in SERVICES[value] for box in element_boxes("port", port)]
    if key == "protocol":
        number = read_protocol(value)
        return [((Field.PROTOCOL, ((number, number),)),)]
    ports, _, protocol = value.partition("/")
    number = read_protocol(protocol)
    field = Field.SOURCE_PORT if key == "source-port" else Field.PORT
    return [((Field.PROTOCOL, ((number, number),)), (field, read_ports(ports, "-")))]


def rich_boxes(name: str, own: dict[str, str]) -> list[Box]:
    """A condition of a rich rule."""
    if name in {"source", "destination"} and "address" in own:
        ranges = read_network(own["address"])
        family = family_of(ranges)
        if own.get("invert", "").lower() in {"true", "yes"}:
            ranges = subtract(all_addresses(family), ranges)
        return [(family_box(family), (Field.SOURCE if name == "source" else Field.DESTINATION, ranges))]
    if name in {"port", "source-port"}:
        return element_boxes(name, f"{own.get('port')}/{own.get('protocol')}")
    if name == "service":
        return element_boxes(name, own.get("name", ""))
    if name == "protocol":
        return element_boxes(name, own.get("value", ""))
    raise Faulty(f"`{printable(name, 30)}` is not supported")


READER = Reader("firewalld", "firewall-cmd --list-all-zones", recognises, read)
