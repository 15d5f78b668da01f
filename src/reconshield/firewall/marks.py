"""Which marks packets can have under a ruleset: 0, and what its rules make of it.

A condition such as `mark & 0x4000 == 0x4000` holds for 2^31 scattered numbers. Of those only the few that some rule can set
matter, for marks begin as 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconshield.addresses.intervals import Ranges, merge
from reconshield.firewall.ruleset import Change, Field

MOST_MARKS = 1024
MARK_FIELDS = frozenset({Field.MARK, Field.CONNECTION_MARK})


def possible_marks(changes: Iterable[Change]) -> tuple[int, ...]:
    """All marks that these changes can make out of 0; empty when there are too many to list."""
    wanted = [change for change in changes if change.field in MARK_FIELDS and change.value is not None]
    found, new = {0}, {0}
    while new and len(found) <= MOST_MARKS:
        new = {(mark & change.keep) ^ (change.value or 0) for mark in new for change in wanted} - found
        found |= new
    return tuple(sorted(found)) if len(found) <= MOST_MARKS else ()


def masked_marks(marks: Iterable[int], mask: int, wanted: int) -> Ranges:
    """Those of the possible marks that are `wanted` under a mask."""
    return merge((mark, mark) for mark in marks if mark & mask == wanted)
