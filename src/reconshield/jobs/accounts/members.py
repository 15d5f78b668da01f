"""Who belongs to a workspace and in which role. One admin who can sign in always remains."""

from __future__ import annotations

from reconshield import host
from reconshield.access import Member, Role, Visitor, require
from reconshield.errors import UserError
from reconshield.jobs.accounts.opening import view
from reconshield.jobs.accounts.sessions import known_account, require_session
from reconshield.store import accounts, audit, sessions
from reconshield.store.accounts import Account
from reconshield.store.db import Store


def list_members(store: Store) -> list[Member]:
    """Everybody in the store's workspace, by name."""
    return accounts.list_members(store)


def set_role(store: Store, visitor: Visitor, account: str, role: Role, now: float) -> None:
    """Give a member another role. A higher one begins with a new session: the old ones end."""
    require_admin(visitor, "members")
    owner = known_account(store, account)
    with store.together() as one:
        here = view(one, visitor.workspace)
        before = held_member(here, owner)
        if before is role:
            return
        if before is Role.ADMIN:
            keep_an_admin(here, owner)
            accounts.drop_invites(here, owner.id)
        if role.rank > before.rank:
            sessions.end_sessions(here, owner.id, workspace=here.workspace)
        accounts.set_role(here, owner.id, role)
        detail = {"account": owner.name, "from": before.value, "to": role.value}
        audit.append_entry(here, "role-changed", detail, now, visitor.actor)


def remove_member(store: Store, visitor: Visitor, account: str, now: float) -> None:
    """Take somebody out of the workspace: their sessions and tokens there end. The account itself stays."""
    require_admin(visitor, "members")
    owner = known_account(store, account)
    with store.together() as one:
        here = view(one, visitor.workspace)
        if held_member(here, owner) is Role.ADMIN:
            keep_an_admin(here, owner)
        accounts.drop_invites(here, owner.id)
        sessions.end_sessions(here, owner.id, workspace=here.workspace)
        tokens = sessions.revoke_tokens(here, owner.id, now)
        accounts.remove_member(here, owner.id)
        detail = {"account": owner.name, "tokens_revoked": tokens}
        audit.append_entry(here, "member-removed", detail, now, visitor.actor)


def disable_account(store: Store, name: str, now: float, actor: str | None = None) -> None:
    """Let nobody sign in with this account anywhere in the database. For who owns the database, so it is not in the web app."""
    owner = known_account(store, name)
    if owner.disabled_at is not None:
        raise UserError("the account is disabled already", where=owner.name, hint=f"reconshield account enable {owner.name}")
    with store.together() as one:
        places = sorted(accounts.list_memberships(one, owner.id), key=lambda place: place.workspace)
        for place in places:
            here = view(one, place.workspace)
            if held_member(here, owner) is Role.ADMIN:
                keep_an_admin(here, owner)
            accounts.drop_invites(here, owner.id)
        accounts.set_disabled(one, owner.id, now)
        ended = sessions.end_sessions(one, owner.id)
        for place in places:
            detail = {"account": owner.name, "sessions_ended": ended}
            audit.append_entry(view(one, place.workspace), "account-disabled", detail, now, actor or host.user_name())


def enable_account(store: Store, name: str, now: float, actor: str | None = None) -> None:
    """Let a disabled account sign in again, with the password it had."""
    owner = known_account(store, name)
    if owner.disabled_at is None:
        raise UserError("the account is not disabled", where=owner.name, hint="reconshield account list")
    with store.together() as one:
        accounts.set_disabled(one, owner.id, None)
        for place in sorted(accounts.list_memberships(one, owner.id), key=lambda place: place.workspace):
            here = view(one, place.workspace)
            audit.append_entry(here, "account-enabled", {"account": owner.name}, now, actor or host.user_name())


def require_admin(visitor: Visitor, what: str) -> None:
    require_session(visitor)
    require(visitor, Role.ADMIN, what)


def held_member(here: Store, owner: Account) -> Role:
    """The role of a member, which nobody else changes until this transaction ends."""
    accounts.hold(here, f"members {here.workspace}")
    role = accounts.find_role(here, owner.id)
    if role is None:
        raise UserError("this account does not belong to the workspace", where=owner.name, hint="look at the list of members")
    return role


def keep_an_admin(here: Store, owner: Account) -> None:
    if not accounts.other_admins(here, owner.id):
        hint = f"make somebody else an admin of {here.workspace} first, who has signed in once"
        raise UserError("the workspace would have no admin", where=owner.name, hint=hint)
