"""Requests that were done under an Idempotency-Key, and how they were answered: kept for a day, and never more than some."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from reconshield.store.db import Store, take_turns
from reconshield.store.tables import IDEMPOTENCY

LASTS = 86_400.0
MOST = 1000
"""Keys of one account in a workspace; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that came before. `status` is None while it is worked on."""

    request: str
    status: int | None
    location: str | None
    body: str | None


def claim(store: Store, account: str, key: str, request: str, now: float) -> Kept | None:
    """Take a key for a request; None when it was free, else what it was used for. Keys are hashes."""
    mine = (IDEMPOTENCY.c.workspace == store.workspace, IDEMPOTENCY.c.account == account)
    with store.begin() as connection:
        take_turns(connection, f"idempotency {store.workspace} {account}")
        connection.execute(
            delete(IDEMPOTENCY).where(IDEMPOTENCY.c.workspace == store.workspace, IDEMPOTENCY.c.at < now - LASTS)
        )
        row = connection.execute(select(IDEMPOTENCY).where(*mine, IDEMPOTENCY.c.key == key)).mappings().first()
        if row is not None:
            return Kept(row["request"], row["status"], row["location"], row["body"])
        if connection.execute(select(func.count()).select_from(IDEMPOTENCY).where(*mine)).scalar_one() >= MOST:
            oldest = select(IDEMPOTENCY.c.key).where(*mine).order_by(IDEMPOTENCY.c.at).limit(1).scalar_subquery()
            connection.execute(delete(IDEMPOTENCY).where(*mine, IDEMPOTENCY.c.key == oldest))
        values = {"workspace": store.workspace, "account": account, "key": key, "request": request, "at": now}
        connection.execute(insert(IDEMPOTENCY).values(values))
    return None


def settle(store: Store, account: str, key: str, status: int, location: str | None, body: str) -> None:
    """Keep the answer for repetitions."""
    with store.begin() as connection:
        row = update(IDEMPOTENCY).where(*place(store, account, key))
        connection.execute(row.values(status=status, location=location, body=body))


def release(store: Store, account: str, key: str) -> None:
    """Forget a claim whose request failed."""
    with store.begin() as connection:
        connection.execute(delete(IDEMPOTENCY).where(*place(store, account, key)))


def place(store: Store, account: str, key: str) -> tuple[ColumnElement[bool], ...]:
    same = IDEMPOTENCY.c
    return (same.workspace == store.workspace, same.account == account, same.key == key)
