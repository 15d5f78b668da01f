"""Files of indicators, one format a file; which one is told by the content.

text -> read_feed -> the name of the format, and its records; one that cannot be read is `Bad` with its place
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from reconshield.detect.feeds import misp, stix, table
from reconshield.detect.feeds.record import Record
from reconshield.detect.flows import Bad

MARKS = "\ufeff \t\r\n"
COMMENT = re.compile(r"(?:^|\s)#")


def read_feed(text: str) -> tuple[str, Iterator[Record | Bad]]:
    """The name of the format, and its records. Raises ValueError for text in no format that is known."""
    if text.lstrip(MARKS).startswith(("{", "[")):
        return read_json(text)
    lines = text.lstrip("\ufeff").splitlines()
    header = table.find_header(lines)
    return ("csv", table.read(lines, header)) if header else ("lines", read_lines(lines))


def read_json(text: str) -> tuple[str, Iterator[Record | Bad]]:
    try:
        found: Any = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if isinstance(found, dict) and isinstance(found.get("objects"), list):
        return "stix", stix.read(found["objects"])
    events = misp.find_events(found)
    if events is None:
        raise ValueError("this JSON is neither a STIX bundle nor a MISP event")
    return "misp", misp.read(events)


def read_lines(lines: Iterable[str]) -> Iterator[Record | Bad]:
    """An indicator a line; `#` begins a comment, but not inside a URL."""
    for number, line in enumerate(lines, 1):
        value, *comment = COMMENT.split(line, maxsplit=1)
        if value.strip():
            yield Record(f"line {number}", value.strip(), "".join(comment).strip())
