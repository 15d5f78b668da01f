"""The objects of JSON Lines, version 1: one `TypedDict` for each `type`, which `schema` turns into the published JSON Schema.

Addresses are text, times ISO 8601 UTC, numbers plain, names carry their unit. Readers ignore fields they do not know.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, get_args

from reconshield.model import ChangeKind, StateName, VerdictKind
from reconshield.report.result import RunState


class PlanPart(TypedDict):
    """What was planned, and the seed that makes the same order again."""

    probes: int
    seed: int


class RunLine(TypedDict):
    """The head of a run. How it ended and what it found stand only where runs are listed."""

    v: Literal[1]
    type: Literal["run"]
    id: str
    targets: list[str]
    ports: str
    engine: str
    vantage: str
    level: int
    grant: str | None
    started: str
    plan: PlanPart
    not_measured: list[str]
    state: NotRequired[RunState]
    finished: NotRequired[str | None]
    open: NotRequired[int]
    findings: NotRequired[int]


class PlacePart(TypedDict):
    """Which endpoint a line is about."""

    ip: str
    port: int
    transport: Literal["tcp", "udp"]
    name: NotRequired[str]


class ObservationLine(PlacePart):
    """One dated measurement of an endpoint."""

    v: Literal[1]
    type: Literal["observation"]
    run: str
    state: StateName
    reason: str
    ttl: int | None
    rtt_ms: float | None
    at: str


class FactorPart(TypedDict):
    """One addend of a score."""

    name: str
    points: int
    because: str
    source: str


class RiskPart(TypedDict):
    """A score with its arithmetic."""

    score: int
    rating: str
    factors: list[FactorPart]


class TurnPart(TypedDict):
    """What was sent and what came back. Bytes: printable ASCII as it is, others `\\xNN`."""

    probe: str
    sent: str
    received: str
    ms: float
    tls: bool
    truncated: bool


class ServiceLine(PlacePart):
    """What speaks on an open endpoint."""

    v: Literal[1]
    type: Literal["service"]
    run: str
    service: str
    product: str | None
    version: str | None
    cpe: list[str]
    tls: Literal["none", "implicit", "starttls"]
    confidence: Literal["guess", "probable", "confirmed"]
    rung: str
    risk: RiskPart
    facts: dict[str, Any]
    evidence: list[TurnPart]
    others: list[str]
    note: str | None
    at: str


class FindingLine(PlacePart):
    """A judgement on facts."""

    v: Literal[1]
    type: Literal["finding"]
    run: str
    check: str
    id: str
    severity: Literal["info", "low", "medium", "high", "critical"]
    confidence: Literal["guess", "probable", "confirmed"]
    risk: RiskPart | None
    title: str
    evidence: dict[str, Any]
    remedy: str
    attack: list[str]
    references: list[str]


class HeldBackLine(PlacePart):
    """An endpoint that was measured but not spoken to."""

    v: Literal[1]
    type: Literal["held-back"]
    run: str
    kind: str
    because: str
    source: str


class DoubtLine(TypedDict):
    """A host (`ip`) on which nearly every TCP port looks open, or a TCP port that looks open on nearly every host.

    `confirmed` of the `open` ones proved it; endpoints of such a host that did not are left out of `service` lines.
    """

    v: Literal[1]
    type: Literal["doubt"]
    run: str
    ip: str | None
    port: int | None
    measured: int
    open: int
    confirmed: int
    because: str


class SummaryLine(TypedDict):
    """The end of a run. `loss` and `recall_estimate` are null where they were not measured. `rates` are pairs of seconds since
    the beginning and endpoints a second.
    """

    v: Literal[1]
    type: Literal["summary"]
    run: str
    state: RunState
    probes: int
    measured: int
    open: int
    closed: int
    filtered: int
    unreachable: int
    open_filtered: int
    retransmitted: int
    loss: float | None
    recall_estimate: list[float] | None
    rates: list[list[float]]
    seconds: float


class RunsPart(TypedDict):
    """The two runs that are compared; `before` is null where a run is compared with all that was known."""

    before: str | None
    after: str


class SpokenPart(TypedDict):
    """What spoke on an endpoint, in short."""

    service: str
    product: str | None
    version: str | None
    tls: Literal["none", "implicit", "starttls"]
    confidence: Literal["guess", "probable", "confirmed"]


class ChangeLine(PlacePart):
    """One endpoint that is not as it was. The change lies between `last_seen` and `first_seen`."""

    v: Literal[1]
    type: Literal["change"]
    runs: RunsPart
    vantage: str
    change: ChangeKind
    before: str
    after: str
    last_seen: str | None
    first_seen: str | None
    fields: list[str]
    service_before: SpokenPart | None
    service_after: SpokenPart | None
    risk: RiskPart | None
    flapping: bool


class PeerPart(TypedDict):
    """An address that talks to an endpoint, and its flows."""

    ip: str
    flows: int


TalkPart = TypedDict(
    "TalkPart",
    {
        "flows": int,
        "attempts": int,
        "peers": int,
        "top": list[PeerPart],
        "last": str | None,
        "host_seen": bool,
        "own_scan_flows": int,
        "files": list[str],
        "from": str | None,
        "to": str | None,
    },
)
"""Who talks to an endpoint, as flow logs show: answered `flows`, `attempts` that were not, the busiest peers. Where `host_seen`
is false the flows show nothing of its host, so their silence says nothing."""


class ExposureLine(PlacePart):
    """An endpoint that is open, as far as is known. It opened between `shut_before` (null: nobody had looked) and `opened`;
    `talk` is null where no flow logs were given.
    """

    v: Literal[1]
    type: Literal["exposure"]
    vantage: str
    zone: str
    assets: list[str]
    owner: str | None
    service: SpokenPart | None
    risk: RiskPart | None
    verdict: str | None
    shut_before: str | None
    opened: str
    seen: str
    talk: TalkPart | None


class AssetLine(TypedDict):
    """Something owned, declared in the policy or only seen, with what it exposes; `risk` is that of the worst of it."""

    v: Literal[1]
    type: Literal["asset"]
    asset: str
    declared: bool
    addresses: list[str]
    zone: str
    owner: str | None
    tags: list[str]
    criticality: str
    open: int
    failing: int
    risk: RiskPart | None
    measured: str | None


class ProblemLine(TypedDict):
    """Something that is wrong in a policy file, or soon will be. `key` is which entry and key, as people count."""

    v: Literal[1]
    type: Literal["problem"]
    level: Literal["error", "warning", "note"]
    file: str
    line: int
    key: str
    message: str
    hint: str


class PolicyPart(TypedDict):
    """The entry of the policy that decides. `line` is where it begins in the file."""

    file: str
    line: int
    table: str
    reason: str | None
    owner: str | None
    expires: str | None


class VerdictLine(TypedDict):
    """What the policy says of an endpoint, or of many that were not measured (`addresses`, `ports`) with their number."""

    v: Literal[1]
    type: Literal["verdict"]
    run: str
    id: str
    verdict: VerdictKind
    fails: bool
    endpoints: int
    ip: NotRequired[str]
    port: NotRequired[int]
    transport: NotRequired[Literal["tcp", "udp"]]
    name: NotRequired[str]
    addresses: NotRequired[list[str]]
    ports: NotRequired[str]
    zone: str
    service: str | None
    finding: str | None
    state: str | None
    reason: str | None
    at: str | None
    because: str
    policy: PolicyPart | None
    risk: RiskPart | None


class JudgementLine(TypedDict):
    """How many verdicts of each kind there are, and how many of them fail."""

    v: Literal[1]
    type: Literal["judgement"]
    run: str
    policy: str
    verdicts: dict[str, int]
    failed: int
    strict: bool


class RejudgedLine(PlacePart):
    """One endpoint that is judged differently today on the same facts. Findings are named by their check."""

    v: Literal[1]
    type: Literal["rejudged"]
    run: str
    appeared: list[str]
    vanished: list[str]
    score_before: int | None
    score_after: int
    fields: list[str]


class InputLine(TypedDict):
    """A file that was read: how many records it has, and how many of them could not be used; names that clients asked for,
    and services that listen, where it tells any; what must be known of the whole (that its years are guessed, say).
    """

    v: Literal[1]
    type: Literal["input"]
    file: str
    format: str
    records: int
    bad: int
    names: NotRequired[int]
    listeners: NotRequired[int]
    notes: NotRequired[list[str]]


class IndicatorsLine(TypedDict):
    """A file of indicators that was read: how many are used, have expired, are nothing that flows show, or are bad."""

    v: Literal[1]
    type: Literal["indicators"]
    file: str
    format: str
    used: int
    expired: int
    unused: int
    bad: int


class ReplayedLine(TypedDict):
    """A detection that another policy makes appear, vanish, or rate otherwise; null where there is none on that side."""

    v: Literal[1]
    type: Literal["replayed"]
    change: str
    src: str
    dst: str
    port: int
    transport: str
    old_score: int | None
    old_rating: str | None
    new_score: int | None
    new_rating: str | None
    because: str


EvidencePart = TypedDict("EvidencePart", {"class": str, "points": int, "because": str, "source": str})
"""One addend of a detection's score: its class, its points, why, and the technique it leans on."""


