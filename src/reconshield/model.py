"""The records that cross folder borders, and the one table of states and reasons.

Everything here is a frozen value without behaviour beyond its own text form. Engines exchange NumPy arrays whose columns are
`OBSERVATION_FIELDS`; a record is made only for a result that is kept. This module imports nothing but the standard library, so
the quick commands may load it.

Addresses are text in records (`"10.77.0.2"`, `"2001:db8::2"`) and a pair of 64-bit integers in arrays (IPv4 v4-mapped).
Times are Unix seconds in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Literal

Json = Mapping[str, Any]
"""A JSON object: text keys, and values that `json.dumps` takes."""

OBSERVATION_FIELDS = [
    ("hi", "u8"),
    ("lo", "u8"),
    ("port", "u2"),
    ("transport", "u1"),
    ("state", "u1"),
    ("reason", "u1"),
    ("ttl", "u1"),
    ("rtt_us", "u4"),
    ("at", "f8"),
]
"""Columns of an observation array: address as v4-mapped IPv6 (high and low 64 bits), port, IP protocol number, `State`,
`Reason`, time to live and round trip in microseconds (0 = not known), Unix seconds UTC."""


class Transport(IntEnum):
    """IP protocol numbers."""

    TCP = 6
    UDP = 17

    @property
    def label(self) -> str:
        return self.name.lower()


StateName = Literal["open", "closed", "filtered", "open|filtered", "unreachable"]


class State(IntEnum):
    """What a measurement says of an endpoint. *Not measured* has no code: it is the absence of an observation."""

    OPEN = 1
    CLOSED = 2
    FILTERED = 3
    OPEN_FILTERED = 4
    UNREACHABLE = 5

    @property
    def label(self) -> StateName:
        return _STATE_NAMES[self]


_STATE_NAMES: dict[State, StateName] = {
    State.OPEN: "open",
    State.CLOSED: "closed",
    State.FILTERED: "filtered",
    State.OPEN_FILTERED: "open|filtered",
    State.UNREACHABLE: "unreachable",
}


class Reason(IntEnum):
    """Why an endpoint has its state, spelt as nmap spells it. Codes are stored and never renumbered."""

    SYN_ACK = 1
    CONN_REFUSED = 2
    RESET = 3
    NO_RESPONSE = 4
    HOST_UNREACH = 5
    NET_UNREACH = 6
    ADMIN_PROHIBITED = 7
    HOST_PROHIBITED = 8
    NET_PROHIBITED = 9
    PORT_UNREACH = 10
    PROTO_UNREACH = 11
    UDP_RESPONSE = 12
    TIME_EXCEEDED = 13
    NO_ROUTE = 14
    NO_NEIGHBOUR = 15
    IMPORTED = 16

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


ChangeKind = Literal[
    "opened",
    "closed",
    "service-changed",
    "version-changed",
    "certificate-changed",
    "certificate-expiring",
    "newly-measured",
    "coverage-lost",
]
"""How an endpoint can differ between two measurements."""


VerdictKind = Literal["forbidden", "unexpected", "expired", "not-measured", "missing", "accepted", "expected"]
"""What the policy says of an endpoint, the worst first."""


class Severity(StrEnum):
    """Harm if a finding is true; fixed by the check. Listed from least to worst."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class Confidence(StrEnum):
    """How sure we are: port number only, shape of a banner, or a dialogue in the protocol."""

    GUESS = "guess"
    PROBABLE = "probable"
    CONFIRMED = "confirmed"


class Rung(StrEnum):
    """The evidence ladder: how far an endpoint was really seen to go."""

    SYN_ACK = "syn-ack"
    HANDSHAKE = "handshake"
    STAYS_OPEN = "stays open"
    BYTES = "bytes"
    PROTOCOL = "protocol"
    TLS_IDENTITY = "TLS identity"


class Tls(StrEnum):
    """How a service uses TLS: not at all, from the first byte, or after an upgrade command."""

    NONE = "none"
    IMPLICIT = "implicit"
    STARTTLS = "starttls"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """An address, a transport and a port. `str()` is how people and other programs write it."""

    ip: str
    port: int
    transport: str = "tcp"

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{host}:{self.port}/{self.transport}"


@dataclass(frozen=True, slots=True)
class Observation:
    """One dated measurement of an endpoint. Never edited."""

    endpoint: Endpoint
    state: State
    reason: Reason
    at: float
    ttl: int | None = None
    rtt_ms: float | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a recorded dialogue: what a probe sent (may be nothing) and what came back.

    `ms` counts from the first byte of the conversation with this endpoint; `tls` says the turn ran inside TLS;
    `truncated` that more came than was kept.
    """

    probe: str
    sent: bytes
    received: bytes
    ms: float = 0.0
    tls: bool = False
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """What really speaks on an endpoint. `service` is a service id, or `unknown`.

    `facts` are what the probe learned, in plain JSON values; checks judge nothing else. `others` names matches that lost
    and why. `note` says what was left out ("held back: print port", "3 probes not tried").
    """

    endpoint: Endpoint
    service: str
    confidence: Confidence
    at: float
    product: str | None = None
    version: str | None = None
    cpe: tuple[str, ...] = ()
    tls: Tls = Tls.NONE
    rung: Rung = Rung.SYN_ACK
    probe: str | None = None
    facts: Json = field(default_factory=dict)
    evidence: tuple[Turn, ...] = ()
    others: tuple[str, ...] = ()
    note: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """One addend of a risk score: its points, a sentence that says why, and the id of the source."""

    name: str
    points: int
    because: str
    source: str


THRESHOLDS = ((75, "critical"), (50, "high"), (30, "medium"))


def rating_of(score: int) -> str:
    """The rating word of a score: 75 critical, 50 high, 30 medium, else low."""
    return next((word for least, word in THRESHOLDS if score >= least), "low")


@dataclass(frozen=True, slots=True)
class Risk:
    """Harm in a context: 0 to 100, the rating of that score, and every factor that was added."""

    score: int
    rating: str
    factors: tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A judgement on facts. `id` is stable over runs (vantage, endpoint and check); `evidence` quotes the deciding facts."""

    check: str
    id: str
    endpoint: Endpoint
    severity: Severity
    confidence: Confidence
    title: str
    evidence: Json
    remedy: str
    attack: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    risk: Risk | None = None
    name: str | None = None
