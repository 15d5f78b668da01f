"""Captures of libpcap: microseconds or nanoseconds, both byte orders; packets become flows.

Each record's header says how long it is, so a broken length ends the reading: what came before is kept. Source:
draft-ietf-opsawg-pcap (PCAP Capture File Format).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from reconshield.detect.capture import flows_of
from reconshield.detect.flows import Chunks, Cut, Item, Reader
from reconshield.detect.frames import LARGEST_FRAME, LINKS, Frames, Gathering, buffers, link_name

MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
FILE_HEADER, RECORD_HEADER = 24, 16


def read(chunks: Chunks) -> Iterator[Item]:
    yield from flows_of(read_frames(chunks))


def read_frames(chunks: Chunks) -> Iterator[Frames | Item]:
    rest, order, unit, link, number = b"", "", 0.0, -1, 1
    for buffer in buffers(chunks):
        data, place = rest + buffer, 0
        if not order:
            if len(data) < FILE_HEADER:
                rest = data
                continue
            order, unit = MAGICS[data[:4]]
            link = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
            if link not in LINKS:
                yield Cut(f"link type {link_name(link)} cannot be read")
                return
            place = FILE_HEADER
        gathering = Gathering(number)
        place, broken = walk_records(data, place, order, unit, gathering)
        number += len(gathering.offset)
        yield gathering.frames(data, link)
        if broken:
            yield Cut(f"packet {number}: {broken}")
            return
        rest = data[place:]
    if rest:
        yield Cut(f"packet {number}: the file ends within it")


def walk_records(data: bytes, place: int, order: str, unit: float, gathering: Gathering) -> tuple[int, str]:
    """Note every whole record; gives where the first unfinished one begins, and what is wrong with it."""
    header, finish = struct.Struct(f"{order}IIII"), len(data)
    while place + RECORD_HEADER <= finish:
        seconds, fraction, length, wire = header.unpack_from(data, place)
        if length > LARGEST_FRAME:
            return place, f"a length of {length:,} octets"
        if place + RECORD_HEADER + length > finish:
            break
        gathering.offset.append(place + RECORD_HEADER)
        gathering.length.append(length)
        gathering.wire.append(wire)
        gathering.at.append(seconds + fraction * unit)
        place += RECORD_HEADER + length
    return place, ""


def recognises(head: bytes) -> bool:
    return head[:4] in MAGICS


READER = Reader("pcap", "pcap capture", recognises, read)