class DetectionLine(TypedDict):
    """A conversation that should be looked at. `id` is the same whenever it is seen; `held` says which rule kept the rating
    down; `direction` is out, in, within or outside; `interval_s` is that of its rhythm, whose score is the mean of the
    `measures` (gaps, sizes, hours, duration).
    """

    v: Literal[1]
    type: Literal["detection"]
    id: str
    src: str
    dst: str
    port: int
    transport: str
    score: int
    rating: str
    held: str
    evidence: list[EvidencePart]
    first: str | None
    last: str | None
    flows: int
    sent_bytes: int
    received_bytes: int
    app: str
    zone: str
    direction: str
    allowed: bool
    interval_s: float | None
    measures: dict[str, float]
    sample: list[str]
    confirmed: str
    refuted: str
    next: str
    attack: list[str]
    exposure: str
    suppressed: bool
    suppression: str


class AlertLine(TypedDict):
    """One alert as it is told, or as it stands. `key` is the idempotency key of the notice that carries it; `peers` are other
    addresses that it is about (the source of a detection).
    """

    v: Literal[1]
    type: Literal["alert"]
    id: str
    key: str | None
    workspace: str
    fingerprint: str
    status: Literal["open", "updated", "resolved", "notice"]
    revision: int
    change: str
    severity: Literal["info", "low", "medium", "high", "critical"]
    title: str
    what: str
    why: str
    do: list[str]
    risk: RiskPart | None
    ip: str | None
    port: int | None
    transport: Literal["tcp", "udp"] | None
    peers: list[str]
    service: str | None
    before: str | None
    after: str | None
    last_seen: str | None
    first_seen: str | None
    opened: str
    resolved: str | None
    ending: str | None
    acknowledged_by: str | None
    zone: str | None
    asset: str | None
    owner: str | None
    run: str | None
    vantage: str | None
    proof: str | None
    at: str


