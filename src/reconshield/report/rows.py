"""Lines for the terminal as pieces of text with the name of a colour, so that a test can read them as plain text.

Colour and ASCII spelling are the caller's; `wrap` breaks a text at blanks so that no line runs over its width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.text import width_of


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line, and what it is (a rating, "dim", "bold", or "" for plain text)."""

    text: str
    colour: str = ""


Row = list[Span]


def plain(row: Row) -> str:
    """The text of a line without its colours."""
    return "".join(span.text for span in row)


def wrap(lead: str, text: str, width: int, colour: str = "") -> Iterator[Row]:
    """The text after a lead, wrapped at blanks to the width, further lines indented under the first."""
    room = max(width - width_of(lead), 12)
    line = ""
    lines: list[str] = []
    for word in text.split():
        if line and width_of(line) + 1 + width_of(word) > room:
            lines.append(line)
            line = ""
        while width_of(word) > room:
            lines.append(word[:room])
            word = word[room:]  # noqa: PLW2901 - the rest of a word longer than a line
        line = f"{line} {word}" if line else word
    lines.append(line)
    for number, part in enumerate(lines):
        yield [Span(lead if number == 0 else " " * width_of(lead)), Span(part, colour)]
