"""Sessions, tokens and failed attempts at rest: what every request of the web app looks up.

Of a session or token only the SHA-256 is kept. A look-up is one query that also asks whether the account may still sign in and
still belongs to the workspace, so whatever ends there ends at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Table, and_, bindparam, delete, insert, or_, select, update

from reconshield.access import SEEN_EVERY, SESSION_IDLE, Failures, OpenSession, Role, Token
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import ACCOUNTS, LOGIN_FAILURES, MEMBERS, SESSIONS, TOKENS

SHOWN_HASH = 16
"""So much of a session's hash names it where its owner sees it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A session or token that is valid as far as the database knows, with its account's role of this moment."""

    workspace: str
    id: str
    account_id: str
    account: str
    role: Role
    csrf: str
    scopes: frozenset[str] | None
    created_at: float
    seen_at: float | None
    expires_at: float


def add_session(
    store: Store,
    hashed: str,
    account_id: str,
    csrf: str,
    created_at: float,
    now: float,
    expires: float,
    client: str,
    agent: str,
) -> None:
    with store.begin() as connection:
        connection.execute(
            insert(SESSIONS).values(
                workspace=store.workspace,
                hash=hashed,
                account=account_id,
                csrf=csrf,
                created_at=created_at,
                seen_at=now,
                expires_at=expires,
                client=client,
                agent=agent,
            )
        )


def joined(table: Table) -> Select[Any]:
    """Rows of sessions or tokens whose account may sign in and belongs to the workspace now."""
    belongs = and_(MEMBERS.c.workspace == table.c.workspace, MEMBERS.c.account == table.c.account)
    return (
        select(table, ACCOUNTS.c.name.label("account_name"), MEMBERS.c.role)
        .join(ACCOUNTS, ACCOUNTS.c.id == table.c.account)
        .join(MEMBERS, belongs)
        .where(ACCOUNTS.c.disabled_at.is_(None))
    )


SESSION = joined(SESSIONS).where(SESSIONS.c.hash == bindparam("session"))
"""Built once: every request asks it."""


def find_session(store: Store, hashed: str, now: float) -> Found | None:
    with store.read() as connection:
        row = connection.execute(SESSION, {"session": hashed}).mappings().first()
    if row is None or not (row["expires_at"] > now and row["seen_at"] > now - SESSION_IDLE):
        return None
    return Found(
        workspace=row["workspace"],
        id=hashed[:SHOWN_HASH],
        account_id=row["account"],
        account=row["account_name"],
        role=Role(row["role"]),
        csrf=row["csrf"],
        scopes=None,
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        expires_at=row["expires_at"],
    )


def alive(now: float) -> tuple[Any, ...]:
    return (SESSIONS.c.expires_at > now, SESSIONS.c.seen_at > now - SESSION_IDLE)


def mark_session_seen(store: Store, hashed: str, now: float) -> None:
    with store.begin() as connection:
        due = (SESSIONS.c.hash == hashed, SESSIONS.c.seen_at <= now - SEEN_EVERY)
        connection.execute(update(SESSIONS).where(*due).values(seen_at=now))


def end_session(store: Store, hashed: str) -> bool:
    with store.begin() as connection:
        return connection.execute(delete(SESSIONS).where(SESSIONS.c.hash == hashed)).rowcount == 1


def end_sessions(store: Store, account_id: str, *, but: str = "", workspace: str | None = None) -> int:
    """End the sessions of an account, all but the hash `but`, in one workspace or in all; how many that were."""
    where = [SESSIONS.c.account == account_id, SESSIONS.c.hash != but]
    where += [SESSIONS.c.workspace == workspace] if workspace else []
    with store.begin() as connection:
        return connection.execute(delete(SESSIONS).where(*where)).rowcount


def end_other_sessions(store: Store, account_id: str, shown: str) -> int:
    """End the sessions of an account but the one that `list_sessions` names so; how many that were."""
    others = (SESSIONS.c.account == account_id, SESSIONS.c.hash.not_like(f"{shown}%"))
    with store.begin() as connection:
        return connection.execute(delete(SESSIONS).where(*others)).rowcount


def list_sessions(store: Store, account_id: str, current: str, now: float) -> list[OpenSession]:
    """Where an account is signed in now, newest use first."""
    query = select(SESSIONS).where(SESSIONS.c.account == account_id, *alive(now)).order_by(SESSIONS.c.seen_at.desc())
    with store.read() as connection:
        return [
            OpenSession(
                id=row.hash[:SHOWN_HASH],
                workspace=row.workspace,
                client=row.client,
                agent=row.agent,
                created=row.created_at,
                seen=row.seen_at,
                current=row.hash[:SHOWN_HASH] == current,
            )
            for row in connection.execute(query)
        ]


def end_shown_session(store: Store, account_id: str, shown: str) -> bool:
    """End one of the account's sessions by the name that `list_sessions` gives it."""
    with store.begin() as connection:
        where = (SESSIONS.c.account == account_id, SESSIONS.c.hash.startswith(shown, autoescape=True))
        return connection.execute(delete(SESSIONS).where(*where)).rowcount > 0


