"""Suricata's rules, read strictly by what its user guide says of them, and asked about the first packet of a flow.

No Suricata can be installed where these tests run, so this is a reader of our own: it takes the part of the language that the
export uses and refuses the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from export.traffic import Flow

RULE = re.compile(r"(alert) (tcp|udp|ip) (\S+) (\S+) -> (\S+) (\S+) \((.*;)\)")
OPTION = re.compile(r'\s*([a-z_.]+)(?:\s*:\s*("(?:[^"\\;]|\\.)*"|[^";]*))?;')
TAKES = {
    "msg": r'"[^"]{1,200}"',
    "flow": r"to_server",
    "flags": r"S,CE",
    "threshold": r"type limit, track by_src, seconds [0-9]+, count 1",
    "classtype": r"policy-violation",
    "metadata": r"[a-z_]+ [A-Za-z0-9._-]+(, [a-z_]+ [A-Za-z0-9._-]+)*",
    "ip_proto": r"![0-9]+",
    "sid": r"[0-9]+",
    "rev": r"[0-9]+",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; options in their order."""

    protocol: str
    src: str
    src_ports: str
    dst: str
    dst_ports: str
    options: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.options if key == name]

    @property
    def sid(self) -> int:
        (sid,) = self.values("sid")
        return int(sid)

    def matches(self, flow: Flow) -> bool:
        """Whether the first packet of a flow, from its beginner, is one that this rule alerts on."""
        if self.protocol != "ip" and self.protocol != flow.transport:
            return False
        if any(flow.number == int(value[1:]) for value in self.values("ip_proto")):
            return False
        sides = address_fits(self.src, flow.src) and address_fits(self.dst, flow.dst)
        return sides and self.src_ports == "any" and port_fits(self.dst_ports, flow.port)


def read_rules(text: str) -> list[Rule]:
    rules = [read_rule(line) for line in text.splitlines() if line and not line.startswith("#")]
    assert len({rule.sid for rule in rules}) == len(rules), "a sid stands twice"
    return rules


def read_rule(line: str) -> Rule:
    found = RULE.fullmatch(line)
    assert found, f"no rule: {line}"
    _, protocol, src, src_ports, dst, dst_ports, text = found.groups()
    options, at = [], 0
    while at < len(text):
        option = OPTION.match(text, at)
        assert option, f"no option: {text[at:]}"
        key, value = option[1], (option[2] or "").strip()
        assert re.fullmatch(TAKES[key], value), f"{key}: {value}"
        options.append((key, value))
        at = option.end()
    rule = Rule(protocol, src, src_ports, dst, dst_ports, tuple(options))
    assert all(len(rule.values(key)) == 1 for key in ("msg", "sid", "rev", "classtype"))
    address_fits(src, "192.0.2.1"), address_fits(dst, "2001:db8::1"), port_fits(dst_ports, 1)  # each must be readable
    assert protocol != "tcp" or rule.values("flags"), "TCP by its first packet"
    return rule


def parts_of(text: str) -> list[str]:
    """The members of `[a,b]`; a single one stands without brackets."""
    if not text.startswith("["):
        return [text]
    assert text.endswith("]"), text
    assert "[" not in text[1:], "a list in a list"
    return text[1:-1].split(",")


def address_fits(text: str, address: str) -> bool:
    if text == "any":
        return True
    if text.startswith("!"):
        assert text != "!any"
        return not address_fits(text[1:], address)
    parts = parts_of(text)
    networks, holes = ([ip_network(part.lstrip("!")) for part in parts if part.startswith("!") == out] for out in (False, True))
    assert networks, "a list of holes alone"
    found = ip_address(address)
    return any(found in network for network in networks) and not any(found in hole for hole in holes)


def port_fits(text: str, port: int) -> bool:
    if text == "any":
        return True
    if text.startswith("!"):
        assert text != "!any"
        return not port_fits(text[1:], port)
    bounds = [[int(bound) for bound in part.split(":")] for part in parts_of(text)]
    assert all(0 <= pair[0] <= pair[-1] <= 65_535 for pair in bounds)
    return any(pair[0] <= port <= pair[-1] for pair in bounds)
