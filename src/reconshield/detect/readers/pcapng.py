"""Captures in pcapng: blocks of several kinds, each section with its byte order, each interface with its link type and clock.

A block says how long it is at both ends; a wrong length ends the reading, what came before is kept. Source:
draft-ietf-opsawg-pcapng (PCAP Next Generation Capture File Format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import nan

from reconshield.detect.capture import flows_of
from reconshield.detect.flows import Bad, Chunks, Cut, Item, Reader
from reconshield.detect.frames import LARGEST_FRAME, LINKS, Frames, Gathering, buffers, link_name

SECTION, INTERFACE, PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
MAGIC = 0x1A2B3C4D
LARGEST_BLOCK = 1 << 24
OPTION_END, OPTION_RESOLUTION, OPTION_OFFSET = 0, 9, 14
MICROSECONDS = 1e-6


@dataclass(frozen=True, slots=True)
class Interface:
    """Where packets were captured: link type, seconds of a tick of its clock, and what to add to it."""

    link: int
    unit: float
    offset: int = 0


@dataclass(slots=True)
class Section:
    """What holds until the next section header: the byte order and the interfaces."""

    order: str = "<"
    interfaces: list[Interface] = field(default_factory=list)


def read(chunks: Chunks) -> Iterator[Item]:
    yield from flows_of(read_frames(chunks))


def read_frames(chunks: Chunks) -> Iterator[Frames | Item]:
    rest, section, number = b"", Section(), 1
    for buffer in buffers(chunks):
        data, place = rest + buffer, 0
        gathered: dict[int, Gathering] = {}
        refused = dict[int, int]()
        while True:
            step = next_block(data, place, section)
            if isinstance(step, str):
                yield from hand_on(data, gathered, refused)
                yield Cut(f"packet {number}: {step}")
                return
            if step is None:
                break
            kind, begin, end, place = step
            number += read_block(kind, data, begin, end, section, gathered, refused, number)
        yield from hand_on(data, gathered, refused)
        rest = data[place:]
    if rest:
        yield Cut(f"packet {number}: the file ends within a block")


def hand_on(data: bytes, gathered: dict[int, Gathering], refused: dict[int, int]) -> Iterator[Frames | Item]:
    for link, gathering in gathered.items():
        yield gathering.frames(data, link)
    for link, count in refused.items():
        why = (
            "whose interface or length is not as said" if link < 0 else f"of link type {link_name(link)}, which cannot be read"
        )
        yield Bad("frames", f"{count} {why}")


def next_block(data: bytes, place: int, section: Section) -> tuple[int, int, int, int] | str | None:
    """Kind, begin and end of the content, and where the next block begins; None if it is not whole yet, a text if broken."""
    if place + 12 > len(data):
        return None
    if data[place : place + 4] == b"\x0a\x0d\x0d\x0a":
        order = next((sign for sign in "<>" if struct.unpack_from(f"{sign}I", data, place + 8)[0] == MAGIC), None)
        if order is None:
            return "a section without a byte order"
        section.order, section.interfaces = order, []
    kind, length = struct.unpack_from(f"{section.order}II", data, place)
    if length < 12 or length % 4 or length > LARGEST_BLOCK:
        return f"a block of {length:,} octets"
    if place + length > len(data):
        return None
    return kind, place + 8, place + length - 4, place + length


def read_block(
    kind: int,
    data: bytes,
    begin: int,
    end: int,
    section: Section,
    gathered: dict[int, Gathering],
    refused: dict[int, int],
    number: int,
) -> int:
    """Take in one block. Gives how many packets it holds."""
    if kind == INTERFACE and end - begin >= 8:
        section.interfaces.append(read_interface(data, begin, end, section.order))
        return 0
    if kind == ENHANCED and end - begin >= 20:
        which, high, low, length, wire = struct.unpack_from(f"{section.order}IIIII", data, begin)
        start, ticks = begin + 20, high << 32 | low
    elif kind == PACKET and end - begin >= 20:
        which, _, high, low, length, wire = struct.unpack_from(f"{section.order}HHIIII", data, begin)
        start, ticks = begin + 20, high << 32 | low
    elif kind == SIMPLE and end - begin >= 4:
        (wire,) = struct.unpack_from(f"{section.order}I", data, begin)
        which, start, ticks, length = 0, begin + 4, -1, min(wire, end - begin - 4)
    else:
        return 0
    if which >= len(section.interfaces) or start + length > end or length > LARGEST_FRAME:
        refused[-1] = refused.get(-1, 0) + 1
        return 1
    interface = section.interfaces[which]
    if interface.link not in LINKS:
        refused[interface.link] = refused.get(interface.link, 0) + 1
        return 1
    gathering = gathered.setdefault(interface.link, Gathering())
    gathering.number.append(number)
    gathering.offset.append(start)
    gathering.length.append(length)
    gathering.wire.append(wire)
    gathering.at.append(ticks * interface.unit + interface.offset if ticks >= 0 else nan)
    return 1


def read_interface(data: bytes, begin: int, end: int, order: str) -> Interface:
    (link,) = struct.unpack_from(f"{order}H", data, begin)
    unit, offset, place = MICROSECONDS, 0, begin + 8
    while place + 4 <= end:
        code, length = struct.unpack_from(f"{order}HH", data, place)
        value = data[place + 4 : min(place + 4 + length, end)]
        if code == OPTION_END:
            break
        if code == OPTION_RESOLUTION and value:
            unit = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
        elif code == OPTION_OFFSET and len(value) == 8:
            (offset,) = struct.unpack(f"{order}q", value)
        place += 4 + (length + 3) // 4 * 4
    return Interface(link, unit, offset)


def recognises(head: bytes) -> bool:
    return head[:4] == b"\x0a\x0d\x0d\x0a"


READER = Reader("pcapng", "pcapng capture", recognises, read)
