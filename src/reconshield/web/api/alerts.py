"""What somebody must know: alerts, who has taken them on, silences, and notices that wait for their channel."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, TypedDict, cast

from fastapi import Path, Query
from pydantic import Field

from reconshield.alert.message import Message, message_line
from reconshield.alert.route import Silence
from reconshield.errors import StoreError, UserError
from reconshield.jobs import alerting
from reconshield.jobs.alert_trial import silence_what, try_channel
from reconshield.model import Severity
from reconshield.report.line_types import AlertLine, DeliveryLine
from reconshield.store import alerts as kept
from reconshield.store.outbox import Delivery, list_deliveries, revive
from reconshield.text import iso_time
from reconshield.web.api.conditions import require_unchanged
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.router import PREFIX, Api, Made, once
from reconshield.web.api.scans import Duration
from reconshield.web.api.wishes import Line, Name, Targets, Wish
from reconshield.web.call import Call
from reconshield.web.door import ApiAdmin, ApiAnalyst, ApiViewer
from reconshield.web.failures import Missing

ROUTER = Api("Alerts")
AlertId = Annotated[str, Path(description="Such as a81.")]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


class NewSilence(Wish):
    """What is not told for a while: one alert, or what fits all that is given."""

    alert: Annotated[str | None, Field(max_length=20, pattern=r"^a[0-9]{1,9}$")] = None
    on: Targets = ()
    zone: Name | None = None
    asset: Name | None = None
    kind: Annotated[Name | None, Field(description="A kind of change or verdict, such as opened.")] = None
    lasting: Duration = "8h"
    reason: Annotated[Line, Field(min_length=1)]


class SilencePart(TypedDict):
    """A silence that holds. `on` are its addresses, null for all."""

    number: int
    until: str
    by: str
    reason: str
    created: str
    kind: str | None
    zone: str | None
    asset: str | None
    fingerprint: str | None
    on: list[str] | None


class RevivePart(TypedDict):
    """How many notices are tried again."""

    revived: int


class ReviveWish(Wish):
    """Of which channel; of all without."""

    channel: Name | None = None


class TriedPart(TypedDict):
    """Whether a channel took a test message, and what it said."""

    channel: str
    accepted: bool
    detail: str


@ROUTER.get("/alerts")
def list_alerts(
    call: ApiViewer,
    page: Paged,
    everything: Annotated[bool, Query(description="Also those that are over.")] = False,
    least: Severity | None = None,
) -> Page[AlertLine]:
    """The alerts that stand, the newest first."""
    rank = least.rank if least else 0
    found = [m for m in alerting.list_alerts(call.store, everything=everything) if m.event.severity.rank >= rank]
    return page.cut(found, lambda message: (-message.alert.number,), lambda message: line_of(call, message))


@ROUTER.get("/alerts/{alert}")
def read_alert(call: ApiViewer, alert: AlertId) -> AlertLine:
    """One alert as it stands."""
    return line_of(call, message_of(call, alert))


@ROUTER.post("/alerts/{alert}/acknowledge")
def acknowledge_alert(call: ApiAnalyst, alert: AlertId) -> AlertLine:
    """Take an alert on: nothing more is told of it until it gets worse or ends. Takes `If-Match`."""
    require_unchanged(call.request, line_of(call, message_of(call, alert)))
    taken = alerting.acknowledge(call.store, alert, call.now, call.who.account)
    return line_of(call, alerting.as_message(taken))


@ROUTER.get("/silences")
def list_silences(call: ApiViewer, page: Paged) -> Page[SilencePart]:
    """The silences that hold now."""
    return page.cut(alerting.list_silences(call.store, call.now), lambda each: (each.number,), silence_part)


@ROUTER.post("/silences", status_code=201)
@once
def add_silence(call: ApiAnalyst, wish: NewSilence) -> Made[SilencePart]:
    """Keep what is known from being told for a while; it stays in the list."""
    made = silence_what(
        call.store,
        call.now,
        alert_id=wish.alert,
        on=wish.on,
        zone=wish.zone,
        asset=wish.asset,
        kind=wish.kind,
        lasting=wish.lasting,
        reason=wish.reason,
        by=call.who.account,
    )
    fresh = next((each for each in alerting.list_silences(call.store, call.now) if each.number == made.number), made)
    return Made(silence_part(replace(fresh, number=made.number)), f"{PREFIX}/silences")


@ROUTER.delete("/silences/{number}", status_code=204)
def end_silence(call: ApiAnalyst, number: Number) -> None:
    """End a silence now."""
    if not kept.end_silence(call.store, number, call.now):
        raise Missing("silence")


@ROUTER.get("/deliveries")
def list_waiting(call: ApiViewer, page: Paged) -> Page[DeliveryLine]:
    """Notices that wait in the outbox, or were given up."""
    found = sorted(list_deliveries(call.store), key=lambda each: (each.created_at, each.key))
    return page.cut(found, lambda each: (each.created_at, each.key), delivery_line)


@ROUTER.post("/deliveries/retry")
def retry_deliveries(call: ApiAnalyst, wish: ReviveWish) -> RevivePart:
    """Try notices again that were given up, after their channel was mended."""
    return {"revived": revive(call.store, wish.channel, call.now)}


@ROUTER.post("/channels/{channel}/test")
def test_channel(call: ApiAdmin, channel: str) -> TriedPart:
    """Send a test message through a channel of the policy now."""
    policy, _ = call.policy()
    if policy is None or channel not in {each.name for each in policy.channels}:
        raise Missing("channel")
    outcome = try_channel(call.settings, call.site.policy_path(call.who.workspace), channel, call.now)
    return {"channel": channel, "accepted": outcome.accepted, "detail": outcome.detail}


def message_of(call: Call, alert_id: str) -> Message:
    """An alert of this workspace by its id."""
    number = alert_id.removeprefix("a")
    if not (alert_id.startswith("a") and number.isascii() and number.isdecimal() and len(number) < 10):
        raise Missing("alert")
    try:
        return alerting.as_message(alerting.alert_of(kept.find_alert(call.store, int(number), alert_id)))
    except StoreError:
        raise
    except UserError as error:
        raise Missing("alert") from error


def line_of(call: Call, message: Message) -> AlertLine:
    return cast("AlertLine", message_line(message, call.who.workspace))


def silence_part(silence: Silence) -> SilencePart:
    return {
        "number": silence.number,
        "until": iso_time(silence.until),
        "by": silence.by,
        "reason": silence.reason,
        "created": iso_time(silence.created_at),
        "kind": silence.kind,
        "zone": silence.zone,
        "asset": silence.asset,
        "fingerprint": silence.fingerprint,
        "on": list(silence.area.cidrs()) if silence.area is not None else None,
    }


def delivery_line(one: Delivery) -> DeliveryLine:
    return {
        "v": 1,
        "type": "delivery",
        "key": one.key,
        "channel": one.channel,
        "state": cast("Any", one.state),
        "created": iso_time(one.created_at),
        "due": iso_time(one.due),
        "attempts": one.attempts,
        "detail": one.detail,
        "messages": len(one.notice["messages"]),
    }
