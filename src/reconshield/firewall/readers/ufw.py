"""`ufw status verbose`: its rules as a table, and its defaults.

Beside the rules that it shows, ufw's own files let established connections, loopback, some ICMP and DHCP answers pass before
them; of these only the first two matter to connections from elsewhere, and they are assumed.
"""

from __future__ import annotations

import re

from reconshield.addresses.intervals import Ranges, merge
from reconshield.firewall.lists import FOLLOWS, combine_conditions, family_box, networks
from reconshield.firewall.reader import Reader
from reconshield.firewall.ruleset import Action, Box, Branch, Chain, Fault, Field, Kind, Rule, Ruleset, name_range
from reconshield.firewall.values import Faulty, read_network, read_ports, read_protocol
from reconshield.text import printable

STATUS = re.compile(r"^Status: (active|inactive)", re.MULTILINE)
DEFAULT = re.compile(r"(allow|deny|reject|disabled) \((incoming|outgoing|routed)\)")
ROW = re.compile(r"^(?P<to>\S.*?)\s+(?P<action>ALLOW|DENY|REJECT|LIMIT)(?: (?P<way>IN|OUT|FWD))?\s{2,}(?P<source>\S.*?)\s*$")
KINDS = {"ALLOW": Kind.ACCEPT, "DENY": Kind.DROP, "REJECT": Kind.REJECT, "LIMIT": Kind.ACCEPT}
POLICIES = {"allow": Kind.ACCEPT, "deny": Kind.DROP, "reject": Kind.REJECT, "disabled": Kind.DROP}
HOOKS = {"incoming": ("IN", "input"), "outgoing": ("OUT", "output"), "routed": ("FWD", "forward")}
NUMBER = re.compile(r"^\[\s*\d+\]\s*")
NOTE = "established connections and loopback are let through by ufw's own rules before these"
LIMITED = "LIMIT refuses who comes too often"


def recognises(text: str) -> bool:
    return STATUS.search(text[:2000]) is not None


def read(text: str) -> tuple[Ruleset, ...]:
    if STATUS.search(text)[1] == "inactive":  # type: ignore[index]  # recognised by it
        return (Ruleset("ufw", (), notes=("ufw is inactive: it lets everything through",)),)
    defaults = {which: word for word, which in DEFAULT.findall(text)}
    rules: dict[str, list[Rule]] = {way: [built_in(way)] for way, _ in HOOKS.values()}
    faults: list[Fault] = []
    for number, line in enumerate(text.splitlines(), 1):
        row = ROW.match(NUMBER.sub("", line.split(" # ")[0].rstrip()))
        if row is None or row["to"] == "To":
            if any(f" {word} " in line for word in KINDS) and row is None:
                faults.append(Fault(f"line {number}", f"this is no rule: {printable(line)}"))
                for own in rules.values():
                    own.append(unknown(len(own), number, line))
            continue
        own = rules[row["way"] or "IN"]
        rule, why = read_row(len(own), number, row)
        own.append(rule)
        faults += [Fault(f"line {number}", f"{why}: {rule.text}")] if why else []
    chains = tuple(
        Chain(
            f"ufw {which}",
            tuple(rules[way]),
            hook=hook,
            policy=POLICIES[defaults[which]] if which in defaults else Kind.UNKNOWN,
            remark="" if which in defaults else "the default is shown by `ufw status verbose` only",
        )
        for which, (way, hook) in HOOKS.items()
    )
    return (Ruleset("ufw", chains, "", tuple(faults), (NOTE,)),)


def built_in(way: str) -> Rule:
    loopback = Field.OUT_INTERFACE if way == "OUT" else Field.IN_INTERFACE
    boxes: tuple[Box, ...] = (FOLLOWS, ((loopback, (name_range("lo"),)),))
    return Rule(0, "", "established connections and loopback", (Branch(boxes, Action(Kind.ACCEPT)),))


def unknown(number: int, line: int, text: str) -> Rule:
    action = Action(Kind.UNKNOWN, why=f"line {line} could not be read")
    return Rule(number, f"line {line}", printable(text), (Branch(((),), action),))


def read_row(number: int, line: int, row: re.Match[str]) -> tuple[Rule, str]:
    """One row of the table, and what of it is not understood."""
    text = printable(f"{row['to']} {row['action']} {row['way'] or 'IN'} {row['source']}")
    ends = [family_of_row(row)]
    why = ""
    for key in ("to", "source"):
        try:
            ends.append(read_end(row[key], target=key == "to", routed=row["way"] == "FWD"))
        except Faulty as error:
            why = why or str(error)
    boxes = combine_conditions(*ends)
    doubt = why or (LIMITED if row["action"] == "LIMIT" else "")
    branch = Branch(tuple(boxes), Action(KINDS[row["action"]]), doubt)
    return Rule(number, f"line {line}", text, (branch,) if boxes else ()), why


def family_of_row(row: re.Match[str]) -> list[Box]:
    """`(v6)` stands behind rules of IPv6; a rule without an address stands twice."""
    six = "(v6)" in row["to"] or "(v6)" in row["source"]
    given = [word for word in f"{row['to']} {row['source']}".split() if is_network(word)]
    if given:
        return [()]
    return [(family_box(6 if six else 4),)]


def is_network(word: str) -> bool:
    try:
        read_network(word)
    except Faulty:
        return False
    return "." in word or ":" in word


def read_end(text: str, *, target: bool, routed: bool) -> list[Box]:
    """`22/tcp`, `80,443/tcp (Nginx Full)`, `10.0.0.5 22/tcp`, `53 on wg0`, `10.8.0.0/24 5000:6000/udp`.

    The interface that packets come in by stands under To, but under From where they are routed.
    """
    address, port = (Field.DESTINATION, Field.PORT) if target else (Field.SOURCE, Field.SOURCE_PORT)
    name = Field.IN_INTERFACE if target != routed else Field.OUT_INTERFACE
    plain, on, interface = re.sub(r"\s*\(.*\)", "", text).partition(" on ")
    found: list[list[Box]] = [[((name, (name_range(interface.strip(), "+"),)),)]] if on else []
    for word in plain.split():
        if word == "Anywhere":
            continue
        if is_network(word):
            found.append(networks(address, [word]))
        else:
            found.append(read_service(word, port, text))
    return combine_conditions(*found)


def read_service(word: str, port: Field, text: str) -> list[Box]:
    """`22`, `22/tcp`, `80,443/tcp`, `tcp`."""
    ports, slash, protocol = word.partition("/")
    conditions: list[list[Box]] = []
    try:
        if slash or not ports[:1].isdecimal():
            number = read_protocol(protocol if slash else ports)
            conditions.append([((Field.PROTOCOL, ((number, number),)),)])
        if ports[:1].isdecimal():
            ranges: Ranges = merge(pair for one in ports.split(",") for pair in read_ports(one))
            conditions.append([((port, ranges),)])
            if not slash:
                conditions.append([((Field.PROTOCOL, ((6, 6), (17, 17))),)])
    except Faulty:
        raise Faulty(f"the application {printable(text, 40)} is shown with its ports by `ufw status verbose`") from None
    return combine_conditions(*conditions)


READER = Reader("ufw", "ufw status verbose", recognises, read)
