"""What all capture formats have in common: frames in, flows out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from reconshield.detect.assembly import Assembly
from reconshield.detect.flows import Bad, Item, Note
from reconshield.detect.frames import Frames
from reconshield.detect.headers import decode
from reconshield.text import count

MOST_NAMED = 4
SHARE_TOLD = 0.1
"""The share of frames without IP from which on they are worth a line."""


def flows_of(found: Iterator[Frames | Item]) -> Iterator[Item]:
    """Frames as flows; what else a reader of captures found comes through. Ends with what the frames were that are no
    packets.
    """
    assembly, other, frames = Assembly(), Counter[str](), 0
    for item in found:
        if isinstance(item, Frames):
            packets = decode(item)
            other.update(packets.other)
            frames += item.offset.size
            yield assembly.add(packets.rows, item.data)
        else:
            yield item
    yield assembly.finish()
    if cut := other.pop("cut", 0):
        yield Bad("frames", f"{cut} cut before their addresses or ports")
    other.pop("error", None)
    if (strange := other.total()) > frames * SHARE_TOLD:
        listed = ", ".join(f"{count(number)} {name}" for name, number in other.most_common(MOST_NAMED))
        what = f"{count(strange)} hold no IP packet: {listed}"
        yield Note(f"frames: {what}") if strange < frames else Bad("frames", what)
