"""The left side of an nft match: which field it looks at, what else must hold for it, how its values are written.

libnftables-json(5) is the description; a key that is not here is not supported and makes its rule doubtful.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reconshield.addresses.intervals import Ranges, merge
from reconshield.firewall.ruleset import AddressKind, Box, Field, State, name_range
from reconshield.firewall.values import (
    ICMP_TYPES,
    ICMPV6_TYPES,
    Faulty,
    icmp_ranges,
    read_address,
    read_network,
    read_number,
    read_protocol,
)

TRANSPORTS = {"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136}
WITH_PORTS: Ranges = merge((number, number) for number in TRANSPORTS.values())
V4: Box = ((Field.FAMILY, ((4, 4),)),)
V6: Box = ((Field.FAMILY, ((6, 6),)),)

FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
STATES = {state.name.lower(): state for state in State}
KINDS = {
    "local": AddressKind.LOCAL,
    "unicast": AddressKind.UNICAST,
    "broadcast": AddressKind.BROADCAST,
    "multicast": AddressKind.MULTICAST,
}
ETHERTYPES = {"ip": 4, "ip6": 6}
NFPROTOS = {"ipv4": 4, "ipv6": 6}
ICMP_CODES = {
    "net-unreachable": 0,
    "host-unreachable": 1,
    "prot-unreachable": 2,
    "port-unreachable": 3,
    "frag-needed": 4,
    "net-prohibited": 9,
    "host-prohibited": 10,
    "admin-prohibited": 13,
}
ICMPV6_CODES = {
    "no-route": 0,
    "admin-prohibited": 1,
    "addr-unreachable": 3,
    "port-unreachable": 4,
    "policy-fail": 5,
    "reject-route": 6,
}


@dataclass(frozen=True, slots=True)
class Operand:
    """A field that is looked at, what must hold besides (`needs`), and how one value is read.

    `flags` are names of bits, where a value is a combination of them.
    """

    field: Field
    read: Callable[[Any], Ranges]
    needs: Box = ()
    flags: dict[str, int] | None = None


def one(number: int) -> Ranges:
    return ((number, number),)


def read_named(names: dict[str, int], last: int) -> Callable[[Any], Ranges]:
    """A reader of numbers that may be written by name."""

    def read(value: Any) -> Ranges:
        name = str(value)
        return one(names[name] if name in names else read_number(value, last))

    return read


def read_addresses(value: Any) -> Ranges:
    text = str(value)
    return read_network(text) if "/" in text else one(read_address(text))


def read_code(names: dict[str, int]) -> Callable[[Any], Ranges]:
    def read(value: Any) -> Ranges:
        code = names[str(value)] if str(value) in names else read_number(value, 255)
        return tuple((kind << 8 | code, kind << 8 | code) for kind in range(256))

    return read


def read_type(names: dict[str, int]) -> Callable[[Any], Ranges]:
    return lambda value: icmp_ranges(one(names[str(value)] if str(value) in names else read_number(value, 255)))


def read_name(value: Any) -> Ranges:
    return (name_range(str(value)),)


def read_packet_kind(value: Any) -> Ranges:
    """`meta pkttype`: a packet to this host's link address may be for any address but a broadcast or multicast one."""
    own = {
        "broadcast": one(AddressKind.BROADCAST),
        "multicast": one(AddressKind.MULTICAST),
        "host": ((AddressKind.LOCAL, AddressKind.UNICAST), (AddressKind.OTHER, AddressKind.OTHER)),
    }
    own["unicast"] = own["host"]
    if value not in own:
        raise Faulty(f"packet type {str(value)[:20]!r}")
    return own[value]


PORT_READER = read_named({}, 65535)


def protocol_needs(name: str) -> Box:
    return ((Field.PROTOCOL, one(TRANSPORTS[name]) if name in TRANSPORTS else WITH_PORTS),)


def looks_past_ports(left: Any) -> bool:
    """Whether a key reads `th sport` or `th dport`: of a protocol without ports these are other bytes, which nobody knows."""
    parts = left["concat"] if isinstance(left, dict) and "concat" in left else [left]
    return any(isinstance(part, dict) and "th" in str(part.get("payload", {}).get("protocol")) for part in parts)


def payload(part: dict[str, Any]) -> Operand:
    """A field of a packet header."""
    protocol, field = str(part.get("protocol")), str(part.get("field"))
    if (protocol in TRANSPORTS or protocol == "th") and field in {"sport", "dport"}:
        return Operand(Field.PORT if field == "dport" else Field.SOURCE_PORT, PORT_READER, protocol_needs(protocol))
    found = PAYLOADS.get((protocol, field))
    if found is None:
        raise Faulty(f"`{protocol} {field}` is not supported")
    return found


