"""What a feed says, before it is known whether it means anything."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

UNIX = re.compile(r"[0-9]{9,12}(?:\.[0-9]{1,9})?")
"""Unix seconds. With milliseconds in them they have more digits and are refused: they would never end."""


@dataclass(frozen=True, slots=True)
class Record:
    """`value` as it stands, `where` it stands, what it is about, and until when it holds. `kind` is empty where the value tells
    it; `unused` is why the feed itself gives it for information only.
    """

    where: str
    value: str
    label: str = ""
    expires: float | None = None
    port: int = 0
    transport: str = ""
    kind: str = ""
    unused: str = ""


def read_time(text: object) -> float | None:
    """A time as ISO 8601 (UTC where it says nothing) or Unix seconds; None where there is none. Raises ValueError."""
    said = str(text if text is not None else "").strip()
    if not said:
        return None
    try:
        if UNIX.fullmatch(said):
            return datetime.fromtimestamp(float(said), UTC).timestamp()
        found = datetime.fromisoformat(said.removesuffix(" UTC"))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{said[:40]!r} is no time") from None
