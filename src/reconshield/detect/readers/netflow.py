"""NetFlow v5 and v9: export packets in a file, one behind the other, without the headers of the network."""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.detect.exports import Exports, plausible
from reconshield.detect.flows import Chunks, Item, Reader


def read(chunks: Chunks) -> Iterator[Item]:
    yield from Exports().read(chunks)


def recognises(head: bytes) -> bool:
    return head[:2] in {b"\0\5", b"\0\x09"} and plausible(head[:24])


READER = Reader("netflow", "NetFlow v5 and v9 (export packets)", recognises, read)
