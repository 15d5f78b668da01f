"""Rules for a firewall, as text for the terminal and as a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconshield.report.line_types import AdviceLine
from reconshield.report.rows import Row, Span, wrap


def advice_rows(
    title: str, files: Sequence[tuple[str, str]], steps: Mapping[str, str], notes: Sequence[str], width: int
) -> Iterator[Row]:
    """The rules first, then how to apply, undo and check them, then what must be known."""
    yield [Span(title, "bold")]
    for name, text in files:
        yield []
        yield [Span(f"# {name}", "dim")]
        for line in text.rstrip("\n").splitlines():
            yield [Span(line)]
    yield []
    for label, text in steps.items():
        for number, line in enumerate(text.splitlines()):
            yield [Span(f"{label if not number else '':<7}"), Span(line, "command")]
    for note in notes:
        yield from wrap("note   ", note, width)


def advice_line(
    platform: str,
    host: str,
    ports: Sequence[str],
    allow: Sequence[str],
    files: Mapping[str, str],
    steps: Mapping[str, str],
    notes: Sequence[str],
    *,
    public: bool,
) -> AdviceLine:
    return {
        "v": 1,
        "type": "advice",
        "platform": platform,
        "host": host,
        "ports": list(ports),
        "allow": list(allow),
        "public": public,
        "files": dict(files),
        "apply": steps.get("apply", ""),
        "undo": steps.get("undo", ""),
        "check": steps.get("check", ""),
        "notes": list(notes),
    }
