"""What all capture formats have in common: frames in, flows out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconshield.detect.assembly import Assembly
from reconshield.detect.flows import Bad, Item
from reconshield.detect.frames import Frames
from reconshield.detect.headers import decode


def flows_of(found: Iterator[Frames | Item]) -> Iterator[Item]:
    """Frames as flows; what else a reader of captures found comes through. Ends with what the frames were that are no
    packets.
    """
    assembly, other = Assembly(), Counter[str]()
    for item in found:
        if isinstance(item, Frames):
            packets = decode(item)
            other.update(packets.other)
            yield assembly.add(packets.rows, item.data)
        else:
            yield item
    yield assembly.finish()
    if cut := other.pop("cut", 0):
        yield Bad("frames", f"{cut} cut before their addresses or ports")
