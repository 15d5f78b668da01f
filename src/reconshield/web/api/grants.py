"""Grants: who allowed what to be measured, and the log of all of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field

from reconshield.jobs import grants as job
from reconshield.jobs.times import parse_moment
from reconshield.report.grants import (
    ChainPart,
    EntryPart,
    GrantPart,
    KeptGrantPart,
    RefreshedGrantPart,
    chain_part,
    change_parts,
    entry_part,
    grant_part,
)
from reconshield.scope import Grant
from reconshield.store.audit import entries, verify_chain
from reconshield.web.api.conditions import require_unchanged
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.router import PREFIX, Api, Made, once
from reconshield.web.api.wishes import Line, Moment, Targets, Wish
from reconshield.web.call import Call
from reconshield.web.door import ApiAdmin, ApiViewer
from reconshield.web.failures import Missing

ROUTER = Api("Grants")
GrantId = Annotated[str, Path(description="Such as g3.")]


class NewGrant(Wish):
    """Who allows which targets to be measured, how far and how long."""

    targets: Annotated[Targets, Field(min_length=1)]
    exclude: Targets = ()
    by: Line
    level: Annotated[int, Field(ge=0, le=4)] = 3
    begins: Annotated[Moment | None, Field(description="Default: now.")] = None
    until: Annotated[Moment | None, Field(description="Default: 90 days after the beginning.")] = None
    reason: Line | None = None
    contact: Line | None = None


@ROUTER.get("/grants")
def list_grants(call: ApiViewer, page: Paged) -> Page[GrantPart]:
    """Every grant, ended ones too, the newest first."""
    found = sorted(job.list_grants(call.store), key=number_of, reverse=True)
    return page.cut(found, lambda grant: (-number_of(grant),), lambda grant: grant_part(grant, call.now))


@ROUTER.post("/grants", status_code=201)
@once
def add_grant(call: ApiAdmin, wish: NewGrant) -> Made[KeptGrantPart]:
    """Record that somebody allows targets to be measured. Names get the addresses that they have now."""
    kept = job.add_grant(
        call.store,
        wish.targets,
        by=wish.by,
        now=call.now,
        level=wish.level,
        exclude_texts=wish.exclude,
        valid_from=parse_moment(wish.begins, call.now, "begins") if wish.begins else None,
        until=parse_moment(wish.until, call.now, "until", ends=True) if wish.until else None,
        reason=wish.reason,
        contact=wish.contact,
        actor=call.actor,
    )
    return Made({**grant_part(kept.grant, call.now), "entry": kept.entry}, f"{PREFIX}/grants/{kept.grant.id}")


@ROUTER.get("/grants/{grant}")
def read_grant(call: ApiViewer, grant: GrantId) -> GrantPart:
    """One grant."""
    return grant_part(grant_of(call, grant), call.now)


@ROUTER.post("/grants/{grant}/revoke")
def revoke_grant(call: ApiAdmin, grant: GrantId) -> KeptGrantPart:
    """End a grant now. What was measured under it is kept. Takes `If-Match`."""
    require_unchanged(call.request, grant_part(found := grant_of(call, grant), call.now))
    kept = job.revoke_grant(call.store, found.id, call.now, call.actor)
    return {**grant_part(kept.grant, call.now), "entry": kept.entry}


@ROUTER.post("/grants/{grant}/refresh")
def refresh_grant(call: ApiAdmin, grant: GrantId) -> RefreshedGrantPart:
    """Ask the names of a grant again, and allow the addresses that they have now. Takes `If-Match`."""
    require_unchanged(call.request, grant_part(found := grant_of(call, grant), call.now))
    fresh = job.refresh_grant(call.store, found.id, call.now, call.actor)
    return {**grant_part(fresh.grant, call.now), "entry": fresh.entry, "changes": change_parts(fresh.changes)}


@ROUTER.get("/audit")
def list_audit(call: ApiViewer, page: Paged) -> Page[EntryPart]:
    """The audit log of the workspace, the newest entry first."""
    last = page.placed(int)
    found = entries(call.store, page.limit + 1, last[0] if last else None)[::-1]
    return page.follow(found, lambda entry: (entry.number,), entry_part)


@ROUTER.get("/audit/verification")
def verify_audit(call: ApiViewer) -> ChainPart:
    """Check that nobody edited the log. Keep number and hash elsewhere, then a cut end is noticed too."""
    newest = entries(call.store, limit=1)
    return chain_part(verify_chain(call.store), newest[0] if newest else None)


def grant_of(call: Call, grant_id: str) -> Grant:
    found = next((grant for grant in job.list_grants(call.store) if grant.id == grant_id), None)
    if found is None:
        raise Missing("grant")
    return found


def number_of(grant: Grant) -> int:
    return int(grant.id.removeprefix("g"))
