"""Templates of NetFlow v9 and IPFIX: what the fields of a record are, and records taken apart by them.

Only the fields that a flow is made of are read; all others are stepped over. Fields of the other direction (RFC 5103,
enterprise 29305) have names with `back_` before them. Sources: RFC 3954, RFC 7011, the IANA registry of IPFIX information
elements.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Values = Mapping[str, int | bytes]

REVERSE = 29305
VARIABLE = 65_535
MOST_FIELDS = 1_000
FORWARD = {
    1: "octets",
    2: "packets",
    85: "all_octets",
    86: "all_packets",
    6: "flags",
    21: "last_up",
    22: "first_up",
    150: "first_s",
    151: "last_s",
    152: "first_ms",
    153: "last_ms",
    154: "first_ntp",
    155: "last_ntp",
    156: "first_ntp",
    157: "last_ntp",
    158: "first_ago",
    159: "last_ago",
    161: "lasted_ms",
    162: "lasted_us",
}
"""Elements that either direction can have."""
ELEMENTS: Mapping[tuple[int, int], str] = {
    **{(0, number): name for number, name in FORWARD.items()},
    **{(REVERSE, number): f"back_{name}" for number, name in FORWARD.items()},
    (0, 4): "proto",
    (0, 7): "sport",
    (0, 8): "src4",
    (0, 11): "dport",
    (0, 12): "dst4",
    (0, 27): "src6",
    (0, 28): "dst6",
    (0, 32): "icmp",
    (0, 34): "sampling",
    (0, 50): "sampling",
    (0, 61): "direction",
    (0, 89): "forwarding",
    (0, 139): "icmp",
    (0, 160): "booted_ms",
    (0, 176): "icmp_type",
    (0, 178): "icmp_type",
    (0, 231): "octets",
    (0, 232): "back_octets",
    (0, 233): "firewall",
    (0, 239): "biflow",
    (0, 298): "packets",
    (0, 299): "back_packets",
    (0, 305): "sample",
    (0, 306): "sample_gap",
    (0, 323): "observed_ms",
}
"""(enterprise, element) -> its name here. 231, 232, 298 and 299 count from the side that began, so they are the same as the two
directions of a flow that has both."""
ADDRESSES = frozenset(("src4", "dst4", "src6", "dst6"))
CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Broken(ValueError):
    """A template or a set that is not what the format says."""


@dataclass(slots=True)
class Template:
    """The fields of a record: (name or empty, length). `options` describe the exporter, not flows."""

    fields: tuple[tuple[str, int], ...]
    options: bool
    names: tuple[str, ...] = ()
    length: int = 0
    """Octets of a record; 0 where it varies."""
    odd: tuple[str, ...] = ()
    packing: struct.Struct = field(default_factory=lambda: struct.Struct(""))

    def __post_init__(self) -> None:
        if any(length == VARIABLE for _, length in self.fields):
            return
        self.length = sum(length for _, length in self.fields)
        names, odd, packing = list[str](), list[str](), ["!"]
        for name, length in self.fields:
            if not name or name in names:
                packing.append(f"{length}x")
                continue
            names.append(name)
            plain = name not in ADDRESSES and length in CODES
            packing.append(CODES[length] if plain else f"{length}s")
            if not plain and name not in ADDRESSES:
                odd.append(name)
        self.names, self.odd, self.packing = tuple(names), tuple(odd), struct.Struct("".join(packing))

    @property
    def both(self) -> bool:
        """Whether a record tells both directions of a flow."""
        return not self.options and any(name.startswith("back_") for name, _ in self.fields)

    def records(self, body: bytes) -> Iterator[Values]:
        """The records of a set; what is left behind the last whole one is padding. Raises `Broken`."""
        if not self.length:
            yield from self._varying(body)
            return
        for values in self.packing.iter_unpack(body[: len(body) // self.length * self.length]):
            found = dict(zip(self.names, values, strict=True))
            for name in self.odd:
                found[name] = int.from_bytes(found[name], "big")
            yield found

    def _varying(self, body: bytes) -> Iterator[Values]:
        """Records with fields that say their own length (RFC 7011, section 7)."""
        place, least = 0, sum(1 if length == VARIABLE else length for _, length in self.fields)
        while place + least <= len(body):
            if not any(body[place:]):
                return  # padding
            found: dict[str, int | bytes] = {}
            for name, fixed in self.fields:
                length = fixed
                if fixed == VARIABLE:
                    place, length = read_length(body, place)
                data = body[place : place + length]
                if len(data) < length:
                    raise Broken("a field is longer than its set")
                if name and name not in found:
                    found[name] = data if name in ADDRESSES else int.from_bytes(data[:8], "big")
                place += length
            yield found


def read_length(body: bytes, place: int) -> tuple[int, int]:
    """Where a field of varying length begins, and how long it is."""
    first = body[place : place + 1]
    if first == b"\xff" and len(body) >= place + 3:
        return place + 3, int.from_bytes(body[place + 1 : place + 3], "big")
    if not first or first == b"\xff":
        raise Broken("a field is longer than its set")
    return place + 1, first[0]


Found = tuple[int, Template | None]
"""The number of a template, and what it is; None for one that is withdrawn."""


def read_templates(body: bytes) -> Iterator[Found]:
    """The templates of a set of NetFlow v9 or IPFIX. Raises `Broken` at the first that is none."""
    place = 0
    while len(body) - place >= 4:
        number, count = struct.unpack_from("!HH", body, place)
        if number < 256:
            if not any(body[place:]):
                return  # padding
            if count == 0 and number in {2, 3}:
                yield number, None
                place += 4
                continue
            raise Broken(f"a template with the number {number}")
        place += 4
        if count == 0:
            yield number, None
            continue
        place, fields = read_fields(body, place, count)
        yield number, make_template(fields, options=False)


def read_option_templates(body: bytes, *, by_length: bool) -> Iterator[Found]:
    """Templates of options. NetFlow v9 gives the octets of their field lists (`by_length`), IPFIX how many there are."""
    place = 0
    while len(body) - place >= 6:
        number, one, two = struct.unpack_from("!HHH", body, place)
        if number < 256:
            if not any(body[place:]):
                return
            raise Broken(f"a template with the number {number}")
        if not by_length and one == 0:
            yield number, None
            place += 4
            continue
        place += 6
        scope, count = (one // 4, (one + two) // 4) if by_length else (two, one)
        place, fields = read_fields(body, place, count)
        # Scope fields have types of their own, which only say whom the rest is about.
        yield number, make_template((*(("", length) for _, length in fields[:scope]), *fields[scope:]), options=True)


def read_fields(body: bytes, place: int, count: int) -> tuple[int, tuple[tuple[str, int], ...]]:
    if count > MOST_FIELDS:
        raise Broken(f"a template of {count} fields")
    fields = []
    for _ in range(count):
        if len(body) - place < 4:
            raise Broken("a template that ends within a field")
        element, length = struct.unpack_from("!HH", body, place)
        place += 4
        enterprise = 0
        if element & 0x8000:
            if len(body) - place < 4:
                raise Broken("a template that ends within a field")
            enterprise = struct.unpack_from("!I", body, place)[0]
            element, place = element & 0x7FFF, place + 4
        fields.append((ELEMENTS.get((enterprise, element), ""), length))
    return place, tuple(fields)


def make_template(fields: tuple[tuple[str, int], ...], *, options: bool) -> Template:
    template = Template(fields, options)
    if not any(length for _, length in fields) or template.length > VARIABLE:
        raise Broken("a template whose records have no length or are too long")
    return template
