"""A grant in its three forms: the record of `scope`, the row of the store, and what the audit log says of it.

Addresses stand in rows as pairs of decimal texts, for a JSON number holds no IPv6 address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconshield.addresses import AddressSet
from reconshield.model import Json
from reconshield.scope import Grant, GrantTarget, Refusal, Request, Targets

SHOWN = 64
"""Parts of an address set that an audit entry spells out; beyond them it gives the number."""


def describe_answer(request: Request, answer: Targets | Refusal) -> Json:
    """What an audit entry says of a use or a refusal."""
    asked: dict[str, Any] = {"use": request.use, "targets": [target.text for target in request.targets[:SHOWN]]}
    if len(request.targets) > SHOWN:
        asked["targets_in_all"] = len(request.targets)
    if isinstance(answer, Refusal):
        return asked | {"address": answer.address, "message": answer.message, "why": list(answer.why)}
    return asked | {
        "level": answer.level,
        "grants": list(answer.grants),
        "addresses": answer.addresses.text(SHOWN),
        "count": answer.addresses.count,
        "dropped": [{"addresses": drop.addresses.text(SHOWN), "why": drop.why} for drop in answer.dropped[:SHOWN]],
    }


def describe_grant(grant: Grant) -> Json:
    """What an audit entry says of a grant: all of it, addresses as networks."""
    row = row_of(grant)
    for key, targets in (("targets", grant.targets), ("exclusions", grant.exclusions)):
        row[key] = [{"text": target.text, "addresses": target.addresses.text(SHOWN)} for target in targets]
    return {"grant": grant.id} | row


def row_of(grant: Grant) -> dict[str, Any]:
    """A grant as the store keeps it."""
    return {
        "by": grant.by,
        "targets": [target_row(target) for target in grant.targets],
        "exclusions": [target_row(target) for target in grant.exclusions],
        "level": grant.level,
        "valid_from": grant.valid_from,
        "until": grant.until,
        "reason": grant.reason,
        "contact": grant.contact,
        "created_at": grant.created_at,
    }


def target_row(target: GrantTarget) -> dict[str, Any]:
    row: dict[str, Any] = {
        "text": target.text,
        "ranges": [[str(first), str(last)] for first, last in target.addresses.ranges],
    }
    return row | ({"name": target.name} if target.name is not None else {})


def grant_of(row: Mapping[str, Any]) -> Grant:
    """A grant from the store. One without an end would be no grant of ours; it counts as ended."""
    return Grant(
        id=row["id"],
        by=row["by"],
        targets=tuple(map(target_of, row["targets"])),
        exclusions=tuple(map(target_of, row["exclusions"])),
        level=row["level"],
        valid_from=row["valid_from"] or row["created_at"],
        until=row["until"] or row["created_at"],
        reason=row["reason"],
        contact=row["contact"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def target_of(row: Mapping[str, Any]) -> GrantTarget:
    ranges = tuple((int(first), int(last)) for first, last in row["ranges"])
    return GrantTarget(row["text"], AddressSet(ranges), row.get("name"))
