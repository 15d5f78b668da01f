"""Sets of packets, and the one operation under all judgement: cut a region by what a rule matches.

A region is a box with ranges on every field. Cutting it by a box of fewer fields gives the part inside and the parts outside,
none of which overlap; nothing is ever sampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconshield.addresses import AddressSet
from reconshield.addresses.intervals import Ranges, intersect, merge, subtract
from reconshield.firewall.ruleset import NAME_BYTES, Box, Field, State, everything

Region = tuple[Ranges, ...]
"""One entry a field, in the order of `Field`."""

EVERYTHING: Region = tuple(everything(field) for field in Field)


class Cut(NamedTuple):
    """A region cut by a box. `sure` is False where a field whose value is not known decides whether it is inside."""

    inside: Region
    outside: list[Region]
    sure: bool


def narrow(region: Region, field: Field, ranges: Ranges) -> Region:
    """The region with other ranges on one field."""
    return (*region[:field], ranges, *region[field + 1 :])


def within(box: Box, region: Region = EVERYTHING) -> Region | None:
    """The part of a region that a box covers, None if they do not meet."""
    parts = list(region)
    for field, ranges in box:
        common = intersect(parts[field], ranges)
        if not common:
            return None
        parts[field] = common
    return tuple(parts)


def cut(region: Region, box: Box, vague: int = 0) -> Cut | None:
    """Cut a region by a box; None where they do not meet. `vague` has a bit for each field that holds *one* of its values."""
    parts: list[Ranges] | None = None
    outside: list[Region] = []
    sure = True
    for field, ranges in box:
        own = region[field] if parts is None else parts[field]
        if len(own) == 1 and len(ranges) == 1:  # by far the commonest case
            (first, last), (low, high) = own[0], ranges[0]
            if low <= first and last <= high:
                continue
            if high < first or last < low:
                return None
        common = intersect(own, ranges)
        if not common:
            return None
        if common == own:
            continue
        if vague >> field & 1:
            sure = False
            continue
        if parts is None:
            parts = list(region)
        parts[field] = subtract(own, ranges)
        outside.append(tuple(parts))
        parts[field] = common
    return Cut(region if parts is None else tuple(parts), outside, sure)


def minus(regions: Iterable[Region], box: Box) -> list[Region]:
    """What of the regions a box does not cover."""
    left: list[Region] = []
    for region in regions:
        parted = cut(region, box)
        left += [region] if parted is None else parted.outside
    return left


def unite(regions: Iterable[Region]) -> list[Region]:
    """The same packets in fewer regions: those that differ on one field only are joined, as long as there are any."""
    left = list(regions)
    before = 0
    while len(left) > 1 and len(left) != before:
        before = len(left)
        for field in Field:
            joined: dict[Region, list[tuple[int, int]]] = {}
            for region in left:
                joined.setdefault(narrow(region, field, ()), []).extend(region[field])
            if len(joined) < len(left):
                left = [narrow(rest, field, merge(ranges)) for rest, ranges in joined.items()]
    return left


def as_box(region: Region) -> Box:
    """A region as a box: only the fields on which it is less than everything."""
    return tuple((field, region[field]) for field in Field if region[field] != EVERYTHING[field])


def describe(region: Region, asked: Region = EVERYTHING) -> list[str]:
    """The fields on which a region is narrower than what was asked, in words: `from 10.8.0.0/24`, `in by eth0`."""
    return [
        f"{WORDS[field]} {field_text(field, region[field], asked[field])}" for field in WORDS if region[field] != asked[field]
    ]


WORDS = {
    Field.SOURCE: "from",
    Field.DESTINATION: "to",
    Field.PROTOCOL: "protocol",
    Field.PORT: "port",
    Field.SOURCE_PORT: "from port",
    Field.IN_INTERFACE: "in by",
    Field.OUT_INTERFACE: "out by",
    Field.STATE: "state",
    Field.FLAGS: "TCP flags",
    Field.ICMP: "ICMP type/code",
    Field.MARK: "mark",
}


def field_text(field: Field, ranges: Ranges, asked: Ranges | None = None) -> str:
    """The values of a field for people; `not …` where what is missing of `asked` is shorter."""
    missing = subtract(asked if asked is not None else everything(field), ranges)
    if missing and len(missing) < len(ranges):
        return f"not {values_text(field, missing)}"
    return values_text(field, ranges)


def values_text(field: Field, ranges: Ranges) -> str:
    if field in {Field.SOURCE, Field.DESTINATION, Field.ORIGINAL_DESTINATION}:
        return AddressSet(ranges).text(4)
    if field in {Field.IN_INTERFACE, Field.OUT_INTERFACE}:
        return ", ".join(name_text(*pair) for pair in ranges)
    if field is Field.STATE:
        return ", ".join(State(number).name.lower() for number in numbers(ranges))
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    return ",".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")


def numbers(ranges: Ranges) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)


def name_text(first: int, last: int) -> str:
    """An interface by its number, `wg*` for the names that begin so."""
    low = first.to_bytes(NAME_BYTES).rstrip(b"\0")
    if first == last:
        return low.decode("utf-8", "replace")
    prefix = bytes(low)
    if int.from_bytes(prefix.ljust(NAME_BYTES, b"\xff")) == last:
        return prefix.decode("utf-8", "replace") + "*"
    return "some others"
