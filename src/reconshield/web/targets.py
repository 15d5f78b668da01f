"""Targets as people write them into a form: one a line, or with commas. Never a file of the server."""

from __future__ import annotations

from reconshield.errors import UserError

MOST_LINES = 10_000


def read_target_lines(text: str, where: str = "targets") -> tuple[str, ...]:
    """The targets of a field. What would be a file or a flag on the command line is refused here."""
    found = [part for line in text.splitlines() for part in line.partition("#")[0].replace(",", " ").split()]
    if len(found) > MOST_LINES:
        raise UserError(
            f"{len(found):,} targets are too many for a form", where=where, hint="give networks, or use the command line"
        )
    for part in found:
        if part.startswith(("@", "-")):
            hint = "write an address, a network, a range or a name"
            raise UserError("this is no target", where=f"{where} {part[:60]}", hint=hint)
    return tuple(found)
