"""What the commands print: results on standard output, everything else on standard error.

An error is three lines (what, where, next). Colour is only 16-colour ANSI and only on a terminal; symbols have an ASCII form.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from reconshield.errors import Refused, UserError
from reconshield.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconshield.settings import Settings

ASCII_FORM = str.maketrans(
    {"→": "->", "←": "<-", "×": "x", "…": "...", "·": "-", "✗": "x", "✓": "ok", "█": "#", "░": ".", "–": "-", "−": "-"}
)
COLOURS = {"critical": "1;31", "high": "31", "medium": "33", "low": "34", "dim": "2", "bold": "1", "command": "36"}


@dataclass(frozen=True, slots=True)
class Invocation:
    """How the program was called: the resolved settings and how it may print."""

    settings: Settings
    quiet: bool = False
    color: bool = False
    ascii: bool = False

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour, where colour is allowed."""
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self.color and colour in COLOURS else text

    def spell(self, text: str) -> str:
        """The text in ASCII where the terminal asks for it."""
        return text.translate(ASCII_FORM) if self.ascii else text

    def print(self, lines: str | Iterable[str]) -> None:
        """A part of the result, to standard output."""
        for line in [lines] if isinstance(lines, str) else lines:
            sys.stdout.write(self.spell(line) + "\n")

    def tell(self, line: str) -> None:
        """A remark beside the result (warnings, where a file went), to standard error."""
        sys.stderr.write(self.spell(line) + "\n")

    def suggest(self, *commands: str) -> None:
        """The next command or two, to standard error unless the user asked for quiet."""
        if self.quiet:
            return
        for number, command in enumerate(commands):
            sys.stderr.write(("next  " if number == 0 else "      ") + self.paint(self.spell(command), "command") + "\n")


def wants_ascii(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True where the locale is not UTF-8 or the terminal is dumb."""
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return environ.get("TERM") == "dumb" or encoding not in {"utf8", "utf8sig"}


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True on a terminal, unless NO_COLOR is set or the terminal is dumb."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def print_error(error: UserError) -> None:
    """The three lines of an error: what, where (or why nothing was allowed), next, and where it was logged."""
    lines = [f"{error.prefix}: {error.message}"]
    if error.where:
        label = "why  " if isinstance(error, Refused) else "where"
        lines.append(f"  {label}  " + error.where.replace("\n", "\n         "))
    if error.hint:
        lines.append("  next   " + error.hint.replace("\n", "\n         "))
    lines += [f"  log    {note}" for note in getattr(error, "__notes__", ())]
    # What a user typed or a file said may hold what a terminal obeys.
    text = "".join(c if c == "\n" or c.isprintable() else printable(c, None) for c in "\n".join(lines)) + "\n"
    if wants_ascii(sys.stderr, os.environ):
        text = text.translate(ASCII_FORM)
    sys.stderr.write(text)
