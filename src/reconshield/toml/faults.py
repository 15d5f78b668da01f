"""Faults of a file as people need them: file, line, key, what is wrong, what is allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconshield.errors import UserError
from reconshield.toml.schema import Fault
from reconshield.toml.statements import Path, read_statements

AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


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


def parse_toml(text: str, file: str) -> dict[str, Any]:
    """The tables of a TOML text; text that is not TOML is a UserError that names file and line."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        said = str(error)
        at = AT_LINE.search(said)
        where = f"{file}:{at[1]}" if at else file
        raise UserError(f"the file is not valid TOML: {AT_LINE.sub('', said)}", where=where, hint=f"mend {file}") from error


def path_text(path: Path) -> str:
    """`endpoint[1].risk.impact.points`, counted from 1 as people do."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def find_lines(text: str) -> Mapping[Path, int]:
    """The line (from 1) of every header and key that is written in the text, and of the first thing under each of them."""
    found: dict[Path, int] = {}
    for statement in read_statements(text):
        for depth in range(len(statement.path), 0, -1):
            found.setdefault(statement.path[:depth], statement.line)
    return found


def line_of(lines: Mapping[Path, int], path: Path) -> int:
    """The line of the deepest part of `path` that is written."""
    return next((lines[path[:depth]] for depth in range(len(path), 0, -1) if path[:depth] in lines), 1)


def find_line(text: str, path: Path) -> int:
    """The line of the deepest part of `path` that is written in the text."""
    return line_of(find_lines(text), path)


def place(file: str, text: str, faults: Sequence[Fault]) -> list[FileFault]:
    """The faults with file and line, in order of line."""
    if not faults:
        return []
    lines = find_lines(text)
    return sorted((FileFault(file, line_of(lines, fault.path), fault) for fault in faults), key=lambda item: item.line)


def refuse(faults: Sequence[FileFault], hint: str = "mend the file") -> None:
    """Raise a UserError for the first fault, if there is one; the others are counted."""
    if not faults:
        return
    first, more = faults[0], len(faults) - 1
    message = first.fault.message + (f" (and {more} more fault{'s' * (more > 1)})" if more else "")
    raise UserError(message, where=first.where, hint=f"allowed: {first.fault.allowed}" if first.fault.allowed else hint)
