"""The overview: what is not as it should be, what changed since the visitor last looked, and what nobody has measured."""

from __future__ import annotations

import datetime as dt
from typing import Any

from fastapi import APIRouter, Response

from reconshield.jobs.dashboard import Dashboard, dashboard
from reconshield.jobs.grants import list_grants
from reconshield.knowledge.sections import data_dates
from reconshield.report.changes import ORDER, sentence, spoken
from reconshield.scope import PORT_SCAN
from reconshield.text import count, plural
from reconshield.web.call import Call
from reconshield.web.door import Viewer
from reconshield.web.frame import page
from reconshield.web.last_look import last_look, remember
from reconshield.web.overview_charts import draw_heat, draw_trend

ROUTER = APIRouter(include_in_schema=False)
DAY = 86_400.0
SPANS = {"1d": ("24 hours", DAY), "7d": ("7 days", 7 * DAY), "30d": ("30 days", 30 * DAY)}
OLD_DATA = 90
"""Days after which a copy of the list of exploited vulnerabilities is said to be old."""
RATINGS = ("critical", "high", "medium", "low")


@ROUTER.get("/")
def overview(call: Viewer, since: str = "") -> Response:
    """Everything at one moment. With a span, the changes of that time instead of those since the last look."""
    looked, known = last_look(call)
    begin = call.now - SPANS[since][1] if since in SPANS else looked
    policy, remark = call.policy()
    found = dashboard(call.store, policy, begin, call.now)
    areas = {zone.name: ",".join(zone.targets)[:2000] for zone in policy.zones} if policy else {}
    values = (
        values_of(call, found)
        | {"areas": areas}
        | {"span": since if since in SPANS else "", "looked": looked if known else None}
    )
    response = page(call, "overview.html.j2", "dashboard", title="Overview", remark=remark, **values)
    remember(call, response, looked)
    return response


def values_of(call: Call, found: Dashboard) -> dict[str, Any]:
    """What the template prints beside the dashboard itself."""
    shown = found.news
    return {
        "found": found,
        "sentence": sentence_of(found),
        "granted": any(g.valid_at(call.now) and g.level >= PORT_SCAN for g in list_grants(call.store)),
        "running": call.site.live.running(call.who.workspace),
        "spans": SPANS,
        "ratings": RATINGS,
        "kinds": [(kind, found.counts[kind]) for kind in ORDER if found.counts.get(kind)],
        "news": [
            (each, spoken(each.change.service_after or each.change.service_before), sentence(each.change)) for each in shown
        ],
        "stale": [zone for zone in found.zones if zone.stale(call.now)],
        "untouched": [zone for zone in found.zones if zone.last_scan is None and zone.addresses],
        "heat": draw_heat(found.heat),
        "heat_rows": list(zip(found.heat.hosts, found.heat.cells, strict=True)),
        "trend": draw_trend(found.trend),
        "old_data": old_data(call.now),
        "days": lambda at: days_text(at - call.now),
    }


def sentence_of(found: Dashboard) -> str:
    """The answer: what is not as the policy wants it, or what is open; and always what was not measured."""
    addresses = sum(zone.addresses for zone in found.zones)
    missing = sum(zone.not_measured for zone in found.zones)
    left = f"{count(missing)} of {plural(addresses, 'address', 'addresses')} not measured" if missing else ""
    if not found.open:
        where = f"on {plural(addresses - missing, 'measured address', 'measured addresses')}"
        text = f"Nothing is known to be open {where}"
    elif not found.judged:
        text = f"{plural(found.open, 'endpoint is', 'endpoints are')} open; no policy says which of them are expected"
    elif found.failing:
        new = f", {count(found.failing_new)} of them new" if found.failing_new else ""
        some, are = count(found.failing), "is" if found.failing == 1 else "are"
        text = f"{some} of {plural(found.open, 'open endpoint', 'open endpoints')} {are} not as the policy wants{new}"
    else:
        text = f"{plural(found.open, 'open endpoint', 'open endpoints')}, none against the policy"
    return "; ".join(part for part in (text, left) if part) + "."


def old_data(now: float) -> tuple[str, int] | None:
    """The date of the copy of known exploited vulnerabilities and its age in days, where it is old."""
    date = data_dates()["kev"]
    try:
        age = (dt.datetime.fromtimestamp(now, dt.UTC).date() - dt.date.fromisoformat(date)).days
    except ValueError:
        return None
    return (date, age) if age > OLD_DATA else None


def days_text(seconds: float) -> str:
    """`in 12 days`, `today`, `3 days ago`."""
    days = round(abs(seconds) // DAY)
    if days == 0:
        return "within a day" if seconds >= 0 else "less than a day ago"
    return f"in {plural(days, 'day', 'days')}" if seconds > 0 else f"{plural(days, 'day', 'days')} ago"
