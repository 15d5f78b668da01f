"""What each option of an iptables rule matches. iptables-extensions(8) is the description.

An option is a row in `OPTIONS`: how many words follow it, and a function from these words and the family to boxes that do not
overlap. An option that is not there makes its rule doubtful.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconshield.addresses.intervals import Ranges, intersect, merge, subtract
from reconshield.firewall.marks import masked_marks
from reconshield.firewall.nft.match import masked
from reconshield.firewall.nft.operands import FLAGS, STATES
from reconshield.firewall.ruleset import LAST, AddressKind, Box, Field, complement, everything, name_range
from reconshield.firewall.values import Faulty, read_icmp, read_network, read_number, read_ports, read_protocol

Reading = Callable[[list[str], int], list[Box]]

KINDS = {
    "LOCAL": AddressKind.LOCAL,
    "UNICAST": AddressKind.UNICAST,
    "BROADCAST": AddressKind.BROADCAST,
    "MULTICAST": AddressKind.MULTICAST,
}
ALL_FLAGS = 0x3F
ALL_BITS = (1 << 32) - 1


def box(field: Field, ranges: Ranges) -> list[Box]:
    return [((field, ranges),)] if ranges else []


def on(field: Field, read: Callable[[str], Ranges]) -> Reading:
    """One field with one word."""
    return lambda words, _: box(field, read(words[0]))


def read_networks(text: str) -> Ranges:
    return merge(pair for part in text.split(",") for pair in read_network(part))


def read_states(words: list[str], _: int) -> list[Box]:
    """`--ctstate`; `DNAT` among the states holds for every connection whose destination was translated."""
    states, translated = states_of(words[0])
    own = box(Field.STATE, states)
    if not translated:
        return own
    rest = complement(Field.STATE, states)
    return [*own, ((Field.STATE, rest), (Field.TRANSLATED, ((1, 1),)))]


def read_other_states(words: list[str], _: int) -> list[Box]:
    """`! --ctstate`; a packet without a connection has none that was translated."""
    states, translated = states_of(words[0])
    rest = complement(Field.STATE, states)
    not_translated: Ranges = ((0, 0), (LAST[Field.TRANSLATED] + 1, LAST[Field.TRANSLATED] + 1))
    return [((Field.STATE, rest), (Field.TRANSLATED, not_translated))] if translated else box(Field.STATE, rest)


def states_of(text: str) -> tuple[Ranges, bool]:
    words = [word.lower() for word in text.split(",")]
    if any(word not in STATES and word != "dnat" for word in words):
        raise Faulty(f"the state {text[:40]!r} is not supported")
    found = merge((STATES[word], STATES[word]) for word in words if word in STATES)
    return found, "dnat" in words


def kinds_of(field: Field) -> Reading:
    """`--dst-type`: in IPv4 any of the kinds of the routing table; in IPv6 all at once, and UNICAST is also what is local."""

    def read(words: list[str], family: int) -> list[Box]:
        names = words[0].upper().split(",")
        if any(name not in KINDS for name in names):
            raise Faulty(f"the address type {words[0][:40]!r} is not supported")
        if family == 4:
            return box(field, merge((KINDS[name], KINDS[name]) for name in names))
        wanted: Ranges = everything(field)
        for name in names:
            lowest = AddressKind.LOCAL if name == "UNICAST" else KINDS[name]
            wanted = intersect(wanted, ((lowest, KINDS[name]),))
        return box(field, wanted)

    return read


def read_packet_kind(text: str) -> Ranges:
    kinds = {
        "broadcast": ((AddressKind.BROADCAST, AddressKind.BROADCAST),),
        "multicast": ((AddressKind.MULTICAST, AddressKind.MULTICAST),),
        "unicast": ((AddressKind.LOCAL, AddressKind.UNICAST), (AddressKind.OTHER, AddressKind.OTHER)),
    }
    if text not in kinds:
        raise Faulty(f"the packet type {text[:40]!r} is not supported")
    return kinds[text]


def read_mark(text: str, marks: Sequence[int]) -> Ranges:
    """`0x1/0xff`; `marks` are those that packets can have."""
    number, slash, mask = text.partition("/")
    value, bits = read_number(number, ALL_BITS), read_number(mask, ALL_BITS) if slash else ALL_BITS
    return masked_marks(marks, bits, value) if marks and bits != ALL_BITS else masked(bits, value, 32)


def read_protocol_option(words: list[str], _: int) -> list[Box]:
    if words[0].lower() in {"all", "0"}:
        return [()]
    number = read_protocol(words[0])
    return box(Field.PROTOCOL, ((number, number),))


def flag_bits(text: str) -> int:
    bits = 0
    for word in text.split(","):
        name = word.lower()
        if name not in FLAGS and name not in {"all", "none"}:
            raise Faulty(f"the TCP flag {word[:20]!r} is not known")
        bits |= ALL_FLAGS if name == "all" else FLAGS.get(name, 0)
    return bits


def read_flags(words: list[str], _: int) -> list[Box]:
    mask, wanted = flag_bits(words[0]), flag_bits(words[1])
    return box(Field.FLAGS, merge((value, value) for value in range(256) if value & mask == wanted))


def read_syn(_: list[str], family: int) -> list[Box]:
    return read_flags(["FIN,SYN,RST,ACK", "SYN"], family)


def read_either_port(words: list[str], _: int) -> list[Box]:
    """`--ports`: the source or the destination port."""
    ports = read_ports(words[0])
    others = subtract(everything(Field.SOURCE_PORT), ports)
    return [((Field.SOURCE_PORT, ports),), *([((Field.SOURCE_PORT, others), (Field.PORT, ports))] if others else [])]


def always(_: list[str], __: int) -> list[Box]:
    return [()]


def never(_: list[str], __: int) -> list[Box]:
    return []


OPTIONS: dict[str, tuple[int, Reading]] = {
    "-s": (1, on(Field.SOURCE, read_networks)),
    "-d": (1, on(Field.DESTINATION, read_networks)),
    "-p": (1, read_protocol_option),
    "-i": (1, on(Field.IN_INTERFACE, lambda text: (name_range(text, "+"),))),
    "-o": (1, on(Field.OUT_INTERFACE, lambda text: (name_range(text, "+"),))),
    "-f": (0, never),  # packets that are asked about are whole
    "--sport": (1, on(Field.SOURCE_PORT, read_ports)),
    "--dport": (1, on(Field.PORT, read_ports)),
    "--sports": (1, on(Field.SOURCE_PORT, read_ports)),
    "--dports": (1, on(Field.PORT, read_ports)),
    "--ports": (1, read_either_port),
    "--tcp-flags": (2, read_flags),
    "--syn": (0, read_syn),
    "--icmp-type": (1, lambda words, _: [()] if words[0] in {"any", "255"} else box(Field.ICMP, read_icmp(words[0], 4))),
    "--icmpv6-type": (1, lambda words, _: box(Field.ICMP, read_icmp(words[0], 6))),
    "--ctstate": (1, read_states),
    "--state": (1, read_states),
    "--ctproto": (1, read_protocol_option),
    "--ctorigsrc": (1, on(Field.SOURCE, read_networks)),
    "--ctorigdst": (1, on(Field.ORIGINAL_DESTINATION, read_networks)),
    "--ctorigdstport": (1, on(Field.ORIGINAL_PORT, read_ports)),
    "--ctorigsrcport": (1, on(Field.SOURCE_PORT, read_ports)),
    "--src-range": (1, on(Field.SOURCE, read_network)),
    "--dst-range": (1, on(Field.DESTINATION, read_network)),
    "--src-type": (1, kinds_of(Field.SOURCE_KIND)),
    "--dst-type": (1, kinds_of(Field.DESTINATION_KIND)),
    "--pkt-type": (1, on(Field.DESTINATION_KIND, read_packet_kind)),
    "--comment": (1, always),
    "--rpfilter": (0, always),
}
OPPOSITES: dict[str, Reading] = {"--ctstate": read_other_states, "--state": read_other_states}
"""Options whose opposite is not simply what their boxes leave over."""
LONG = {
    "--source": "-s",
    "--src": "-s",
    "--destination": "-d",
    "--dst": "-d",
    "--protocol": "-p",
    "--proto": "-p",
    "--in-interface": "-i",
    "--out-interface": "-o",
    "--fragment": "-f",
    "--source-port": "--sport",
    "--destination-port": "--dport",
    "--source-ports": "--sports",
    "--destination-ports": "--dports",
    "--jump": "-j",
    "--goto": "-g",
    "--match": "-m",
}
MARKS = {"mark": Field.MARK, "connmark": Field.CONNECTION_MARK}


def opposite(boxes: list[Box]) -> list[Box]:
    """What boxes of one field and one box do not cover."""
    if not boxes:
        return [()]
    if len(boxes) == 1 and len(boxes[0]) == 1:
        ((field, ranges),) = boxes[0]
        return box(field, complement(field, ranges))
    if boxes == [()]:
        return []
    raise Faulty("the opposite of this condition is not supported")
