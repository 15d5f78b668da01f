"""Prometheus Alertmanager, API v2. Labels say which alert it is, so they change only when the alert becomes another one.

An alert without a later word would end by itself after Alertmanager's `resolve_timeout`; ours last until they are resolved, so
they are posted with an end far away. Where the severity has changed, the alert with the old label is ended in the same request.
"""

from __future__ import annotations

from typing import Any

from reconshield.alert.channel import Channel, Field, Order, Outcome
from reconshield.alert.http import post_json
from reconshield.alert.message import Message, Notice
from reconshield.alert.words import line, mail_text, subject, utc_stamp
from reconshield.model import Severity

STANDS = 366 * 86400.0


def send(order: Order) -> Outcome:
    base = order.settings["url"].rstrip("/")
    url = base if base.endswith("/api/v2/alerts") else f"{base}/api/v2/alerts"
    token = order.settings.get("token")
    return post_json(order, url, alerts_of(order.notice), {"authorization": f"Bearer {token}"} if token else None)


def alerts_of(notice: Notice) -> list[dict[str, Any]]:
    """The body of the request."""
    listed = []
    for message in notice.messages:
        if message.severity_before is not None:
            listed.append(alert_of(notice, message, message.severity_before, ended=notice.at))
        listed.append(alert_of(notice, message, message.event.severity, ended=message.alert.resolved_at))
    return listed


def alert_of(notice: Notice, message: Message, severity: Severity, ended: float | None) -> dict[str, Any]:
    event, alert = message.event, message.alert
    labels: dict[str, str | None] = {
        "alertname": "ReconShield" + "".join(part.capitalize() for part in event.kind.split("-")),
        "severity": severity.value,
        "fingerprint": event.fingerprint,
        "alert": alert.id,
        "workspace": notice.workspace,
        "instance": str(event.endpoint) if event.endpoint else None,
        "service": event.service,
        "zone": event.zone,
        "asset": event.asset,
    }
    made: dict[str, Any] = {
        "labels": {name: line(value) for name, value in labels.items() if value},
        "annotations": {"summary": subject(message), "description": mail_text(message)},
        "startsAt": utc_stamp(alert.opened_at),
        "endsAt": utc_stamp(ended if ended is not None else notice.at + STANDS),
    }
    if event.proof and event.proof.startswith(("http://", "https://")):
        made["generatorURL"] = event.proof
    return made


CHANNEL = Channel(
    "alertmanager",
    "Prometheus Alertmanager, API v2",
    (
        Field("url", "its address, such as http://127.0.0.1:9093", required=True, secret=True),
        Field("token", "a bearer token, where a proxy before it asks for one", secret=True),
        Field("ca", "a file with its certificate authority"),
    ),
    send,
    guarded=True,
)
