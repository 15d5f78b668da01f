"""Long lists in pages: a cursor is the key of the last row that was given, so what comes or goes meanwhile shifts nothing."""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypedDict, TypeVar

from fastapi import Depends, Query

from reconshield.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
Key = tuple[str | int | float, ...]
COMMON, MOST = 100, 1000


class Page(TypedDict, Generic[T]):
    """Part of a list. `next` is the cursor of the part that follows, null at the end."""

    items: list[T]
    next: str | None


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part is asked for: so many rows after that key."""

    after: Key | None
    limit: int
    cursor: str | None = None
    """What `after` was read from, for lists that read it themselves."""

    def placed(self, *kinds: type) -> Any:
        """The key of the last row, if it is of these kinds; None at the beginning."""
        if self.after is None:
            return None
        if [type(part) for part in self.after] != list(kinds):
            raise bad_cursor()
        return self.after

    def follow(self, rows: Sequence[R], key: Callable[[R], Key], line: Callable[[R], T]) -> Page[T]:
        """The part that a question for one row more than wanted gave."""
        part = rows[: self.limit]
        return {
            "items": [line(row) for row in part],
            "next": write_cursor(key(part[-1])) if len(rows) > self.limit else None,
        }

    def cut(self, rows: Sequence[R], key: Callable[[R], Key], line: Callable[[R], T]) -> Page[T]:
        """The part of `rows`, which must be in the order of `key`; only what is given is made into a line."""
        try:
            begin = bisect_right(rows, self.after, key=key) if self.after is not None else 0
        except TypeError as error:
            raise bad_cursor() from error
        part = rows[begin : begin + self.limit]
        more = begin + self.limit < len(rows)
        return {"items": [line(row) for row in part], "next": write_cursor(key(part[-1])) if more else None}


def read_paging(
    cursor: Annotated[str | None, Query(min_length=1, max_length=1000, description="The `next` of the part before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Rows at once.")] = COMMON,
) -> Paging:
    return Paging(read_cursor(cursor) if cursor else None, limit, cursor)


Paged = Annotated[Paging, Depends(read_paging)]


def write_cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(text: str) -> Key:
    """The key in a cursor; anything that cannot be one is a `UserError`."""
    try:
        found: Any = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise bad_cursor() from error
    if not isinstance(found, list) or not found or not all(map(can_be_kept, found)):
        raise bad_cursor()
    return tuple(found)


def can_be_kept(part: Any) -> bool:
    """Whether a database could have given this: numbers of 64 bits, and text that it can hold."""
    if isinstance(part, str):
        return "\0" not in part and not any("\ud800" <= character <= "\udfff" for character in part)
    return isinstance(part, int | float) and -(2.0**63) <= part < 2.0**63


def bad_cursor() -> UserError:
    return UserError("this cursor cannot be read", where="cursor", hint="take the next of the page before, as it is")
