"""The inbox: what stands, who has taken it on, what is silenced and until when."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from reconshield.alert.words import subject
from reconshield.errors import UserError
from reconshield.jobs.alert_trial import end_silence, silence_what, try_channel
from reconshield.jobs.alerting import acknowledge, list_alerts, list_silences
from reconshield.store.outbox import list_deliveries, revive
from reconshield.web.call import Call
from reconshield.web.door import Admin, Analyst, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page

ROUTER = APIRouter(include_in_schema=False)
NEWEST = 200


@ROUTER.get("/alerts")
def show(call: Viewer, all: str = "") -> Response:  # noqa: A002 - the name in the address
    return inbox(call, everything=bool(all))


@ROUTER.get("/alerts/{alert}")
def show_one(call: Viewer, alert: str) -> Response:
    message = next((one for one in list_alerts(call.store, everything=True) if one.alert.id == alert), None)
    if message is None:
        raise Missing(f"alert {alert[:20]}")
    return page(call, "alert.html.j2", "alerts", title=subject(message), message=message, subject=subject)


@ROUTER.post("/alerts/{alert}/ack")
def ack(call: Analyst, alert: str) -> Response:
    acknowledge(call.store, alert, call.now, call.who.account)
    return RedirectResponse(f"/alerts/{alert}", 303)


@ROUTER.post("/alerts/{alert}/silence")
def silence(call: Analyst, alert: str) -> Response:
    """Keep one alert from being told for a while; it stays in the list."""
    silence_what(
        call.store,
        call.now,
        alert_id=alert,
        on=(),
        zone=None,
        asset=None,
        kind=None,
        lasting=call.text("lasting", 10) or "8h",
        reason=call.text("reason", 200),
        by=call.who.account,
    )
    return RedirectResponse("/alerts", 303)


@ROUTER.post("/alerts/silences/{number}/end")
def end(call: Analyst, number: int) -> Response:
    end_silence(call.store, number, call.now)
    return RedirectResponse("/alerts", 303)


@ROUTER.post("/alerts/outbox/retry")
def retry(call: Analyst) -> Response:
    """Try what was given up again, after its channel was mended."""
    revive(call.store, None, call.now)
    return RedirectResponse("/alerts", 303)


@ROUTER.post("/settings/channels/{name}/test")
def test_channel(call: Admin, name: str) -> Response:
    """Send a test message now, and say what became of it."""
    error: UserError | None = None
    outcome = None
    try:
        outcome = try_channel(call.settings, call.site.policy_path(call.who.workspace), name, call.now)
    except UserError as found:
        error = found
    status = 422 if error else 200
    return page(
        call, "channel_test.html.j2", "settings", status, title=f"Channel {name}", name=name, outcome=outcome, error=error
    )


def inbox(call: Call, *, everything: bool) -> Response:
    found = list_alerts(call.store, limit=NEWEST + 1, everything=everything)
    return page(
        call,
        "alerts.html.j2",
        "alerts",
        title="Alerts",
        found=found[:NEWEST],
        more=len(found) > NEWEST,
        everything=everything,
        subject=subject,
        silences=list_silences(call.store, call.now),
        waiting=list_deliveries(call.store),
    )
