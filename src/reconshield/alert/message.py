"""What an alert says, as records: the event that calls for it, the alert that stands, and the notice that a channel carries.

An event is what a job found: something began (a port opened, a scan did not happen) or ended. Its fingerprint is the same
whenever it is the same trouble, so an alert is updated and resolved, never repeated.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from reconshield.model import Endpoint, Factor, Json, Risk, Severity
from reconshield.text import iso_time

Status = Literal["open", "updated", "resolved", "notice"]
"""`notice` is said once and stands for nothing: an announcement, a test."""

ANNOUNCED, TEST = "scan-announced", "test"
DETECTION = "detection"
"""Traffic that should be looked at: `risk` is its score with every piece of evidence, `since` when its first flow was."""
SILENCE_KINDS = frozenset({"stale", "scan-missed", "scan-partial", "scan-refused", "coverage-lost", "not-measured"})
"""Kinds that say that something was not measured: their subject says so where others say the risk."""
SAID_ONCE = frozenset({"closed", "service-changed", "version-changed", "certificate-changed", ANNOUNCED, TEST})
"""Kinds that nothing can end: they are told, kept in the list, and do not stand."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that began, with all that a person needs to act on it. Times are Unix seconds UTC.

    `kind` is a kind of change or verdict (`opened`, `forbidden`, `stale`, …). `title` is the subject without its bracket.
    `since` is when the old state was last seen and when the new one first was. `do` are the first steps, the first command
    first. `proof` is a link or a command. `also` are other kinds that the same trouble is (an opened port that is unexpected
    too). `peers` are other addresses that it is about, `last` is when it was last seen. `basis` is what it rests on: while
    that stays the same nothing new is said; without it the words decide.
    """

    fingerprint: str
    kind: str
    severity: Severity
    title: str
    what: str
    why: str
    at: float
    do: tuple[str, ...] = ()
    risk: Risk | None = None
    endpoint: Endpoint | None = None
    service: str | None = None
    before: str | None = None
    after: str | None = None
    since: tuple[float | None, float | None] = (None, None)
    zone: str | None = None
    asset: str | None = None
    owner: str | None = None
    run: str | None = None
    vantage: str | None = None
    proof: str | None = None
    also: tuple[str, ...] = ()
    basis: str | None = None
    peers: tuple[str, ...] = ()
    last: float | None = None

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset({self.kind, *self.also})

    @property
    def addresses(self) -> tuple[str, ...]:
        """Every address that it is about; none for what is about a schedule or a channel."""
        return (*((self.endpoint.ip,) if self.endpoint else ()), *self.peers)

    def digest(self) -> str:
        """What is said apart from when it was said: an alert whose digest stays is not sent again."""
        if self.basis is not None:
            return self.basis
        said = (self.kind, self.severity, self.title, self.what, self.why, self.do, self.risk.score if self.risk else None)
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Ending:
    """Trouble that was seen to be over at a moment. `words` say what it is now: `closed`, `measured again`."""

    fingerprint: str
    words: str
    at: float


@dataclass(frozen=True, slots=True)
class Alert:
    """Trouble that stands, or stood: its event as it was last seen, and what has become of it. `id` is shown as `a81`.

    `revision` counts what was said of it; `acked_by` is who has taken it on.
    """

    number: int
    event: Event
    opened_at: float
    changed_at: float
    revision: int = 1
    resolved_at: float | None = None
    acked_by: str | None = None
    acked_at: float | None = None
    ending: str | None = None
    escalated: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"a{self.number}"


@dataclass(frozen=True, slots=True)
class Message:
    """One alert as it is told now."""

    alert: Alert
    status: Status
    severity_before: Severity | None = None

    @property
    def event(self) -> Event:
        return self.alert.event


@dataclass(frozen=True, slots=True)
class Notice:
    """What one channel is told at once: the messages of one run, the worst first. `key` is the same for every attempt."""

    key: str
    channel: str
    workspace: str
    messages: tuple[Message, ...]
    at: float


def notice_key(workspace: str, channel: str, messages: tuple[Message, ...]) -> str:
    """The idempotency key: the same messages to the same channel have the same one."""
    parts = [workspace, channel, *(f"{m.event.fingerprint}:{m.alert.number}:{m.alert.revision}:{m.status}" for m in messages)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def fingerprint(*parts: str) -> str:
    """Sixteen hex digits that stand for this trouble."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def message_line(message: Message, workspace: str, key: str | None = None) -> dict[str, Any]:
    """An alert as other programs get it: one object of JSON Lines."""
    event, alert = message.event, message.alert
    last_seen, first_seen = event.since
    return {
        "v": 1,
        "type": "alert",
        "id": alert.id,
        "key": key,
        "workspace": workspace,
        "fingerprint": event.fingerprint,
        "status": message.status,
        "revision": alert.revision,
        "change": event.kind,
        "severity": event.severity.value,
        "title": event.title,
        "what": event.what,
        "why": event.why,
        "do": list(event.do),
        "risk": risk_part(event.risk),
        **place_part(event.endpoint),
        "peers": list(event.peers),
        "service": event.service,
        "before": event.before,
        "after": event.after,
        "last_seen": time_part(last_seen),
        "first_seen": time_part(first_seen),
        "opened": iso_time(alert.opened_at),
        "resolved": time_part(alert.resolved_at),
        "ending": alert.ending,
        "acknowledged_by": alert.acked_by,
        "zone": event.zone,
        "asset": event.asset,
        "owner": event.owner,
        "run": event.run,
        "vantage": event.vantage,
        "proof": event.proof,
        "at": iso_time(event.at),
    }


