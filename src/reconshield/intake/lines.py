"""A stream of bytes cut into lines with their numbers, with a limit, so that a file without line feeds costs no memory."""

from __future__ import annotations

from collections.abc import Iterator

from reconshield.intake.reading import Chunks

LONGEST = 16 * 2**20
"""A longer line is cut off there; no tool writes such a record."""


def split_lines(chunks: Chunks) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and bytes of each line that is not blank, without its end."""
    number, rest, too_long = 0, b"", False
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            number += 1
            if line.strip() and not too_long:
                yield number, line.strip()
            too_long = False
        if len(rest) > LONGEST:
            if not too_long:
                yield number + 1, rest[:1024]
            rest, too_long = b"", True
    if rest.strip() and not too_long:
        yield number + 1, rest.strip()
