"""What is open, on what, and what is wrong with it: assets, exposures, findings; and what may be decided about them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from reconshield.errors import UserError
from reconshield.jobs.exposures import load_assets, load_exposures
from reconshield.jobs.policy_edit import add_entry
from reconshield.jobs.scan_request import ScanRequest
from reconshield.jobs.standing import StandingFinding, find_standing, standing_findings
from reconshield.report.exposures import Exposure, worst_first
from reconshield.web.call import Call
from reconshield.web.door import Analyst, Operator, Viewer
from reconshield.web.failures import Missing
from reconshield.web.frame import page
from reconshield.web.start import start

ROUTER = APIRouter(include_in_schema=False)
ROWS = 100
RATINGS = ("critical", "high", "medium", "low")


@ROUTER.get("/exposures")
def exposures(call: Viewer, q: str = "", rating: str = "", zone: str = "", verdict: str = "", start: int = 0) -> Response:
    """Everything that is known to be open, the worst first."""
    policy, remark = call.policy()
    every = sorted(load_exposures(call.store, policy, call.now), key=worst_first)
    chosen = {"q": q[:200], "rating": rating, "zone": zone, "verdict": verdict}
    found = [one for one in every if fits(one, chosen)]
    start = max(0, min(start, len(found)))
    return page(
        call,
        "exposures.html.j2",
        "exposures",
        title="Exposures",
        every=len(every),
        found=len(found),
        rows=found[start : start + ROWS],
        start=start,
        size=ROWS,
        chosen=chosen,
        facets={
            "rating": order(Counter(one.risk.rating if one.risk else "not rated" for one in every), RATINGS),
            "zone": order(Counter(one.zone for one in every)),
            "verdict": order(Counter(one.verdict or "no policy" for one in every)),
        },
        remark=remark,
    )


def fits(one: Exposure, chosen: dict[str, str]) -> bool:
    """Whether an exposure is what the filters ask for; the text is looked for in place, names and service."""
    rating = one.risk.rating if one.risk else "not rated"
    if chosen["rating"] not in {"", rating} or chosen["zone"] not in {"", one.zone}:
        return False
    if chosen["verdict"] not in {"", one.verdict or "no policy"}:
        return False
    spoken = (one.service.service, one.service.product or "", one.service.name or "") if one.service else ()
    words = " ".join((str(one.endpoint), one.owner or "", *one.assets, *spoken)).lower()
    return all(word in words for word in chosen["q"].lower().split())


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