ICMP: Box = ((Field.PROTOCOL, one(1)), *V4)
ICMPV6: Box = ((Field.PROTOCOL, one(58)), *V6)
PAYLOADS = {
    ("ip", "saddr"): Operand(Field.SOURCE, read_addresses, V4),
    ("ip", "daddr"): Operand(Field.DESTINATION, read_addresses, V4),
    ("ip6", "saddr"): Operand(Field.SOURCE, read_addresses, V6),
    ("ip6", "daddr"): Operand(Field.DESTINATION, read_addresses, V6),
    ("ip", "protocol"): Operand(Field.PROTOCOL, lambda value: one(read_protocol(value)), V4),
    ("ip6", "nexthdr"): Operand(Field.PROTOCOL, lambda value: one(read_protocol(value)), V6),
    ("ip", "version"): Operand(Field.FAMILY, read_named({}, 15), V4),
    ("ip6", "version"): Operand(Field.FAMILY, read_named({}, 15), V6),
    ("tcp", "flags"): Operand(Field.FLAGS, read_named(FLAGS, 255), ((Field.PROTOCOL, one(6)),), FLAGS),
    ("icmp", "type"): Operand(Field.ICMP, read_type(ICMP_TYPES), ICMP),
    ("icmp", "code"): Operand(Field.ICMP, read_code(ICMP_CODES), ICMP),
    ("icmpv6", "type"): Operand(Field.ICMP, read_type(ICMPV6_TYPES), ICMPV6),
    ("icmpv6", "code"): Operand(Field.ICMP, read_code(ICMPV6_CODES), ICMPV6),
}
METAS = {
    "l4proto": Operand(Field.PROTOCOL, lambda value: one(read_protocol(value))),
    "nfproto": Operand(Field.FAMILY, read_named(NFPROTOS, 255)),
    "protocol": Operand(Field.FAMILY, read_named(ETHERTYPES, 0)),
    "iifname": Operand(Field.IN_INTERFACE, read_name),
    "iif": Operand(Field.IN_INTERFACE, read_name),
    "oifname": Operand(Field.OUT_INTERFACE, read_name),
    "oif": Operand(Field.OUT_INTERFACE, read_name),
    "mark": Operand(Field.MARK, read_named({}, (1 << 32) - 1)),
    "pkttype": Operand(Field.DESTINATION_KIND, read_packet_kind),
}
CONNECTIONS = {
    "state": Operand(Field.STATE, read_named({name: int(state) for name, state in STATES.items()}, -1)),
    "mark": Operand(Field.CONNECTION_MARK, read_named({}, (1 << 32) - 1)),
    "status": Operand(Field.TRANSLATED, read_named({"dnat": 1}, -1)),
    "original daddr": Operand(Field.ORIGINAL_DESTINATION, read_addresses),
    "original ip daddr": Operand(Field.ORIGINAL_DESTINATION, read_addresses, V4),
    "original ip6 daddr": Operand(Field.ORIGINAL_DESTINATION, read_addresses, V6),
    "original ip saddr": Operand(Field.SOURCE, read_addresses, V4),
    "original ip6 saddr": Operand(Field.SOURCE, read_addresses, V6),
    "original proto-dst": Operand(Field.ORIGINAL_PORT, PORT_READER, protocol_needs("th")),
    "original protocol": Operand(Field.PROTOCOL, lambda value: one(read_protocol(value))),
}


def read_operand(left: Any) -> Operand:
    """Which field the left side of a match looks at. Raises `Faulty` for one that is not supported."""
    kind, part = next(iter(left.items())) if isinstance(left, dict) and len(left) == 1 else ("", None)
    if kind == "payload" and isinstance(part, dict):
        return payload(part)
    if kind == "meta":
        key = str(part.get("key") if isinstance(part, dict) else part)
        found, words = METAS.get(key), f"meta {key}"
    elif kind == "ct" and isinstance(part, dict):
        words = " ".join(str(part[name]) for name in ("dir", "family", "key") if name in part)
        found, words = CONNECTIONS.get(words), f"ct {words}"
    elif kind == "fib" and isinstance(part, dict) and part.get("result") == "type":
        flags = part.get("flags")
        field = {"daddr": Field.DESTINATION_KIND, "saddr": Field.SOURCE_KIND}.get(
            str(flags[0]) if isinstance(flags, list) else str(flags)
        )
        found, words = (
            (Operand(field, read_named({k: int(v) for k, v in KINDS.items()}, -1)) if field is not None else None),
            "fib",
        )
    else:
        found, words = None, kind or str(left)[:40]
    if found is None:
        raise Faulty(f"`{words[:60]}` is not supported")
    return found
