"""A match in traffic, as detection, reports, alerts and the store hand it on: what was seen, and every point with its reason.

Values without behaviour. `detect` makes them, everybody may read them.
"""

from __future__ import annotations

from dataclasses import dataclass

NOTED = "noted"
"""The rating below Low: kept, counted, and not shown unless asked for."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One addend: its class, its points, why, and the ATT&CK technique or source it leans on."""

    kind: str
    points: int
    because: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """A score with its rating, and which rule held the rating down."""

    score: int
    rating: str
    held: str = ""


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What the policy says of a detection that somebody has looked at. `live` until it has expired; it hides nothing."""

    because: str
    live: bool


@dataclass(frozen=True, slots=True)
class Beat:
    """A second in which flows began: how long after the one before (None for the first), and the octets that were sent."""

    at: float
    gap: float | None
    sent: int


@dataclass(frozen=True, slots=True)
class Window:
    """A twelfth of a conversation's time: its beginning, the seconds with flows in it, and the gaps that ended in it."""

    begin: float
    beats: int
    shortest: float | None
    middle: float | None
    longest: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """How a conversation went on, for charts and their tables. `span` is the time that all flows together cover, cut into parts
    with the flows that began in each; `beats` are some of `count`, evenly chosen, and `sample` the first and the last;
    `median` and `spread` (median deviation) are those of all gaps, None where there are fewer than three.
    """

    span: tuple[float, float]
    parts: tuple[int, ...]
    beats: tuple[Beat, ...]
    count: int
    sample: tuple[Beat, ...]
    windows: tuple[Window, ...] = ()
    median: float | None = None
    spread: float | None = None
    longest: float | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """One (source, destination, port, transport) that should be looked at, with everything it rests on.

    Times are Unix seconds. `sample` says where some of its flows stand (`file:line`); `hours` counts flows an hour for a
    picture.
    """

    src: str
    dst: str
    port: int
    transport: str
    grade: Grade
    evidence: tuple[Evidence, ...]
    first: float
    last: float
    flows: int
    sent: int
    received: int
    app: str = ""
    zone: str = ""
    names: tuple[str, ...] = ()
    sample: tuple[str, ...] = ()
    hours: tuple[int, ...] = ()
    interval: float | None = None
    refuted: str = ""
    following: str = ""
    attack: tuple[str, ...] = ()
    suppressed: Suppressed | None = None
    exposure: str = ""
    """What the latest scan knows of the endpoint, in words."""
    direction: str = ""
    """`out`, `in`, `within` or `outside`: which of the ends are inside (private addresses and those of zones)."""
    confirmed: str = ""
    """What would show that it is what it looks like."""
    picture: Picture | None = None
    """Only of the worst, where somebody wants to see it."""
    measures: tuple[tuple[str, float], ...] = ()
    """What the score of a rhythm is the mean of, each from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Flow logs that were read, and the time that their flows cover (None: they have no times)."""

    files: tuple[str, ...]
    span: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Talk:
    """Who talks to an endpoint, as far as some flows show: the `flows` that were answered, the `attempts` that were not, the
    different `peers` of the flows, the busiest of them with their flows, and when the last flow was.

    `seen` says whether the flows show the host at all: where they do not, their silence about a port says nothing. Flows of our
    own scans (`own`) are left out.
    """

    traffic: Traffic
    flows: int = 0
    attempts: int = 0
    peers: int = 0
    top: tuple[tuple[str, int], ...] = ()
    last: float | None = None
    seen: bool = False
    own: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """What another policy does to a detection: `change` is appears, vanishes or changes; a side without it has no grade."""

    change: str
    shown: Detection
    old: Grade | None
    new: Grade | None
