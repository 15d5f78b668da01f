"""What a feed says, before it is known whether it means anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


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
    if said.replace(".", "", 1).isdigit() and len(said) >= 9:
        return float(said)
    try:
        found = datetime.fromisoformat(said.removesuffix(" UTC"))
    except ValueError:
        raise ValueError(f"{said[:40]!r} is no time") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
