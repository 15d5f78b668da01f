"""A zone of firewalld as plain data, from its XML file or from the text of `firewall-cmd --list-all-zones`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from reconshield.errors import UserError
from reconshield.text import printable

HEAD = re.compile(r"^(?P<name>[\w.-]+)(?: \((?P<flags>[^)]*)\))?$")
KEY = re.compile(r"^  (?P<key>[a-z][a-z -]*): ?(?P<value>.*)$")
FORWARD_KEYS = {"proto": "protocol", "toport": "to-port", "toaddr": "to-addr"}
LISTS = {"interfaces", "sources", "services", "ports", "protocols", "source-ports"}


@dataclass
class RichRule:
    """One rich rule: `parts` are its elements (`source`, `port`, `accept`, …) with their attributes."""

    where: str
    text: str
    attributes: dict[str, str] = field(default_factory=dict)
    parts: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def priority(self) -> int:
        try:
            return int(self.attributes.get("priority", "0"))
        except ValueError:
            return 0


@dataclass
class Zone:
    """One zone. `lists` has what is written as lists (`ports`, `services`, …)."""

    name: str
    target: str = "default"
    is_default: bool = False
    lists: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in LISTS})
    forwards: list[dict[str, str]] = field(default_factory=list)
    rules: list[RichRule] = field(default_factory=list)


def read_listing(text: str) -> Iterator[Zone]:
    """The zones of `firewall-cmd --list-all-zones` (or `--list-all`)."""
    zone: Zone | None = None
    key = ""
    for number, line in enumerate(text.splitlines(), 1):
        head = HEAD.match(line)
        found = KEY.match(line)
        if head and not line.startswith(" "):
            if zone is not None:
                yield zone
            zone = Zone(head["name"], is_default="default" in (head["flags"] or "").split(", "))
        elif zone is not None and found:
            key, value = found["key"], found["value"].strip()
            if key == "target":
                zone.target = value
            elif key in LISTS:
                zone.lists[key] += value.split()
            elif value and key in {"rich rules", "forward-ports"}:
                add_line(zone, key, value, number)
        elif zone is not None and line.strip() and key in {"rich rules", "forward-ports"}:
            add_line(zone, key, line.strip(), number)
    if zone is not None:
        yield zone


def add_line(zone: Zone, key: str, line: str, number: int) -> None:
    if key == "rich rules":
        zone.rules.append(read_rich(line, f"line {number}"))
    else:
        pairs = (part.partition("=") for part in line.split(":"))
        zone.forwards.append({FORWARD_KEYS.get(name, name): value for name, _, value in pairs})


def read_rich(line: str, where: str) -> RichRule:
    """A rich rule in firewalld's language (firewalld.richlanguage(5))."""
    rule = RichRule(where, printable(line, 160))
    try:
        words = shlex.split(line)
    except ValueError:
        words = ["rule", "unreadable"]
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals:
            if name.lower() == "not" and rule.parts:
                rule.parts[-1][1]["invert"] = "true"
            else:
                rule.parts.append((name, {}))
        elif not rule.parts:
            rule.attributes[name] = value
        else:
            rule.parts[-1][1][name.lower().removeprefix("not ")] = value
    return rule


def read_xml(text: str) -> Iterator[Zone]:
    """A zone's XML file (firewalld.zone(5)); its name is not in it."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(text.encode())
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise UserError("this XML cannot be read", where=str(error)[:100], hint="firewall-cmd --list-all-zones") from None
    zone = Zone("zone", target=root.get("target") or "default")
    places = {"interface": ("interfaces", "name"), "service": ("services", "name"), "protocol": ("protocols", "value")}
    for number, element in enumerate(root, 1):
        own = dict(element.attrib)
        if element.tag in places:
            key, attribute = places[element.tag]
            zone.lists[key].append(own.get(attribute, ""))
        elif element.tag == "source":
            zone.lists["sources"].append(own.get("address") or f"ipset:{own.get('ipset') or own.get('mac')}")
        elif element.tag in {"port", "source-port"}:
            zone.lists[f"{element.tag}s"].append(f"{own.get('port')}/{own.get('protocol')}")
        elif element.tag == "forward-port":
            zone.forwards.append(own)
        elif element.tag == "rule":
            parts = [(part.tag, dict(part.attrib) | {f"{inner.tag} inside": "" for inner in part}) for part in element]
            shown = " ".join([part[0] + "".join(f' {key}="{value}"' for key, value in part[1].items()) for part in parts])
            zone.rules.append(RichRule(f"element {number}", printable(f"rule {shown}", 160), own, parts))
    yield zone
