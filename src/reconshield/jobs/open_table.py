"""Everything that is open, as one table of columns: what speaks, how bad it is, what the policy says, since when.

    current   what the exposures say is open, each with the newest run that saw it      (dashboard, list of exposures)
    of a run  what it found open, as of its end                                         (the result of a scan)

A row costs some tens of bytes and no record, so a hundred thousand are sorted, filtered and counted in milliseconds. A table is
kept until something happens that could change it: a run begins or ends, the policy is another one, or a moment comes at which
time alone changes a verdict or a risk (`until`), at the latest after ten minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import text_of
from reconshield.addresses.arrays import count_bounds
from reconshield.model import Endpoint, Transport
from reconshield.policy import Policy
from reconshield.policy.records import WAN
from reconshield.policy.verdict import KINDS, Kind

Array = NDArray[Any]
RATINGS = ("low", "medium", "high", "critical")
NONE = -1
"""In a column of codes: there is none."""
LONGEST = 600.0
"""A table is made anew after so many seconds whatever happens: somebody may have judged old evidence again."""

APART = 60.0
"""Those who ask at once do not ask at quite the same time: a table may be so much younger than a question."""
PATIENCE = 20.0
"""A table of what changes all the time is used so many times as long as it took to make."""

ROW = np.dtype(
    [
        ("hi", "u8"),
        ("lo", "u8"),
        ("port", "u2"),
        ("transport", "u1"),
        ("vantage", "i2"),
        ("opened", "f8"),
        ("shut", "f8"),
        ("seen", "f8"),
        ("service", "i4"),
        ("product", "i4"),
        ("version", "i4"),
        ("name", "i4"),
        ("tls", "i1"),
        ("guess", "?"),
        ("score", "i2"),
        ("rating", "i1"),
        ("verdict", "i1"),
        ("zone", "i2"),
        ("run", "i4"),
        ("findings", "i4"),
        ("ends", "f8"),
    ]
)
"""`shut` and `ends` (of the certificate) are NaN where there is none; `opened` is NaN where nobody knows."""


class Names:
    """Texts by number, in the order in which they came."""

    def __init__(self, *first: str) -> None:
        self.texts: list[str] = list(first)
        self._codes = {text: code for code, text in enumerate(first)}

    def code(self, text: str | None) -> int:
        if text is None:
            return NONE
        found = self._codes.get(text)
        if found is None:
            found = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return found

    def find(self, text: str) -> int:
        """The number of a text, one that no row has where it is not known."""
        return self._codes.get(text, NONE - 1)

    def text(self, code: int) -> str | None:
        return self.texts[code] if code >= 0 else None


@dataclass(frozen=True, eq=False)
class OpenTable:
    """Rows by address, port, transport and vantage, and the texts that their columns number. `judged`: there was a policy.

    Two tables are never equal: whoever computes something from one may keep it under the table itself.
    """

    rows: Array
    now: float
    until: float
    judged: bool
    vantages: Names = field(default_factory=Names)
    services: Names = field(default_factory=Names)
    products: Names = field(default_factory=Names)
    versions: Names = field(default_factory=Names)
    names: Names = field(default_factory=Names)
    zones: Names = field(default_factory=Names)
    runs: Names = field(default_factory=Names)
    forms: Names = field(default_factory=Names)

    def __len__(self) -> int:
        return len(self.rows)

    def endpoint(self, at: int) -> Endpoint:
        return endpoint_of(self.rows[at])

    @cached_property
    def texts(self) -> list[str]:
        """What can be looked for in a row, in small letters: endpoint, service, product, version, name, zone."""
        columns = [("service", self.services), ("product", self.products), ("version", self.versions)]
        columns += [("name", self.names), ("zone", self.zones)]
        parts = [[(names.text(code) or "").lower() for code in self.rows[column].tolist()] for column, names in columns]
        keys = zip(*(self.rows[name].tolist() for name in ("hi", "lo", "port", "transport")), strict=True)
        places = (f"{text_of(hi << 64 | lo)} :{port}/{Transport(code).label}" for hi, lo, port, code in keys)
        return [" ".join(row) for row in zip(places, *parts, strict=True)]


def endpoint_of(row: Any) -> Endpoint:
    """The endpoint of one row."""
    return Endpoint(text_of(int(row["hi"]) << 64 | int(row["lo"])), int(row["port"]), Transport(int(row["transport"])).label)


def halves_of(addresses: Iterable[bytes]) -> Array:
    """Packed addresses as two columns."""
    return np.frombuffer(b"".join(addresses), [("hi", ">u8"), ("lo", ">u8")])


def in_order(rows: Array) -> Array:
    """Where each row goes in a table."""
    order: Array = np.lexsort([rows[name] for name in ("vantage", "transport", "port", "lo", "hi")])
    return order


def zone_codes(policy: Policy | None, zones: Names, hi: Array, lo: Array) -> Array:
    """The zone of each address: `wan` is number 0, then the zones of the policy in its order."""
    zones.code(WAN)
    if policy is None or not policy.zones:
        return np.zeros(len(hi), np.int16)
    for zone in policy.zones:
        zones.code(zone.name)
    owners = np.array([NONE, *policy.zone_map.owners])[count_bounds(policy.zone_map.starts, hi, lo)]
    return np.where(owners >= 0, owners + 1, 0)


def rating_codes(scores: Array) -> Array:
    """Places in `RATINGS`, -1 for what has no score."""
    codes: Array = np.searchsorted(np.array([30, 50, 75]), scores, side="right")
    return np.where(scores >= 0, codes, NONE)


def verdict_of(code: int) -> Kind | None:
    return KINDS[code] if code >= 0 else None


@dataclass
class Kept:
    """A table, what it was made of, and how many seconds that took."""

    mark: object
    policy: Policy | None
    table: OpenTable
    took: float


class Tables:
    """The last tables that were asked for, while they hold. From any thread; what many ask for at once is made once."""

    def __init__(self, most: int = 6) -> None:
        self._most, self._lock = most, threading.Lock()
        self._kept: dict[object, Kept] = {}
        self._makers: WeakValueDictionary[object, Turn] = WeakValueDictionary()

    def get(
        self,
        key: object,
        mark: object,
        policy: Policy | None,
        now: float,
        make: Callable[[], OpenTable],
        *,
        moves: bool = False,
    ) -> OpenTable:
        """The table of a key if it was made from the same `mark` and an equal policy, and time has not changed it.

        With `moves` the mark changes all the time (a scan goes on): then it also holds for twenty times as long as it took.
        """
        with self._lock:
            turn = self._makers.setdefault(key, Turn())
        with turn.lock:
            kept = self._kept.get(key)
            if kept and holds(kept, mark, policy, now, moves=moves):
                kept.policy = policy  # of the same policy, read again, this one is likelier to be asked with next
                return kept.table
            begun = time.perf_counter()
            made = Kept(mark, policy, make(), time.perf_counter() - begun)
            with self._lock:
                self._kept.pop(key, None)
                self._kept[key] = made
                while len(self._kept) > self._most:
                    del self._kept[next(iter(self._kept))]
            return made.table

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()


class Turn:
    """Whoever has it makes the table of a key; the others wait, and find it made."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def holds(kept: Kept, mark: object, policy: Policy | None, now: float, *, moves: bool) -> bool:
    """Whether a table still says what is so."""
    if not kept.table.now - APART <= now < kept.table.until or not (kept.policy is policy or kept.policy == policy):
        return False
    return kept.mark == mark or (moves and now - kept.table.now < PATIENCE * kept.took)


TABLES = Tables()


def moments_ahead(policy: Policy | None, opened: Sequence[float], new_for: float, now: float) -> float:
    """When time alone will change something next: an entry ends, an endpoint is no longer new; `LONGEST` at the latest."""
    ends = [entry.ends for entry in policy.expects if entry.ends > now] if policy else []
    news = [at + new_for for at in opened if at + new_for > now]
    return min([*ends, *news, now + LONGEST])