class DiagnosisLine(TypedDict):
    """One thing that `doctor` looked at on this machine or on the way from it."""

    v: Literal[1]
    type: Literal["diagnosis"]
    name: str
    state: Literal["ok", "warning", "bad", "not-tested"]
    what: str
    next: str | None


class RulingLine(TypedDict):
    """What a firewall's rules do with connections of one family from some sources to some ports, and the rule that decides.

    `path` are the rules on the way; `before` stands where two rulesets are compared, `flow` where a seen flow is judged.
    """

    v: Literal[1]
    type: Literal["ruling"]
    subject: str
    zone: str
    sources: list[str]
    family: Literal[4, 6]
    transport: str
    ports: str
    answer: Literal["allow", "deny", "unknown"]
    how: str
    rule: str
    where: str
    because: str
    conditions: list[str]
    path: list[str]
    leads_to: str
    before: Literal["allow", "deny", "unknown"] | None
    before_rule: str
    flow: str


class RemarkLine(TypedDict):
    """Something about a ruleset itself: a rule without effect, a difference of the families, what is not understood."""

    v: Literal[1]
    type: Literal["remark"]
    remark: Literal["shadowed", "redundant", "families", "not-understood", "note"]
    subject: str
    where: str
    rule: str
    because: str


class ExplanationLine(TypedDict):
    """Why a port of this machine is open or not: a paragraph, a diagram, and what could not be read."""

    v: Literal[1]
    type: Literal["explanation"]
    port: int
    transport: Literal["tcp", "udp"]
    verdict: str
    sentences: list[str]
    diagram: list[str]
    not_read: list[str]


