"""Tokens: how programs sign in. A token acts as its owner, and never as more than its scopes reach."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from reconshield.access import (
    SEEN_EVERY,
    TOKEN_LASTS,
    TOKEN_LONGEST,
    TOKEN_SCOPES,
    NotAllowed,
    Role,
    Token,
    Visitor,
    hash_secret,
    role_of_token,
)
from reconshield.errors import UserError
from reconshield.jobs.accounts.opening import view
from reconshield.jobs.accounts.sessions import known_account, require_session
from reconshield.store import audit, sessions
from reconshield.store.db import Store

PREFIX = "rs_"
"""So that secret scanners and people know one when they see it."""
TEXT_LONGEST, NAME_LONGEST, TOKENS_MOST = 128, 80, 100


def make_token(
    store: Store, visitor: Visitor, name: str, scopes: Iterable[str], until: float | None, now: float
) -> tuple[str, Token]:
    """A new token of the visitor for this workspace: its text, shown this once, and its record. Without `until`: 90 days."""
    require_session(visitor)
    wanted, ends = check_scopes(visitor, scopes), check_until(until, now)
    owner, here = known_account(store, visitor.account), view(store, visitor.workspace)
    token = Token(f"t{secrets.token_hex(4)}", owner.name, check_token_name(name), wanted, now, ends, None, None)
    text = PREFIX + secrets.token_urlsafe(32)
    with here.together() as one:
        standing = [each for each in sessions.list_tokens(one, owner.id) if each.revoked is None and each.until > now]
        if len(standing) >= TOKENS_MOST:
            raise UserError(f"the account has {TOKENS_MOST} tokens here", where=owner.name, hint="revoke some first")
        sessions.add_token(one, token, hash_secret(text), owner.id)
        detail = {"token": token.id, "name": token.name, "scopes": sorted(wanted), "until": ends}
        audit.append_entry(one, "token-made", detail, now, visitor.actor)
    return text, token


def check_scopes(visitor: Visitor, scopes: Iterable[str]) -> frozenset[str]:
    wanted = frozenset(scopes)
    known = ", ".join(TOKEN_SCOPES)
    if not wanted or not wanted <= TOKEN_SCOPES.keys():
        odd = ", ".join(ascii(scope[:32])[1:-1] for scope in sorted(wanted - TOKEN_SCOPES.keys())[:4]) or "none"
        raise UserError("a token needs scopes that exist", where=odd, hint=f"scopes are {known}")
    for scope in sorted(wanted):
        if not visitor.role.covers(TOKEN_SCOPES[scope]):
            hint = f"your role here is {visitor.role.value}"
            raise NotAllowed(f"the scope {scope} is for {TOKEN_SCOPES[scope].value} and above", where=scope, hint=hint)
    return wanted


def check_until(until: float | None, now: float) -> float:
    ends = now + TOKEN_LASTS if until is None else until
    if not now < ends <= now + TOKEN_LONGEST:
        raise UserError("a token ends within a year, and not before now", where="until", hint="give a date in that time")
    return ends


def check_token_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_LONGEST or not name.isprintable():
        hint = f"say on one line what it is for ({NAME_LONGEST} characters at most)"
        raise UserError("a token needs a name", where=ascii(name[:NAME_LONGEST])[1:-1] or "name", hint=hint)
    return name


def find_token(store: Store, text: str, now: float) -> Visitor | None:
    """Who a token acts for, in whatever workspace; None for one that is unknown, revoked or over."""
    if not text.startswith(PREFIX) or len(text) > TEXT_LONGEST:
        return None
    hashed = hash_secret(text)
    found = sessions.find_token(store, hashed, now)
    if found is None or found.scopes is None:
        return None
    if found.seen_at is None or now - found.seen_at >= SEEN_EVERY:
        sessions.mark_token_used(store, hashed, now)
    role = role_of_token(found.role, found.scopes)
    return Visitor(found.account, role, found.workspace, found.id, "", found.scopes, "token")


def list_tokens(store: Store, visitor: Visitor) -> list[Token]:
    """The visitor's tokens in this workspace; an admin sees everybody's."""
    here = view(store, visitor.workspace)
    everybody = visitor.role is Role.ADMIN
    return sessions.list_tokens(here, None if everybody else known_account(store, visitor.account).id)


def revoke_token(store: Store, visitor: Visitor, token_id: str, now: float) -> None:
    """End a token at once: one's own, or as an admin anybody's."""
    if not any(token.id == token_id and token.revoked is None for token in list_tokens(store, visitor)):
        raise UserError("there is no token of that id", where=ascii(token_id[:32])[1:-1], hint="look at the list of tokens")
    with view(store, visitor.workspace).together() as one:
        if sessions.revoke_token(one, token_id, now):
            audit.append_entry(one, "token-revoked", {"token": token_id}, now, visitor.actor)
