"""One target as people write it, read into a set of addresses or a name.

    10.0.0.5   10.88.3   0x0a580304   ::ffff:10.0.0.5          an address, in every spelling that reaches it
    10.0.0.0/24   2001:db8::/120                               a network
    10.0.0.1-20   10.0.0.1-10.0.1.9   2001:db8::1-2001:db8::9  a range
    10.0.0-3.1,7,20-30   10.0.*.1                              parts as in nmap
    mail.example.org   bücher.example                          a name; `jobs` resolves it

What is meant as an address and is none is refused here; it never becomes a name that a resolver might answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import prod

from reconshield.addresses import intervals
from reconshield.addresses.intervals import Ranges
from reconshield.addresses.sets import V4_FIRST, V4_LAST, AddressSet, ipv4_of, ipv6_of, text_of
from reconshield.errors import UserError

IPV6_LIMIT = 1 << 16
"""Addresses that one IPv6 target may hold to be measured: a /112."""

SCATTER_LIMIT = 1 << 16
"""Ranges that one pattern such as `*.*.*.1` may fall into."""

NAME_LIMIT = 253
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
PATTERN_PART = re.compile(r"\*|([0-9]{0,3})-([0-9]{0,3})|[0-9]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """What one target text means: either `addresses` or a `name` still to resolve, never both."""

    text: str
    addresses: AddressSet | None = None
    name: str | None = None


def parse_target(text: str, *, where: str | None = None, wide: bool = False) -> Target:
    """Read one target. `where` is quoted in errors; `wide` admits IPv6 networks of any size, as grants and exclusions need.

    Names come back in lower case, encoded with IDNA, without the trailing dot. Whatever cannot be read, a /0, a scope id,
    and, unless `wide`, an IPv6 target of more than 65,536 addresses is a `UserError`.
    """
    shown = where or text
    plain = to_ascii(text, shown)
    addresses = read_addresses(plain, shown)
    if addresses is None:
        return Target(text.strip(), name=read_name(plain, shown))
    check_size(addresses, shown, wide=wide)
    return Target(text.strip(), addresses=addresses)


def parse_targets_file(lines: Iterable[str], where: str, *, wide: bool = False) -> tuple[Target, ...]:
    """Read a list of targets: separated by lines or blanks, `#` starts a comment. `where` is the name of the file."""
    targets = [
        parse_target(word, where=f"{where} line {number}: {word}", wide=wide)
        for number, line in enumerate(lines, start=1)
        for word in line.partition("#")[0].split()
    ]
    if not targets:
        raise UserError("the list of targets is empty", where=where, hint="write one address, network or name per line")
    return tuple(targets)


def to_ascii(text: str, where: str) -> str:
    """Lower case, without the dot of the root, names outside ASCII encoded with IDNA.

    IDNA comes before everything else: it turns full-width digits and dots into plain ones, so `１０.0.0.1` is an address.
    """
    plain = text.strip().strip("\ufeff")
    if not plain or len(plain) > 4 * NAME_LIMIT:
        raise UserError(
            "a target is empty" if not plain else "a target is too long", where=where[:80], hint="give an address or a name"
        )
    if "%" in plain:
        raise UserError(
            "an address with a scope id cannot be a target",
            where=where,
            hint="give the global or unique local address, without %",
        )
    if not plain.isascii():
        try:
            plain = plain.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise UserError(
                "this name cannot be encoded for DNS (IDNA)", where=where, hint="give the name in its xn-- form, or the address"
            ) from error
    plain = plain.lower()
    return plain.removesuffix(".")


def read_addresses(text: str, where: str) -> AddressSet | None:
    """The addresses that a text in ASCII means; None if it is to be read as a name."""
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if "://" in text:
        raise UserError("a URL is no target", where=where, hint=f"give the host alone: {text.split('://')[1].split('/')[0]}")
    if "/" in text:
        return read_network(text, where)
    if ":" in text:
        return read_ipv6(text, where)
    value = ipv4_of(text)
    if value is not None:
        return AddressSet(((value, value),))
    if meant_as_address(text):
        return read_ipv4_range(text, where)
    return None


def meant_as_address(text: str) -> bool:
    """Whether a text without colon or slash can only be meant as IPv4: no name ends in a number (RFC 3696 section 2)."""
    return bool(NUMERIC_LABEL.fullmatch(text.rpartition(".")[2])) or bool(re.fullmatch(r"[0-9.,*-]+", text))


def read_network(text: str, where: str) -> AddressSet:
    base, _, prefix = text.partition("/")
    value = ipv6_of(base) if ":" in base else ipv4_of(base)
    if ":" not in base and value is not None and base.count(".") != 3:
        raise UserError(
            "a network needs all four parts of its address",
            where=where,
            hint=f"write {text_of(value)}/{prefix} if you mean that",
        )
    if value is None:
        raise UserError("this is no network", where=where, hint="write it as 192.0.2.0/24 or 2001:db8::/120")
    width = 128 if ":" in base else 32
    if not re.fullmatch(r"[0-9]{1,3}", prefix, re.ASCII) or int(prefix) > width:
        raise UserError(f"the prefix of a network is a number from 1 to {width}", where=where, hint="write it as 192.0.2.0/24")
    host_bits = width - int(prefix)
    first = value >> host_bits << host_bits if width == 128 else V4_FIRST | ((value & 0xFFFFFFFF) >> host_bits << host_bits)
    return AddressSet(((first, first | (1 << host_bits) - 1),))


def read_ipv6(text: str, where: str) -> AddressSet:
    """An IPv6 address, or a range whose end is an address or the last group alone."""
    first_text, dash, last_text = text.partition("-")
    first = ipv6_of(first_text)
    if dash and first is not None and "." not in first_text and re.fullmatch(r"[0-9a-f]{1,4}", last_text):
        last: int | None = first >> 16 << 16 | int(last_text, 16)
    else:
        last = ipv6_of(last_text) if dash else first
    if first is None or last is None:
        host, _, port = text.rpartition(":")
        hint = (
            f"give the port apart: {host} -p {port}" if host.count(":") == 0 and port.isdigit() else "write it as 2001:db8::7"
        )
        raise UserError("this is no IPv6 address", where=where, hint=hint)
    return range_of(first, last, where)


def read_ipv4_range(text: str, where: str) -> AddressSet:
    """`a.b.c.d-e.f.g.h`, or four parts each of which is a number, a range, a list or `*`."""
    if text.count("-") == 1 and text.count(".") == 6 and "," not in text:
        first, last = (ipv4_of(end) for end in text.split("-"))
        if first is not None and last is not None:
            return range_of(first, last, where)
    parts = text.split(".")
    if len(parts) != 4:
        hint = (
            "separate targets by blanks" if text.count(".") > 3 else "write all four parts: 10.0.0.5, 10.0.0.0/24, 10.0.0.1-20"
        )
        raise UserError("this is no IPv4 address or range", where=where, hint=hint)
    return AddressSet(spread([read_part(part, where) for part in parts], where))


def read_part(part: str, where: str) -> Ranges:
    """One part of a pattern: `7`, `1-20`, `1-`, `-20`, `*`, or several with commas."""
    found: list[tuple[int, int]] = []
    for piece in part.split(","):
        match = PATTERN_PART.fullmatch(piece)
        numbers = [number for number in re.split(r"[*-]", piece) if number]
        # 010 is 8 to the C library and 10 to people; in a pattern there is no reason to allow it.
        if match is None or any(number != "0" and number.startswith("0") for number in numbers):
            raise UserError("this is no IPv4 address or range", where=where, hint="write parts as 7, 1-20, 1,5,9 or *")
        if "*" in piece:
            found.append((0, 255))
        elif "-" in piece:
            found.append((int(match[1] or 0), int(match[2] or 255)))
        else:
            found.append((int(piece), int(piece)))
    for first, last in found:
        if last > 255:
            raise UserError(
                f"part {last} of an IPv4 address is out of range (0–255)",
                where=where,
                hint="a part is 0 to 255, a range such as 1-20, or *",
            )
        if last < first:
            raise UserError(f"the range {first}-{last} is reversed", where=where, hint=f"write {last}-{first}")
    return intervals.merge(found)


def spread(parts: list[Ranges], where: str) -> Ranges:
    """All combinations of four parts, as ranges. Parts that are full at the end cost nothing."""
    fixed = 4
    while fixed > 1 and parts[fixed - 1] == ((0, 255),):
        fixed -= 1
    span = 256 ** (4 - fixed)
    if prod(intervals.count(part) for part in parts[: fixed - 1]) * len(parts[fixed - 1]) > SCATTER_LIMIT:
        raise UserError("this pattern falls into too many pieces", where=where, hint="give networks, or a list with -iL FILE")
    heads = product(*([octet for first, last in part for octet in range(first, last + 1)] for part in parts[: fixed - 1]))
    found: list[tuple[int, int]] = []
    for head in heads:
        base = 0
        for octet in head:
            base = base << 8 | octet
        for first, last in parts[fixed - 1]:
            start = V4_FIRST | (base << 8 | first) * span
            found.append((start, V4_FIRST | (base << 8 | last) * span + span - 1))
    return intervals.merge(found)


def range_of(first: int, last: int, where: str) -> AddressSet:
    if last < first:
        raise UserError("this range is reversed", where=where, hint=f"write {text_of(last)}-{text_of(first)}")
    return AddressSet(((first, last),))


def check_size(addresses: AddressSet, where: str, *, wide: bool) -> None:
    """A whole address family is never a target; an IPv6 network is too large to be measured one by one."""
    hint = "give networks that you are responsible for"
    if addresses.covers(IPV4) or addresses.covers(GLOBAL_IPV6):
        raise UserError("a target cannot be the whole Internet", where=where, hint=hint)
    if not wide and (addresses - IPV4).count > IPV6_LIMIT:
        hint = "give addresses, for example from DNS, DHCP or the neighbour table; a /112 is the largest network"
        raise UserError("an IPv6 network shorter than /112 is too large to measure", where=where, hint=hint)


def read_name(text: str, where: str) -> str:
    """A host name: labels of letters, digits, hyphen and underscore."""
    if len(text) > NAME_LIMIT or not all(LABEL.fullmatch(label) for label in text.split(".")):
        raise UserError(
            "this is neither an address nor a host name", where=where, hint="give an address, a network, a range or a name"
        )
    return text


IPV4 = AddressSet(((V4_FIRST, V4_LAST),))
GLOBAL_IPV6 = read_network("2000::/3", "")

LOOPBACK = read_network("127.0.0.0/8", "") | AddressSet.of("::1")

NEVER = read_network("0.0.0.0/8", "") | read_network("224.0.0.0/3", "") | read_network("ff00::/8", "") | AddressSet.of("::")
"""What is never measured: "this network", multicast, reserved with broadcast (224/3 is 224/4 and 240/4), and `::`."""