class DeliveryLine(TypedDict):
    """A notice that waits in the outbox, or was given up. `messages` counts the alerts it tells of."""

    v: Literal[1]
    type: Literal["delivery"]
    key: str
    channel: str
    state: Literal["waiting", "sent", "dead", "replaced"]
    created: str
    due: str
    attempts: int
    detail: str | None
    messages: int


class SchedulePart(TypedDict):
    """One schedule: its newest scan, its last whole measurement, when it is next due."""

    name: str
    vantage: str
    state: str | None
    run: str | None
    note: str | None
    whole: str | None
    next: str | None
    fresh_seconds: float
    stale: bool


class ProcessPart(TypedDict):
    """A monitor or worker that is there."""

    name: str
    role: str
    host: str
    pid: int
    vantage: str
    started: str


class MonitorLine(TypedDict):
    """How the monitoring is. `channels` counts notices by channel and state, `alerts` those that stand by severity."""

    v: Literal[1]
    type: Literal["monitor"]
    at: str
    troubled: bool
    schedules: list[SchedulePart]
    processes: list[ProcessPart]
    channels: dict[str, dict[str, int]]
    alerts: dict[str, int]


ProofLine = TypedDict(
    "ProofLine",
    {
        "v": Literal[1],
        "type": Literal["proof"],
        "platform": str,
        "from": str,
        "endpoint": str,
        "family": str,
        "before": str,
        "after": str,
        "wanted": str,
        "ok": bool,
        "note": str,
    },
)
"""What one zone of the lab sees of one endpoint in one family, before and after the rules were loaded."""


class AdviceLine(TypedDict):
    """Rules for one firewall: its files, how to apply them, how to take them back, how to look, what must be known first."""

    v: Literal[1]
    type: Literal["advice"]
    platform: str
    host: str
    ports: list[str]
    allow: list[str]
    public: bool
    files: dict[str, str]
    apply: str
    undo: str
    check: str
    notes: list[str]


class VerifiedLine(PlacePart):
    """An endpoint that should be closed, and what a measurement after that saw; `after` is null where nobody has looked."""

    v: Literal[1]
    type: Literal["verified"]
    service: str
    before: str
    after: str | None
    reason: str | None
    at: str | None
    closed: bool


Line = (
    RunLine
    | ObservationLine
    | ServiceLine
    | FindingLine
    | HeldBackLine
    | DoubtLine
    | SummaryLine
    | ChangeLine
    | VerdictLine
    | ProblemLine
    | ExposureLine
    | AssetLine
    | JudgementLine
    | RejudgedLine
    | InputLine
    | IndicatorsLine
    | ReplayedLine
    | DetectionLine
    | AlertLine
    | DeliveryLine
    | MonitorLine
    | DiagnosisLine
    | RulingLine
    | RemarkLine
    | ExplanationLine
    | ProofLine
    | AdviceLine
    | VerifiedLine
)
LINES: tuple[type, ...] = get_args(Line)
