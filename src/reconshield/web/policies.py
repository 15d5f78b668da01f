"""The policy of a workspace as its file says now; read again only when the file has changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from reconshield.errors import UserError
from reconshield.jobs.policy import find_policy

if TYPE_CHECKING:
    from reconshield.policy import Policy


@dataclass(frozen=True, slots=True)
class Print:
    """What tells a file from its earlier versions."""

    changed_ns: int
    size: int
    inode: int


def print_of(path: Path) -> Print | None:
    """None where there is no file that can be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Print(found.st_mtime_ns, found.st_size, found.st_ino)


def current_policy(path: Path) -> tuple[Policy | None, str | None]:
    """The policy, and why there is none although there is a file."""
    seen = print_of(path)
    return (None, None) if seen is None else read_once(path, seen)


@lru_cache(64)
def read_once(path: Path, seen: Print) -> tuple[Policy | None, str | None]:
    del seen
    try:
        return find_policy(path.parent, path), None
    except UserError as error:
        return None, f"The policy is not used: {error.message} ({error.where})."