def prune_sessions(store: Store, now: float) -> None:
    """Forget what is over, in all workspaces, except what somebody is ending at this moment."""
    over = or_(SESSIONS.c.expires_at <= now, SESSIONS.c.seen_at <= now - SESSION_IDLE)
    old = select(SESSIONS.c.hash).where(over).with_for_update(skip_locked=True)
    with store.begin() as connection:
        connection.execute(delete(SESSIONS).where(SESSIONS.c.hash.in_(old)))


# Tokens --------------------------------------------------------------------------------------------------------------------


def add_token(store: Store, token: Token, hashed: str, account_id: str) -> None:
    with store.begin() as connection:
        connection.execute(
            insert(TOKENS).values(
                workspace=store.workspace,
                id=token.id,
                hash=hashed,
                account=account_id,
                name=token.name,
                scopes=sorted(token.scopes),
                created_at=token.created,
                until=token.until,
            )
        )


def find_token(store: Store, hashed: str, now: float) -> Found | None:
    query = joined(TOKENS).where(TOKENS.c.hash == hashed, TOKENS.c.until > now, TOKENS.c.revoked_at.is_(None))
    with store.read() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Found(
        workspace=row["workspace"],
        id=row["id"],
        account_id=row["account"],
        account=row["account_name"],
        role=Role(row["role"]),
        csrf="",
        scopes=frozenset(row["scopes"]),
        created_at=row["created_at"],
        seen_at=row["used_at"],
        expires_at=row["until"],
    )


def mark_token_used(store: Store, hashed: str, now: float) -> None:
    with store.begin() as connection:
        due = or_(TOKENS.c.used_at.is_(None), TOKENS.c.used_at <= now - SEEN_EVERY)
        connection.execute(update(TOKENS).where(TOKENS.c.hash == hashed, due).values(used_at=now))


def list_tokens(store: Store, account_id: str | None = None) -> list[Token]:
    """Tokens of the workspace, or those of one account in it, oldest first; ended ones too."""
    query = (
        select(TOKENS, ACCOUNTS.c.name.label("account_name"))
        .join(ACCOUNTS, ACCOUNTS.c.id == TOKENS.c.account)
        .where(TOKENS.c.workspace == store.workspace)
        .order_by(TOKENS.c.created_at, TOKENS.c.id)
    )
    if account_id is not None:
        query = query.where(TOKENS.c.account == account_id)
    with store.read() as connection:
        return [token_of(row) for row in connection.execute(query).mappings()]


def token_of(row: Mapping[Any, Any]) -> Token:
    return Token(
        id=row["id"],
        account=row["account_name"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        created=row["created_at"],
        until=row["until"],
        last_used=row["used_at"],
        revoked=row["revoked_at"],
    )


def revoke_token(store: Store, token_id: str, at: float) -> bool:
    """End a token of the workspace; False when it has ended before."""
    with store.begin() as connection:
        where = (TOKENS.c.workspace == store.workspace, TOKENS.c.id == token_id, TOKENS.c.revoked_at.is_(None))
        return connection.execute(update(TOKENS).where(*where).values(revoked_at=at)).rowcount == 1


def revoke_tokens(store: Store, account_id: str, at: float) -> int:
    """End every token of an account in the workspace; how many that were."""
    with store.begin() as connection:
        where = (TOKENS.c.workspace == store.workspace, TOKENS.c.account == account_id, TOKENS.c.revoked_at.is_(None))
        return connection.execute(update(TOKENS).where(*where).values(revoked_at=at)).rowcount


# Failed attempts, of the whole database --------------------------------------------------------------------------------------


def find_failures(store: Store, subject: str, now: float) -> Failures | None:
    """What is remembered of a subject, and nobody else counts on it until the caller's transaction ends."""
    with store.begin() as connection:
        take_turns(connection, f"login {subject}")
        query = select(LOGIN_FAILURES).where(LOGIN_FAILURES.c.subject == subject, LOGIN_FAILURES.c.forget_at > now)
        row = connection.execute(query).first()
    return Failures(row.failures, row.last_at) if row else None


def save_failures(store: Store, subject: str, failures: Failures, forget_at: float) -> None:
    values = {"failures": failures.count, "last_at": failures.last, "forget_at": forget_at}
    with store.begin() as connection:
        done = connection.execute(update(LOGIN_FAILURES).where(LOGIN_FAILURES.c.subject == subject).values(values))
        if done.rowcount == 0:
            connection.execute(insert(LOGIN_FAILURES).values(subject=subject, **values))


def take_back_failure(store: Store, subject: str) -> None:
    """The attempt that was counted beforehand was none."""
    with store.begin() as connection:
        where = (LOGIN_FAILURES.c.subject == subject, LOGIN_FAILURES.c.failures > 0)
        connection.execute(update(LOGIN_FAILURES).where(*where).values(failures=LOGIN_FAILURES.c.failures - 1))


def forget_failures(store: Store, subject: str) -> None:
    with store.begin() as connection:
        connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.subject == subject))


def prune_failures(store: Store, now: float) -> None:
    """Forget what is old, except what somebody is counting on at this moment: two that wait for each other would never end."""
    old = select(LOGIN_FAILURES.c.subject).where(LOGIN_FAILURES.c.forget_at <= now).with_for_update(skip_locked=True)
    with store.begin() as connection:
        connection.execute(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.subject.in_(old)))
