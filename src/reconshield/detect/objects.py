"""A file of JSON objects, one a line, as most sensors write it; every line that is no object is named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from reconshield.detect.flows import LATEST, Bad, Chunks
from reconshield.detect.pieces import TooLong, cut_lines

Object = dict[str, Any]


def read_objects(chunks: Chunks) -> Iterator[tuple[int, Object] | Bad]:
    """Each object with the number of its line."""
    for piece in cut_lines(chunks):
        if isinstance(piece, TooLong):
            yield Bad(f"line {piece.line}", "the line is longer than 1 MiB")
            continue
        for number, line in enumerate(piece.data.split(b"\n"), piece.first):
            if line and not line.isspace():
                yield read_object(number, line)


def read_object(number: int, line: bytes) -> tuple[int, Object] | Bad:
    try:
        found = orjson.loads(line)
    except ValueError as error:
        return Bad(f"line {number}", f"no JSON: {error}")
    return (number, found) if isinstance(found, dict) else Bad(f"line {number}", "no JSON object")


def first_objects(head: bytes, count: int = 5) -> list[Object]:
    """The first objects of a file by its head, for recognising it."""
    found = []
    for line in head.split(b"\n", count + 20)[: count + 20]:
        try:
            value = orjson.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
        if len(found) == count:
            break
    return found


def read_moment(value: object) -> float:
    """Unix seconds of a number (of milliseconds, where it would be after 2106), its text, or an ISO 8601 time (also with
    `+0200`); NaN where it is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) if value < LATEST else value / 1000
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            try:
                return float(value)
            except ValueError:
                return float("nan")
    return float("nan")
