"""Faults of a catalogue file as people need them: file, line, key, what is wrong, what is allowed.

The TOML reader gives values without positions, so the line is found again in the text by walking its headers and keys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from reconshield.errors import UserError
from reconshield.knowledge.schema import Fault, Path

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"-]+)\s*=")


@dataclass(frozen=True, slots=True)
class FileFault:
    """A fault and the file it is in. `str()` is `pop3.toml:14 endpoint[1].risk.impact.points: …; allowed: …`."""

    file: str
    line: int
    fault: Fault

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" + (f" {path_text(self.fault.path)}" if self.fault.path else "")

    def __str__(self) -> str:
        return f"{self.where}: {self.fault.message}" + (f"; allowed: {self.fault.allowed}" if self.fault.allowed else "")


def path_text(path: Path) -> str:
    """`endpoint[1].risk.impact.points`, counted from 1 as people do."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def place(file: str, text: str, faults: Sequence[Fault]) -> list[FileFault]:
    """The faults with file and line, in order of line."""
    return sorted((FileFault(file, find_line(text, fault.path), fault) for fault in faults), key=lambda item: item.line)


def find_line(text: str, path: Path) -> int:
    """The line (from 1) of the deepest part of `path` that is written in the text."""
    best_depth, best_line = 0, 1
    counts: dict[tuple[str | int, ...], int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _table_path(header[2], header[1] == "[[", counts)
            here = table
        elif key := _KEY.match(line):
            here = (*table, *key[1].replace('"', "").split("."))
        else:
            continue
        depth = _shared(here, path)
        # A header may stand above the value; a key must lead to it.
        if depth > best_depth and depth in {len(here), len(path)}:
            best_depth, best_line = depth, number
        if depth == len(path) - 1 and depth < len(here) and re.search(rf"\b{re.escape(str(path[-1]))}\s*=", line):
            return number
    return best_line


def _table_path(header: str, array: bool, counts: dict[tuple[str | int, ...], int]) -> Path:
    """The full path of a header, with the number of the array entry it belongs to."""
    path: tuple[str | int, ...] = ()
    parts = [part.strip().strip('"') for part in header.split(".")]
    for position, part in enumerate(parts):
        path = (*path, part)
        if array and position == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _shared(here: Path, path: Path) -> int:
    depth = 0
    for ours, theirs in zip(here, path, strict=False):
        if ours != theirs:
            break
        depth += 1
    return depth


def refuse(faults: Sequence[FileFault]) -> None:
    """Raise a UserError for the first fault, if there is one; the others are counted."""
    if not faults:
        return
    first, more = faults[0], len(faults) - 1
    hint = f"allowed: {first.fault.allowed}" if first.fault.allowed else "mend the file"
    raise UserError(
        first.fault.message + (f" (and {more} more fault{'s' * (more > 1)})" if more else ""), where=first.where, hint=hint
    )
