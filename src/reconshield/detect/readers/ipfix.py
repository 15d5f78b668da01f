"""IPFIX files (RFC 5655): messages one behind the other, as a collector or `yaf` writes them."""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.detect.exports import Exports, plausible
from reconshield.detect.flows import Chunks, Item, Reader


def read(chunks: Chunks) -> Iterator[Item]:
    yield from Exports().read(chunks)


def recognises(head: bytes) -> bool:
    return head[:2] == b"\0\x0a" and plausible(head[:24])


READER = Reader("ipfix", "IPFIX (RFC 5655 files)", recognises, read)
