"""Grants at rest: who allowed which targets to be measured, at what level, from when until when.

A grant is never edited: it is added, revoked with a date, or its resolved addresses are replaced (`grant refresh`). What a
grant permits is decided in `scope`, not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from reconshield.errors import UserError
from reconshield.model import Json
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import GRANTS

GRANT_ID = re.compile(r"g([1-9][0-9]{0,8})")
EVERY = select(GRANTS).where(GRANTS.c.workspace == bindparam("workspace")).order_by(GRANTS.c.number)


def add_grant(store: Store, grant: Json) -> str:
    """Keep a grant and return its id: `g1`, `g2`, … in this workspace.

    Fields: `by`, `targets`, `level`, `created_at`; optional `exclusions`, `valid_from`, `until`, `reason`, `contact`.
    """
    with store.begin() as connection:
        take_turns(connection, f"grants {store.workspace}")
        last = connection.execute(select(func.max(GRANTS.c.number)).where(GRANTS.c.workspace == store.workspace)).scalar()
        number = (last or 0) + 1
        connection.execute(insert(GRANTS).values(workspace=store.workspace, number=number, **row_of(grant)))
    return f"g{number}"


def row_of(grant: Json) -> dict[str, Any]:
    return {
        "granted_by": grant["by"],
        "targets": list(grant["targets"]),
        "exclusions": list(grant.get("exclusions", ())),
        "level": grant["level"],
        "valid_from": grant.get("valid_from"),
        "until": grant.get("until"),
        "reason": grant.get("reason"),
        "contact": grant.get("contact"),
        "created_at": grant["created_at"],
        "revoked_at": grant.get("revoked_at"),
    }


def hold(store: Store) -> None:
    """Until the caller's transaction ends, nobody else adds or ends a grant of the workspace."""
    with store.begin() as connection:
        take_turns(connection, f"grants {store.workspace}")


def list_grants(store: Store) -> list[dict[str, Any]]:
    """All grants of the workspace, revoked and expired ones too, oldest first; `id` and the fields of `add_grant`."""
    with store.read() as connection:
        return [grant_of(row) for row in connection.execute(EVERY, {"workspace": store.workspace}).mappings()]


def grant_of(row: Mapping[Any, Any]) -> dict[str, Any]:
    fields = {name: value for name, value in row.items() if name not in {"workspace", "number", "granted_by"}}
    return {"id": f"g{row['number']}", "by": row["granted_by"]} | fields


def revoke_grant(store: Store, grant_id: str, at: float) -> dict[str, Any]:
    """End a grant at `at` and return it. One that was revoked before keeps its first date."""
    with store.begin() as connection:
        found = find_grant(connection, store.workspace, grant_id)
        if found["revoked_at"] is None:
            change_grant(connection, store.workspace, grant_id, {"revoked_at": at})
            found["revoked_at"] = at
        return found


def replace_grant_targets(store: Store, grant_id: str, targets: Iterable[Json]) -> dict[str, Any]:
    """Put newly resolved addresses in the place of the old ones and return the grant."""
    with store.begin() as connection:
        found = find_grant(connection, store.workspace, grant_id)
        found["targets"] = list(targets)
        change_grant(connection, store.workspace, grant_id, {"targets": found["targets"]})
        return found


def find_grant(connection: Connection, workspace: str, grant_id: str) -> dict[str, Any]:
    number = number_of(grant_id)
    query = select(GRANTS).where(GRANTS.c.workspace == workspace, GRANTS.c.number == number)
    row = connection.execute(query).mappings().first() if number else None
    if row is None:
        raise UserError("there is no grant of that id", where=grant_id, hint="reconshield grant list")
    return grant_of(row)


def change_grant(connection: Connection, workspace: str, grant_id: str, values: dict[str, Any]) -> None:
    where = (GRANTS.c.workspace == workspace, GRANTS.c.number == number_of(grant_id))
    connection.execute(update(GRANTS).where(*where).values(values))


def number_of(grant_id: str) -> int | None:
    match = GRANT_ID.fullmatch(grant_id.strip().lower())
    return int(match[1]) if match else None
