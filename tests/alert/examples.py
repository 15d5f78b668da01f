"""The alert of the brief, and what is needed to send it somewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconshield.alert.channel import Channel, Order, Outcome
from reconshield.alert.message import Alert, Event, Message, Notice, Status, notice_key
from reconshield.model import Endpoint, Factor, Risk, Severity

NOW = datetime(2026, 11, 23, 9, 46, 12, tzinfo=UTC).timestamp()
MINUTE = 60.0

RISK = Risk(
    54,
    "high",
    (
        Factor("impact", 14, "a mailbox", "rfc1939"),
        Factor("authentication", 8, "a password", "rfc1939"),
        Factor("transport", 12, "login in clear text", "rfc1939"),
        Factor("exploitation", 6, "password guessing", "T1110"),
        Factor("intended", 4, "public at some", "rfc1939"),
        Factor("newly-opened", 10, "newly opened: closed at 09:16, open at 09:46, no change record", "reconshield"),
    ),
)

OPENED = Event(
    fingerprint="9f2c41d07be3a155",
    kind="opened",
    severity=Severity.HIGH,
    title="110/tcp opened on mail-1 (10.77.0.2), not expected",
    what="pop3 (Dovecot) answers on 10.77.0.2:110/tcp, seen from dmz-1",
    why="login possible in clear text (confirmed); no policy entry allows it",
    do=("on mail-1: doveconf ssl            expected: required", "close: reconshield firewall advise 110 --allow 10.8.0.0/24"),
    at=NOW,
    risk=RISK,
    endpoint=Endpoint("10.77.0.2", 110),
    service="pop3",
    before="closed",
    after="open",
    since=(NOW - 30 * MINUTE, NOW),
    zone="dmz",
    asset="mail-1",
    owner="mail team",
    run="20261123-094612-k3fd",
    vantage="dmz-1",
    proof="https://recon.example/evidence/20261123-094612-k3fd/10.77.0.2:110",
)
STALE = Event(
    fingerprint="00aa00aa00aa00aa",
    kind="stale",
    severity=Severity.MEDIUM,
    title="office: no scan for 9 days (target 1 day); last try failed: no route from dmz-1",
    what="schedule office has not measured all of its 512 endpoints since 2026-11-14",
    why="what opens there now is seen by nobody",
    at=NOW,
    zone="office",
)


def event(number: int = 1, **changes: Any) -> Event:
    """The alert again, on another port."""
    place = Endpoint("10.77.0.2", 100 + number)
    return replace(OPENED, fingerprint=f"{number:016x}", endpoint=place, **changes)


def message(found: Event = OPENED, status: Status = "open", number: int = 81, **changes: Any) -> Message:
    return Message(replace(Alert(number, found, found.at, found.at), **changes), status)


def notice(*messages: Message, channel: str = "soc") -> Notice:
    told = messages or (message(),)
    return Notice(notice_key("main", channel, told), channel, "main", told, NOW)


def carry(
    channel: Channel, settings: dict[str, Any], told: Notice | None = None, at: float = NOW, admit: Any = None
) -> Outcome:
    """Send a notice through a channel, as the delivery job does."""
    read = channel.read(settings, "channel soc")
    return channel.send(Order(told or notice(), read, at, "scanner-1", "0.1.0", admit))
