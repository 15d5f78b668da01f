"""What is open, on what, and what is wrong with it: assets, exposures, findings; and what may be decided about them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from reconshield.errors import UserError
from reconshield.jobs.exposures import load_assets
from reconshield.jobs.listing import Filters, Sort, list_open
from reconshield.jobs.policy_edit import add_entry
from reconshield.jobs.scan_request import ScanRequest
from reconshield.jobs.standing import StandingFinding, find_standing, standing_findings
from reconshield.web.call import Call
from reconshield.web.door import Analyst, Operator, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page
from reconshield.web.heard import talk_of
from reconshield.web.start import start

ROUTER = APIRouter(include_in_schema=False)
ROWS = 100
COLUMNS: Mapping[str, tuple[str, Sort, bool]] = {
    "risk": ("Risk", "risk", True),
    "endpoint": ("Endpoint", "endpoint", False),
    "service": ("Service", "service", False),
    "zone": ("Whose", "zone", False),
    "verdict": ("Expected", "verdict", False),
    "opened": ("Open since", "opened", True),
    "seen": ("Seen", "seen", False),
}
"""The columns, in order: heading, what the list calls them, and whether the highest stands first."""
SHOWN_FACETS = ("rating", "verdict", "service", "zone", "vantage")


@ROUTER.get("/exposures")
def exposures(
    call: Viewer,
    q: str = "",
    rating: str = "",
    zone: str = "",
    verdict: str = "",
    service: str = "",
    vantage: str = "",
    sort: str = "risk",
    after: str = "",
) -> Response:
    """Everything that is known to be open, the worst first; from columns, so that a hundred thousand rows stay quick."""
    policy, remark = call.policy()
    chosen = {"q": q[:200], "rating": rating, "zone": zone, "verdict": verdict, "service": service, "vantage": vantage}
    _, column, descending = COLUMNS.get(sort, COLUMNS["risk"])
    wanted = {name: (value,) if value else () for name, value in chosen.items()}
    filters = Filters(
        text=chosen["q"],
        rating=wanted["rating"],
        zone=wanted["zone"],
        verdict=wanted["verdict"],
        service=wanted["service"],
        vantage=wanted["vantage"],
    )
    found = list_open(
        call.store,
        None,
        policy=policy,
        now=call.now,
        sort=column,
        descending=descending,
        filters=filters,
        cursor=after or None,
        limit=ROWS,
    )
    facets = {name: list(found.facets.get(name, ()))[:12] for name in SHOWN_FACETS}
    return page(
        call,
        "exposures.html.j2",
        "exposures",
        talk_of=talk_of,
        title="Exposures",
        found=found,
        chosen=chosen,
        sort=sort if sort in COLUMNS else "risk",
        columns=COLUMNS,
        facets={name: rows for name, rows in facets.items() if len(rows) > 1 or chosen[name]},
        remark=remark,
    )


def order(counts: Counter[str], first: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    """Names with their numbers: the known ones in their order, then the most frequent."""
    known = [(name, counts[name]) for name in first if name in counts]
    return known + [(name, number) for name, number in counts.most_common(12) if name not in first]


@ROUTER.get("/assets")
def assets(call: Viewer) -> Response:
    policy, remark = call.policy()
    found = load_assets(call.store, policy, call.now)
    found.sort(key=lambda asset: (-(asset.worst.score if asset.worst else 0), asset.name))
    return page(call, "assets.html.j2", "assets", title="Assets", assets=found, remark=remark)


@ROUTER.get("/findings")
def findings(call: Viewer, severity: str = "", check: str = "") -> Response:
    """What is wrong with what is open now, the worst first; accepted ones are shown as such, never hidden."""
    every = standing(call)
    found = [one for one in every if severity in {"", one.finding.severity.value} and check in {"", one.finding.check}]
    return page(
        call,
        "findings.html.j2",
        "findings",
        title="Findings",
        found=found,
        every=len(every),
        severity=severity,
        check=check,
        severities=order(Counter(one.finding.severity.value for one in every), ("critical", "high", "medium", "low", "info")),
        checks=order(Counter(one.finding.check for one in every)),
    )


@ROUTER.get("/findings/{finding}")
def show_finding(call: Viewer, finding: str) -> Response:
    return finding_page(call, finding)


@ROUTER.post("/findings/{finding}/accept")
def accept(call: Analyst, finding: str) -> Response:
    """Accept with a reason, an owner and an end: an entry of the policy, kept and audited like any other change of it."""
    one = known(call, finding)
    try:
        entry = {
            "finding": one.finding.check,
            "on": [one.finding.endpoint.ip],
            "reason": said(call, "reason"),
            "owner": said(call, "owner"),
            "expires": read_day(call.text("expires", 40), call.now),
        }
        add_entry(call.store, call.site.policy_path(call.who.workspace), "accept", entry, call.now, call.actor)
    except UserError as error:
        return finding_page(call, finding, error)
    return RedirectResponse(f"/findings/{finding}", 303)


def said(call: Call, name: str) -> str:
    text = call.text(name, 200)
    if not text or not text.isprintable():
        raise UserError(f"an accepted risk needs {'a reason' if name == 'reason' else 'an owner'}", where=name, hint="one line")
    return text


def read_day(text: str, now: float) -> dt.date:
    """A day to come, a year away at most: what nobody looks at again is not accepted but forgotten."""
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise UserError("this is no date", where=f"expires {text}", hint=f"{today + dt.timedelta(days=90)}") from error
    if not today < day <= today + dt.timedelta(days=366):
        raise UserError("it ends between tomorrow and a year from now", where=f"expires {text}", hint="give an earlier day")
    return day


def standing(call: Call) -> list[StandingFinding]:
    policy, _ = call.policy()
    return standing_findings(call.store, policy, call.now)


def known(call: Call, finding: str) -> StandingFinding:
    policy, _ = call.policy()
    found = find_standing(call.store, policy, finding, call.now)
    if found is None:
        raise Missing(f"finding {finding[:32]}")
    return found


def finding_page(call: Call, finding: str, error: UserError | None = None) -> Response:
    one = known(call, finding)
    values: dict[str, Any] = {"one": one, "error": error, "form": call.form}
    values["expires"] = dt.datetime.fromtimestamp(call.now + 90 * 86400, dt.UTC).date().isoformat()
    return page(call, "finding_page.html.j2", "findings", 422 if error else 200, title=one.finding.title, **values)


@ROUTER.post("/findings/{finding}/verify")
def verify(call: Operator, finding: str) -> Response:
    """Measure this one endpoint again; the finding goes when it is not found, never by a tick."""
    place = known(call, finding).finding.endpoint
    run = start(call, ScanRequest(targets=(place.ip,), ports=f"{place.transport[0].upper()}:{place.port}"))
    return RedirectResponse(f"/scans/{run}", 303)
