"""Makes a session: a token that only the browser gets, and the row that knows its hash."""

from __future__ import annotations

import secrets
from dataclasses import replace

from reconshield.access import SESSION_LONGEST, NewSession, Role, Visitor, hash_secret
from reconshield.store import accounts, sessions
from reconshield.store.accounts import Account
from reconshield.store.db import Store

AGENT_LONGEST, CLIENT_LONGEST = 200, 64


def view(store: Store, workspace: str) -> Store:
    """The same database, and the same transaction, seen from another workspace."""
    return replace(store, workspace=workspace)


def open_session(
    one: Store, account: Account, role: Role, now: float, client: str, agent: str, *, began: float | None = None
) -> NewSession:
    """A new session in the store's workspace, within the caller's transaction; one that continues another keeps its age."""
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    hashed = hash_secret(token)
    started = now if began is None else began
    expires = started + SESSION_LONGEST
    sessions.add_session(one, hashed, account.id, csrf, started, now, expires, client[:CLIENT_LONGEST], agent[:AGENT_LONGEST])
    accounts.mark_member_used(one, account.id, now)
    name = hashed[: sessions.SHOWN_HASH]
    return NewSession(token, Visitor(account.name, role, one.workspace, name, csrf, None, "session"), expires)
