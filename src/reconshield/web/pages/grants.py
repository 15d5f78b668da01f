"""Grants and the audit log: who allowed what to be measured, and every use of it."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from reconshield.errors import UserError
from reconshield.jobs import grants as job
from reconshield.jobs.times import parse_moment
from reconshield.scope import LEVELS
from reconshield.store import audit
from reconshield.web.call import Call
from reconshield.web.door import Admin, Viewer
from reconshield.web.frame import page
from reconshield.web.targets import read_target_lines

ROUTER = APIRouter(include_in_schema=False)
ENTRIES = 200


@ROUTER.get("/grants")
def show(call: Viewer) -> Response:
    return listing(call, None)


@ROUTER.post("/grants")
def add(call: Admin) -> Response:
    """Record a grant; a mistake keeps what was written."""
    try:
        job.add_grant(
            call.store,
            read_target_lines(call.text("targets", 100_000)),
            by=call.text("by", 200),
            now=call.now,
            level=call.number("level", 0, 4) or 0,
            exclude_texts=read_target_lines(call.text("exclude", 100_000), "exclude"),
            until=parse_moment(call.text("until", 40) or "90d", call.now, "until", ends=True),
            reason=call.text("reason", 200) or None,
            contact=call.text("contact", 200) or None,
            actor=call.actor,
        )
    except UserError as error:
        return listing(call, error)
    return RedirectResponse("/grants", 303)


@ROUTER.post("/grants/{grant}/revoke")
def revoke(call: Admin, grant: str) -> Response:
    job.revoke_grant(call.store, grant, call.now, call.actor)
    return RedirectResponse("/grants", 303)


@ROUTER.post("/grants/{grant}/refresh")
def refresh(call: Admin, grant: str) -> Response:
    """Ask the names of a grant again; the page says what answers differently now."""
    refreshed = job.refresh_grant(call.store, grant, call.now, call.actor)
    return listing(call, None, refreshed=refreshed)


@ROUTER.get("/grants/audit")
def audit_log(call: Viewer) -> Response:
    broken = audit.verify_chain(call.store)
    entries = audit.entries(call.store, ENTRIES + 1)[::-1]
    return page(call, "audit.html.j2", "grants", title="Audit log", entries=entries, most=ENTRIES, broken=broken)


def listing(call: Call, error: UserError | None, refreshed: job.Refreshed | None = None) -> Response:
    found = job.list_grants(call.store)
    return page(
        call,
        "grants.html.j2",
        "grants",
        status=422 if error else 200,
        title="Grants",
        valid=[grant for grant in found if grant.valid_at(call.now)],
        over=[grant for grant in found if not grant.valid_at(call.now)][::-1],
        levels=LEVELS,
        error=error,
        form=call.form,
        refreshed=refreshed,
    )
