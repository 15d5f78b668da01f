"""JSON objects out of a stream that may be no JSON: one an item, however commas, brackets and line ends stand between them.

masscan is known to leave a comma before the closing bracket, to forget the bracket when it is stopped, and to write
`{finished: 1}`. So the brackets around the records are not believed: each object is read for itself, and after one that cannot
be read the next is looked for.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from reconshield.intake.lines import split_lines
from reconshield.intake.reading import Bad, Chunks

LONGEST = 256 * 1024
"""An object that has not ended after so many characters is broken."""

NEXT_OBJECT = re.compile(r"\n[\s,\[]*\{")
FINISHED = re.compile(r"\{\s*finished\s*:")

Placed = tuple[str, dict[str, Any]]
"""Where an object stands (`line 7`), and the object."""


def read_objects(chunks: Chunks) -> Iterator[Placed | Bad]:
    """Every object with the place where it begins, and a `Bad` for each that cannot be read."""
    decode, text, line = codecs.getincrementaldecoder("utf-8")("replace").decode, "", 1
    for piece in with_end(chunks):
        ended = piece is None
        text += decode(piece or b"", ended)
        while (begin := text.find("{")) >= 0:
            line, text = line + text.count("\n", 0, begin), text[begin:]
            found = read_first(text, ended)
            if found is None:
                break
            value, end = found
            if value is not None:
                yield f"line {line}", value
            elif not FINISHED.match(text):
                yield Bad(f"line {line}", "this is no JSON object")
            line, text = line + text.count("\n", 0, end), text[end:]
        else:
            line, text = line + text.count("\n"), ""


def with_end(chunks: Chunks) -> Iterator[bytes | None]:
    """The pieces, then None."""
    yield from chunks
    yield None


def read_first(text: str, ended: bool) -> tuple[dict[str, Any] | None, int] | None:
    """The object at the beginning and where it ends; no object when it is broken; None when the rest has to come first."""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        if not ended and len(text) < LONGEST:
            return None
        following = NEXT_OBJECT.search(text, 1)
        return None, following.end() - 1 if following else len(text)
    return value, end


def read_json_lines(chunks: Chunks) -> Iterator[Placed | Bad]:
    """Every object of JSON Lines with its place, and a `Bad` for each line that holds none."""
    for number, line in split_lines(chunks):
        try:
            value = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield f"line {number}", value
        else:
            yield Bad(f"line {number}", "this is no JSON object")