def place_part(endpoint: Endpoint | None) -> dict[str, Any]:
    return asdict(endpoint) if endpoint else {"ip": None, "port": None, "transport": None}


def risk_part(risk: Risk | None) -> dict[str, Any] | None:
    if risk is None:
        return None
    return {"score": risk.score, "rating": risk.rating, "factors": [asdict(factor) for factor in risk.factors]}


def time_part(at: float | None) -> str | None:
    return None if at is None else iso_time(at)


def event_json(event: Event) -> Json:
    """An event as it is stored."""
    return asdict(event)


def event_of(value: Json) -> Event:
    """An event from the store; what a newer version added is left out."""
    kept = {f.name: value[f.name] for f in fields(Event) if f.name in value}
    risk, place = kept.get("risk"), kept.get("endpoint")
    kept["severity"] = Severity(kept["severity"])
    kept["do"], kept["since"], kept["also"] = tuple(kept["do"]), tuple(kept["since"]), tuple(kept.get("also", ()))
    kept["peers"] = tuple(kept.get("peers", ()))
    kept["endpoint"] = Endpoint(**place) if place else None
    kept["risk"] = Risk(risk["score"], risk["rating"], tuple(Factor(**f) for f in risk["factors"])) if risk else None
    return Event(**kept)


def alert_json(alert: Alert) -> Json:
    """An alert as a notice in the outbox keeps it."""
    return asdict(alert)


def alert_of(value: Json) -> Alert:
    return Alert(**dict(value) | {"event": event_of(value["event"]), "escalated": tuple(value["escalated"])})


def notice_json(notice: Notice) -> Json:
    """A notice as the outbox keeps it; the key and the channel have columns of their own."""
    told = [{"alert": alert_json(m.alert), "status": m.status, "before": m.severity_before} for m in notice.messages]
    return {"messages": told, "at": notice.at}


def notice_of(key: str, channel: str, workspace: str, value: Json) -> Notice:
    messages = tuple(
        Message(alert_of(told["alert"]), told["status"], Severity(told["before"]) if told["before"] else None)
        for told in value["messages"]
    )
    return Notice(key, channel, workspace, messages, value["at"])
