"""JSON objects of sensors, mostly one a line: one of them, the first of a file, and the times in them."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import islice
from typing import Any

import orjson

from reconshield.detect.elements import Cutter, are_lines
from reconshield.detect.flows import LATEST, Bad

Object = dict[str, Any]


def read_object(number: int, line: bytes) -> tuple[int, Object] | Bad:
    try:
        found = orjson.loads(line)
    except ValueError as error:
        return Bad(f"line {number}", f"no JSON: {error}")
    return (number, found) if isinstance(found, dict) else Bad(f"line {number}", "no JSON object")


def first_objects(head: bytes, resume: re.Pattern[bytes], count: int = 5) -> list[Object]:
    """The first objects of a file by its head, for recognising it. `resume` is what `read_elements` wants."""
    if not are_lines(head):
        return [found for found in islice(Cutter(resume).cut(head), count) if isinstance(found, dict)]
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
