"""Answers packed with gzip where that gives nothing away.

How well text packs tells what is in it: where a secret (the token against forgery, what is open here) stands beside text that
a stranger chose (a banner), watching sizes can give the secret away. So our own files and the catalogue's text are packed, once
for everybody, and what is a visitor's own goes as it is between them: as stored blocks of the same gzip stream, which no packed
block refers to.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass

from fastapi import Request

HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
LAST = b"\x03\x00"
"""An empty last block of a deflate stream."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of an answer as it is, and as whole blocks of a deflate stream that stand for themselves."""

    plain: bytes
    blocks: bytes


def packed_part(text: str) -> Part:
    """For what is the same for everybody."""
    return part(text.encode(), 9)


def stored_part(text: str) -> Part:
    """For what is a visitor's own."""
    return part(text.encode(), 0)


def part(plain: bytes, level: int) -> Part:
    made = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return Part(plain, made.compress(plain) + made.flush(zlib.Z_FULL_FLUSH))


def as_gzip(parts: tuple[Part, ...]) -> bytes:
    """The parts as one gzip stream."""
    check, size = 0, 0
    for each in parts:
        check, size = zlib.crc32(each.plain, check), size + len(each.plain)
    return b"".join((HEAD, *(each.blocks for each in parts), LAST, struct.pack("<LL", check, size & 0xFFFFFFFF)))


def pack_file(content: bytes) -> bytes:
    """One of our own files."""
    return gzip.compress(content, 9, mtime=0)


def takes_gzip(request: Request) -> bool:
    """Whether the browser says that it unpacks gzip."""
    for said in request.headers.get("accept-encoding", "").split(","):
        name, _, quality = said.partition(";")
        if name.strip().lower() == "gzip":
            return quality.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False


def headers_of(*, packed: bool) -> dict[str, str]:
    """What an answer says that comes in both forms."""
    return {"vary": "accept-encoding"} | ({"content-encoding": "gzip"} if packed else {})
