"""What a signed-in browser does with its session: be found, be rotated, end."""

from __future__ import annotations

import re

from reconshield.access import (
    SEEN_EVERY,
    LoginRefused,
    NewSession,
    NotAllowed,
    OpenSession,
    Visitor,
    check_password,
    hash_secret,
    name_key,
)
from reconshield.errors import UserError
from reconshield.jobs.accounts import attempts
from reconshield.jobs.accounts.opening import open_session, view
from reconshield.jobs.accounts.passwords import hash_password, password_fits
from reconshield.jobs.memory import Memory
from reconshield.store import accounts, audit, sessions
from reconshield.store.accounts import Account, Membership
from reconshield.store.db import Store
from reconshield.store.sessions import Found

TOKEN_LONGEST = 128
FOUND: Memory[Found] = Memory(1000)
"""Sessions as they were found, by the state of the database in which they were."""
SESSION_ID = re.compile(rf"[0-9a-f]{{{sessions.SHOWN_HASH}}}")


def find_session(store: Store, token: str, now: float) -> Visitor | None:
    """Whose session this is, in whatever workspace; None for one that is unknown or over."""
    if not token or len(token) > TOKEN_LONGEST:
        return None
    hashed, stamp = hash_secret(token), store.stamp()
    found = sessions.find_session(store, hashed, now)
    if found is None:
        return None
    if due(found, now):
        sessions.mark_session_seen(store, hashed, now)
    elif stamp is not None:
        FOUND.keep((store.where, stamp, hashed), found)
    return visitor_of(found)


def recall_session(store: Store, token: str, now: float) -> Visitor | None:
    """The same without a question to the database, when it has not changed since `find_session` was asked; else None, which
    says nothing. Takes microseconds.
    """
    stamp = store.stamp() if token and len(token) <= TOKEN_LONGEST else None
    found = FOUND.find((store.where, stamp, hash_secret(token))) if stamp is not None else None
    if found is None or due(found, now) or found.expires_at <= now:
        return None
    return visitor_of(found)


def due(found: Found, now: float) -> bool:
    """Whether it is time to write down that the session is used, which keeps it from idling out."""
    return found.seen_at is None or now - found.seen_at >= SEEN_EVERY


def visitor_of(found: Found) -> Visitor:
    return Visitor(found.account, found.role, found.workspace, found.id, found.csrf, None, "session")


def log_out(store: Store, token: str, now: float) -> None:
    """End one session; one that is over already is nobody's mistake."""
    hashed = hash_secret(token)
    found = sessions.find_session(store, hashed, now)
    with store.together() as one:
        if sessions.end_session(one, hashed) and found is not None:
            detail = {"account": found.account, "session": found.id}
            audit.append_entry(view(one, found.workspace), "logout", detail, now, f"account:{found.account}")


def log_out_everywhere(store: Store, account: str, now: float, except_token: str | None = None) -> int:
    """End every session of an account, in all workspaces, but this one; how many that were."""
    owner = known_account(store, account)
    places = accounts.list_memberships(store, owner.id)
    with store.together() as one:
        ended = sessions.end_sessions(one, owner.id, but=hash_secret(except_token) if except_token else "")
        for place in sorted(places, key=lambda each: each.workspace) if ended else ():
            detail = {"account": owner.name, "sessions": ended}
            audit.append_entry(view(one, place.workspace), "logout-everywhere", detail, now, f"account:{owner.name}")
    return ended


def list_sessions(store: Store, visitor: Visitor, now: float) -> list[OpenSession]:
    """Where the visitor is signed in, newest use first."""
    return sessions.list_sessions(store, known_account(store, visitor.account).id, visitor.session, now)


def end_session(store: Store, visitor: Visitor, session_id: str, now: float) -> None:
    """End one of the visitor's own sessions, by the id that `list_sessions` gives."""
    owner = known_account(store, visitor.account)
    with store.together() as one:
        if not SESSION_ID.fullmatch(session_id) or not sessions.end_shown_session(one, owner.id, session_id):
            where = ascii(session_id[:32])[1:-1]
            raise UserError("there is no session of that id", where=where, hint="it may have ended already")
        detail = {"account": owner.name, "session": session_id}
        audit.append_entry(view(one, visitor.workspace), "logout", detail, now, visitor.actor)


def change_password(store: Store, visitor: Visitor, old: str, new: str, now: float) -> NewSession:
    """A new password; every session ends, and the one that asks goes on under a new token."""
    owner = prove_again(store, visitor, old, now)
    check_password(new, owner.name)
    hashed = hash_password(new)
    current = current_session(store, owner, visitor, now)
    with store.together() as one:
        here = view(one, visitor.workspace)
        accounts.set_password(here, owner.id, hashed, now)
        ended = sessions.end_sessions(here, owner.id)
        session = open_session(here, owner, visitor.role, now, current.client, current.agent)
        detail = {"account": owner.name, "sessions_ended": ended - 1}
        audit.append_entry(here, "password-changed", detail, now, visitor.actor)
    return session


def prove_again(store: Store, visitor: Visitor, password: str, now: float) -> Account:
    """The visitor's account, once more by its password: an unlocked screen is not enough to take an account over."""
    require_session(visitor)
    attempts.count_in_session(store, visitor.session, now)
    owner = known_account(store, visitor.account)
    if not password_fits(owner.password, password):
        raise LoginRefused("the password is not right", where="password", hint="give the one that you signed in with")
    attempts.forget_session(store, visitor.session)
    return owner


def switch_workspace(store: Store, token: str, workspace: str, now: float) -> NewSession:
    """The same person in another workspace, under a new token that lives as long as the old one would have."""
    hashed = hash_secret(token)
    found = sessions.find_session(store, hashed, now)
    if found is None:
        raise LoginRefused("the session is over", where="sign in", hint="sign in again")
    owner = known_account(store, found.account)
    role = next((each.role for each in accounts.list_memberships(store, owner.id) if each.workspace == workspace), None)
    if role is None:
        place = ascii(workspace[:64])[1:-1]
        raise UserError("this account does not belong to that workspace", where=place, hint="ask an admin there")
    shown = next((each for each in sessions.list_sessions(store, owner.id, found.id, now) if each.current), None)
    with store.together() as one:
        if not sessions.end_session(one, hashed):
            raise LoginRefused("the session is over", where="sign in", hint="sign in again")
        there = view(one, workspace)
        client, agent = (shown.client, shown.agent) if shown else ("", "")
        session = open_session(there, owner, role, now, client, agent, began=found.created_at)
        detail = {"account": owner.name, "session": session.visitor.session, "from": found.workspace}
        audit.append_entry(there, "login", detail, now, session.visitor.actor)
    return session


def list_workspaces(store: Store, visitor: Visitor) -> list[Membership]:
    """Every workspace that the visitor belongs to, the last used one first."""
    return accounts.list_memberships(store, known_account(store, visitor.account).id)


def current_session(store: Store, owner: Account, visitor: Visitor, now: float) -> OpenSession:
    for each in sessions.list_sessions(store, owner.id, visitor.session, now):
        if each.current:
            return each
    raise LoginRefused("the session is over", where="sign in", hint="sign in again")


def require_session(visitor: Visitor) -> None:
    """Some things only a person may do, never a program with a token."""
    if visitor.via != "session":
        raise NotAllowed("a token cannot do this", where=visitor.session, hint="sign in to the web app")


def known_account(store: Store, name: str) -> Account:
    found = accounts.find_account(store, name_key(name))
    if found is None:
        raise UserError("there is no account of that name", where=ascii(name[:64])[1:-1], hint="reconshield account list")
    return found
