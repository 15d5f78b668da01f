"""What an nft `match` or the key of a map matches, as boxes that do not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from reconshield.addresses.intervals import Ranges, merge, subtract
from reconshield.firewall.marks import MARK_FIELDS, masked_marks
from reconshield.firewall.nft.operands import Operand, read_operand
from reconshield.firewall.regions import EVERYTHING, as_box, minus, within
from reconshield.firewall.ruleset import LAST, Box, Field, everything
from reconshield.firewall.values import Faulty, join, join_boxes, read_number

MOST_BOXES = 20_000
MOST_RANGES = 4096
PAIR = 2


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set or map of a table: its elements as JSON has them. `moving` says that the kernel changes it by itself."""

    elements: tuple[Any, ...]
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Sets:
    """What rules of a table can name: its sets and maps, and the marks that packets can have."""

    by_name: Mapping[str, NamedSet] = field(default_factory=dict)
    marks: tuple[int, ...] = ()


def read_match(part: Mapping[str, Any], sets: Sets) -> list[Box]:
    """The boxes of one `match`. Raises `Faulty` for what is not supported."""
    left, operator, right = part.get("left"), str(part.get("op", "==")), part.get("right")
    if isinstance(left, dict) and "concat" in left:
        return read_concat(left["concat"], operator, right, sets)
    if isinstance(left, dict) and "&" in left:
        return read_masked(left["&"], operator, right, sets)
    if is_reverse_path(left):
        return reverse_path(operator, right)
    operand = read_operand(left)
    if operator in {"in", "!"} or (operand.flags and isinstance(right, list)):
        return on(operand, read_bits(operand, operator, right))
    ranges = merge(pair for value in members(right, sets) for pair in read_value(operand, value))
    return on(operand, compare(operand.field, operator, ranges))


def on(operand: Operand, ranges: Ranges) -> list[Box]:
    """One condition with what it needs; no box where nothing can match."""
    joined = join_boxes(operand.needs, ((operand.field, ranges),)) if ranges else None
    return [joined] if joined is not None else []


def compare(field: Field, operator: str, ranges: Ranges) -> Ranges:
    """The values for which a comparison with these holds."""
    every = everything(field)
    if operator == "==":
        return ranges
    if operator == "!=":
        return subtract(every, ranges)
    if operator in {"<", "<=", ">", ">="} and len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        value = ranges[0][0]
        low = 0 if operator[0] == "<" else value + (operator == ">")
        high = LAST[field] if operator[0] == ">" else value - (operator == "<")
        return ((low, high),) if low <= high else ()
    raise Faulty(f"the comparison {operator[:10]!r} is not supported")


def members(right: Any, sets: Sets) -> list[Any]:
    """The single values, prefixes and ranges that a right side stands for."""
    if isinstance(right, str) and right.startswith("@"):
        named = sets.by_name.get(right[1:])
        if named is None:
            raise Faulty(f"the set {right[:40]} is not in this file")
        elements: Iterable[Any] = named.elements
    elif isinstance(right, dict) and "set" in right:
        elements = right["set"] if isinstance(right["set"], list) else [right["set"]]
    else:
        elements = [right]
    return [bare(element) for element in elements]


def bare(element: Any) -> Any:
    """An element without its time-out, comment and counters."""
    if isinstance(element, dict) and isinstance(element.get("elem"), dict):
        return element["elem"].get("val")
    return element


def read_value(operand: Operand, value: Any) -> Ranges:
    """One value, prefix or range of an operand."""
    if value == "*":
        return everything(operand.field)
    if isinstance(value, dict) and isinstance(prefix := value.get("prefix"), dict):
        return operand.read(f"{prefix.get('addr')}/{prefix.get('len')}")
    if isinstance(value, dict) and isinstance(ends := value.get("range"), list) and len(ends) == PAIR:
        first, last = (operand.read(end) for end in ends)
        if last[0][0] < first[0][0]:
            raise Faulty("a range is reversed")
        return ((first[0][0], last[-1][1]),)
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return operand.read(value)
    raise Faulty(f"the value {str(value)[:40]!r} is not supported")


def read_concat(parts: Any, operator: str, right: Any, sets: Sets) -> list[Box]:
    """Several fields at once, compared with a set of tuples."""
    if not isinstance(parts, list):
        raise Faulty("a concatenation without parts")
    operands = [read_operand(part) for part in parts]
    boxes = [box for value in members(right, sets) for box in read_tuple(operands, value)]
    if operator == "==":
        return boxes
    if operator != "!=":
        raise Faulty(f"the comparison {operator[:10]!r} of several fields is not supported")
    needs: list[Box] = reduce(join, ([operand.needs] for operand in operands), [()])
    regions = [region for need in needs if (region := within(need)) is not None]
    for box in boxes:
        regions = minus(regions, box)
        if len(regions) > MOST_BOXES:
            raise Faulty(f"the opposite of a set has more than {MOST_BOXES:,} parts")
    return [as_box(region) for region in regions]


