"""One way to lay out a policy file, so that a change in Git shows what changed and nothing else.

Order, comments and values stay as they are; only blanks move: one blank line before each table (above its comment), none inside
a table but around comments, single blanks around `=`, two before a comment at the end of a line, four for what a list holds.
Formatting twice changes nothing, and the text reads as before; where it would not, it is left alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import pairwise

from reconshield.toml.faults import parse_toml
from reconshield.toml.statements import KEY, LONG_QUOTES, Statement, end_of_text, read_statements


def format_policy(text: str, file: str) -> str:
    """The text in the one layout. Text that is not TOML is a `UserError`."""
    before = parse_toml(text, file)
    statements = list(read_statements(text))
    laid_out = "".join(f"{line}\n" for line in arrange(statements))
    # The walker is no parser: whatever it got wrong must not change what the file means.
    return laid_out if tomllib.loads(laid_out) == before else text


def arrange(statements: list[Statement]) -> Iterator[str]:
    """The lines, with blank lines where they belong."""
    kept = [(statement, blank) for blank, statement in blanks_before(statements)]
    for number, (statement, blank_before) in enumerate(kept):
        if number and (blank_before or begins_table(kept, number)):
            yield ""
        yield from lay_out(statement)


def blanks_before(statements: list[Statement]) -> Iterator[tuple[bool, Statement]]:
    """What is not blank, and whether a blank line before it stays: before and after a comment."""
    last = ""
    for before, statement in pairwise([Statement("blank", 0, ("",)), *statements]):
        if statement.kind != "blank":
            yield before.kind == "blank" and "comment" in {statement.kind, last}, statement
            last = statement.kind


def begins_table(kept: list[tuple[Statement, bool]], number: int) -> bool:
    """Whether a table begins here: its header, or the comments right above it."""
    at = number
    while at < len(kept) and kept[at][0].kind == "comment" and (at == number or not kept[at][1]):
        at += 1
    is_first = number == 0 or kept[number - 1][0].kind != "comment" or kept[number][1]
    return at < len(kept) and kept[at][0].kind == "header" and (at == number or not kept[at][1]) and is_first


def lay_out(statement: Statement) -> Iterator[str]:
    """The lines of one statement."""
    first = statement.lines[0].strip()
    if statement.kind == "comment":
        yield first
    elif statement.kind == "header":
        header, comment = split_comment(first)
        brackets = 2 if header.startswith("[[") else 1
        name = header.strip("[] ")
        yield with_comment("[" * brackets + name + "]" * brackets, comment)
    elif len(statement.lines) == 1:
        yield lay_out_key(first)
    else:
        yield from lay_out_long(statement.lines)


def lay_out_key(line: str) -> str:
    """`key = value  # comment`."""
    match = KEY.match(line)
    if match is None:
        return line
    value, comment = split_comment(line[match.end() :].strip())
    return with_comment(f"{match[1]} = {value}", comment)


def lay_out_long(lines: tuple[str, ...]) -> Iterator[str]:
    """A value of many lines: lists are indented, long texts are values and stay as they are."""
    if any(quote in line for line in lines for quote in LONG_QUOTES):
        yield from (lines[0].strip(), *lines[1:])
        return
    yield lay_out_key(lines[0].strip())
    for line in lines[1:-1]:
        if plain := line.strip():
            yield "    " + with_comment(*split_comment(plain))
    last = lines[-1].strip()
    yield with_comment(*split_comment(last)) if last.startswith("]") else "    " + with_comment(*split_comment(last))


def split_comment(line: str) -> tuple[str, str]:
    """A line without its comment, and the comment."""
    at = 0
    while at < len(line):
        if line[at] in "\"'":
            at = end_of_text(line, at + 1, line[at])
            if at < 0:
                return line, ""
        elif line[at] == "#":
            return line[:at].rstrip(), line[at:].rstrip()
        else:
            at += 1
    return line.rstrip(), ""


def with_comment(text: str, comment: str) -> str:
    return f"{text}  {comment}".strip() if comment else text
