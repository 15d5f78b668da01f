"""The records of a judgement: what a run measured, as a policy sees it, and one verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet
from reconshield.model import Endpoint, Finding, Observation, Service, VerdictKind
from reconshield.policy.boxes import Box
from reconshield.policy.matching import PLACE, Spoken
from reconshield.policy.records import WAN, Acceptance, Closure, Expectation

Array = NDArray[Any]
Kind = VerdictKind
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The worst first."""
FAILING: frozenset[Kind] = frozenset({"forbidden", "unexpected", "expired", "not-measured"})


@dataclass(frozen=True, slots=True)
class Measured:
    """One run as a policy sees it.

    `rows` are its answers (observation dtype); `whole` is everything measured in bulk, silence included; `single` are places
    that were measured besides. `at` dates silence. `doubtful` look open, but something else may answer for them. `left_out`
    says of addresses why they were not measured.
    """

    rows: Array
    vantage: str
    at: float
    whole: tuple[Box, ...] = ()
    single: Array = field(default_factory=lambda: np.zeros(0, PLACE))
    doubtful: Array = field(default_factory=lambda: np.zeros(0, PLACE))
    services: Mapping[Endpoint, Service] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    left_out: tuple[tuple[AddressSet, str], ...] = ()
    spoken: Spoken | None = None
    """In the place of `services`, for a hundred thousand rows; then every row is an open endpoint, each once."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`seen` is the observation it rests on; `box` stands for many endpoints that nobody measured. `line` is the policy's."""

    kind: Kind
    because: str
    endpoint: Endpoint | None = None
    box: Box | None = None
    seen: Observation | None = None
    service: Service | None = None
    finding: Finding | None = None
    entry: Expectation | Closure | Acceptance | None = None
    zone: str = WAN

    @property
    def count(self) -> int:
        """For how many endpoints it stands."""
        return self.box.count if self.box else 1

    @property
    def expectation(self) -> Expectation | None:
        """The entry that expects what answers there, where it does so."""
        return self.entry if self.kind == "expected" and isinstance(self.entry, Expectation) else None

    @property
    def line(self) -> int | None:
        return self.entry.line if self.entry else None

    @property
    def place(self) -> str:
        """The endpoint, or the endpoints, as people read them."""
        return str(self.endpoint) if self.endpoint else self.box.text() if self.box else ""