def read_tuple(operands: list[Operand], value: Any) -> list[Box]:
    """One element of a set of tuples."""
    values = value.get("concat") if isinstance(value, dict) else None
    if not isinstance(values, list) or len(values) != len(operands):
        raise Faulty("an element of a set does not fit its fields")
    pairs = [on(operand, read_value(operand, bare(part))) for operand, part in zip(operands, values, strict=True)]
    return reduce(join, pairs, [()])


def read_bits(operand: Operand, operator: str, right: Any) -> Ranges:
    """`in`: one of these bits is set (for states: the state is among these); `!`: none is; `==`: exactly these are."""
    names = right if isinstance(right, list) else right["|"] if isinstance(right, dict) and "|" in right else [right]
    if not operand.flags:
        found = merge(pair for name in names for pair in operand.read(name))
        return found if operator in {"in", "=="} else subtract(EVERYTHING[operand.field], found)
    bits = reduce(lambda all_bits, name: all_bits | operand.read(name)[0][0], names, 0)
    if operator in {"==", "!="}:
        return compare(operand.field, operator, ((bits, bits),))
    some = merge((value, value) for value in range(LAST[operand.field] + 1) if value & bits)
    return some if operator == "in" else subtract(EVERYTHING[operand.field], some)


def read_masked(parts: Any, operator: str, right: Any, sets: Sets) -> list[Box]:
    """`field & mask == value`, for TCP flags, addresses with a network mask, and marks whose mask is not too scattered."""
    if not isinstance(parts, list) or len(parts) != PAIR:
        raise Faulty("a mask without two parts")
    if is_fragment_offset(parts[0]):
        return constant(0, operator, right)
    operand = read_operand(parts[0])
    if operand.flags:
        mask = bits_of(operand, parts[1])
        wanted = {bits_of(operand, value) for value in members(right, sets)}
        equal = {value for value in range(LAST[operand.field] + 1) if value & mask in wanted}
        return on(operand, compare(operand.field, operator, merge((value, value) for value in equal)))
    if operand.field is Field.STATE:
        return on(operand, read_bits(operand, "in" if operator == "!=" else "!", parts[1]))
    mask, wanted_value = operand.read(parts[1])[0][0], operand.read(right)[0][0]
    if operand.field in MARK_FIELDS and sets.marks:
        return on(operand, compare(operand.field, operator, masked_marks(sets.marks, mask, wanted_value)))
    width = 32 if LAST[operand.field] > 65535 and operand.needs != V6_NEEDS else 128 if operand.needs == V6_NEEDS else 16
    return on(operand, compare(operand.field, operator, masked(mask, wanted_value, width)))


V6_NEEDS: Box = ((Field.FAMILY, ((6, 6),)),)


def masked(mask: int, wanted: int, width: int) -> Ranges:
    """All values of so many bits that give `wanted` under the mask. Bits above the width are kept as `wanted` has them."""
    low = (1 << width) - 1
    if wanted & ~mask & low:
        return ()
    free = ~mask & low
    run = (~free & (free + 1)).bit_length() - 1  # the free bits at the end are one range
    scattered = [bit for bit in range(run, width) if free >> bit & 1]
    if 1 << len(scattered) > MOST_RANGES:
        raise Faulty("a mask with too many gaps is not supported")
    bases = [wanted]
    for bit in scattered:
        bases += [base | 1 << bit for base in bases]
    return merge((base, base | (1 << run) - 1) for base in bases)


def bits_of(operand: Operand, value: Any) -> int:
    """A combination of flags, as a list, a name or a number."""
    names = value if isinstance(value, list) else value["|"] if isinstance(value, dict) and "|" in value else [value]
    return reduce(lambda bits, name: bits | operand.read(name)[0][0], names, 0)


def is_fragment_offset(left: Any) -> bool:
    return isinstance(left, dict) and left.get("payload") == {"protocol": "ip", "field": "frag-off"}


def constant(value: int, operator: str, right: Any) -> list[Box]:
    """A comparison whose left side is known: packets that are asked about are whole."""
    equal = value == read_number(right, 65535)
    return [()] if equal == (operator == "==") else []


def is_reverse_path(left: Any) -> bool:
    """`fib saddr . iif oif`: whether there is a way back by the interface that a packet came in by."""
    fib = left.get("fib") if isinstance(left, dict) else None
    return isinstance(fib, dict) and fib.get("result") in {"oif", "oifname"} and "saddr" in str(fib.get("flags"))


def reverse_path(operator: str, right: Any) -> list[Box]:
    """Sources are taken to be where they are routed to: the way back exists."""
    if not isinstance(right, bool) and right != 0:
        raise Faulty("`fib` with an interface is not supported")
    return [()] if bool(right) == (operator == "==") else []
