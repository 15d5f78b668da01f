"""One-time links: the first admin of a workspace, invited members, and people who need a new password.

The code in a link is all it needs, so it is short-lived, works once, and only its hash is kept. An account that exists already
joins another workspace with the password it has; a link never gives one person the account of another.
"""

from __future__ import annotations

import secrets

from reconshield import host
from reconshield.access import (
    CODE_LENGTH,
    CODE_LETTERS,
    INVITE_LASTS,
    INVITE_LONGEST,
    LINK_LASTS,
    Link,
    LinkRefused,
    NewSession,
    OpenLink,
    Role,
    Visitor,
    check_name,
    check_password,
    code_text,
    hash_secret,
    name_key,
    read_code,
)
from reconshield.errors import UserError
from reconshield.jobs.accounts.attempts import attempt_of, succeeded
from reconshield.jobs.accounts.logins import prove, prove_code, settle
from reconshield.jobs.accounts.members import require_admin
from reconshield.jobs.accounts.opening import open_session, view
from reconshield.jobs.accounts.passwords import hash_password
from reconshield.jobs.accounts.sessions import known_account
from reconshield.store import accounts, audit, sessions
from reconshield.store.accounts import Account
from reconshield.store.db import Store

USED_KEPT = 30 * 86400.0
"""So long a code that ended is remembered."""


# Making links --------------------------------------------------------------------------------------------------------------


def setup_link(
    store: Store, now: float, lasting: float = LINK_LASTS, account: str | None = None, actor: str | None = None
) -> str:
    """A code that makes the first account of the workspace, its admin; earlier ones end.

    Where somebody has an account already, name one: that one gets a new password (`signin_link`).
    """
    if account is not None:
        return signin_link(store, account, now, lasting, actor=actor)
    with store.together() as one:
        accounts.hold(one, f"members {one.workspace}")
        if accounts.count_members(one):
            hint = "reconshield account link NAME, or reconshield account add NAME --role admin"
            raise UserError("this workspace has accounts already", where=one.workspace, hint=hint)
        accounts.drop_links(one, "setup", None)
        link = Link("setup", one.workspace, Role.ADMIN, None, now + lasting)
        return make_link(one, link, now, actor or host.user_name())


def signin_link(
    store: Store, name: str, now: float, lasting: float = LINK_LASTS, *, ends_totp: bool = False, actor: str | None = None
) -> str:
    """A code that sets a new password for an account and, when asked to, ends its second factor.

    For who owns the database, not for an admin of one workspace: the account may belong to others too.
    """
    owner = known_account(store, name)
    if accounts.find_role(store, owner.id) is None:
        hint = "give its workspace with --workspace"
        raise UserError("this account does not belong to the workspace", where=f"{owner.name} in {store.workspace}", hint=hint)
    if owner.disabled_at is not None:
        raise UserError("the account is disabled", where=owner.name, hint=f"reconshield account enable {owner.name}")
    with store.together() as one:
        accounts.drop_links(one, "signin", owner.id)
        link = signin_record(one, owner, now + lasting, ends_totp)
        return make_link(one, link, now, actor or host.user_name(), owner=owner)


def invite(store: Store, visitor: Visitor, role: Role, now: float, lasting: float = INVITE_LASTS) -> str:
    """A code with which somebody joins the visitor's workspace in this role, under a name of their own choice."""
    require_admin(visitor, "members")
    if not 0 < lasting <= INVITE_LONGEST:
        raise UserError("an invitation lasts 30 days at most", where="until", hint="give a shorter time")
    with view(store, visitor.workspace).together() as one:
        link = Link("invite", one.workspace, role, None, now + lasting)
        return make_link(one, link, now, visitor.actor, made_by=known_account(one, visitor.account).id)


def invite_account(
    store: Store, name: str, role: Role, now: float, lasting: float = LINK_LASTS, actor: str | None = None
) -> str | None:
    """Add an account of this name to the workspace. A new one gets a code to choose its password with; one that exists in the
    database joins at once, and None says that no code is needed.
    """
    name, by = check_name(name), actor or host.user_name()
    with store.together() as one:
        accounts.hold(one, "accounts")
        accounts.hold(one, f"members {one.workspace}")
        owner = accounts.find_account(one, name_key(name)) or add_account(one, name, now)
        if accounts.find_role(one, owner.id) is not None:
            hint = f"reconshield account link {owner.name}   for a new password"
            raise UserError("this account belongs to the workspace already", where=owner.name, hint=hint)
        accounts.add_member(one, owner.id, role, now)
        audit.append_entry(one, "account-added", {"account": owner.name, "role": role.value}, now, by)
        if owner.password is not None:
            return None
        return make_link(one, signin_record(one, owner, now + lasting), now, by, owner=owner)


def make_link(one: Store, link: Link, now: float, by: str, *, owner: Account | None = None, made_by: str | None = None) -> str:
    """Keep a link and return its code, which nobody can read back."""
    accounts.prune_links(one, now - USED_KEPT)
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
    accounts.add_link(one, hash_secret(letters), link, owner.id if owner else None, now, made_by)
    role = link.role.value if link.role else None
    detail = {"kind": link.kind, "role": role, "account": link.account, "until": link.expires, "ends_totp": link.ends_totp}
    audit.append_entry(one, "link-made", {name: value for name, value in detail.items() if value}, now, by)
    return code_text(letters)


def signin_record(one: Store, owner: Account, ends: float, ends_totp: bool = False) -> Link:
    return Link("signin", one.workspace, None, owner.name, ends, ends_totp)


def list_links(store: Store, visitor: Visitor, now: float) -> list[OpenLink]:
    """What was sent out and not used yet, for admins."""
    require_admin(visitor, "invitations")
    return accounts.list_links(view(store, visitor.workspace), now)


def withdraw_link(store: Store, visitor: Visitor, link_id: str, now: float) -> None:
    """Take an invitation back, by the id that `list_links` gives."""
    require_admin(visitor, "invitations")
    with view(store, visitor.workspace).together() as one:
        if not any(each.id == link_id for each in accounts.list_links(one, now)) or not accounts.drop_link(one, link_id):
            where = ascii(link_id[:32])[1:-1]
            raise UserError("there is no open invitation of that id", where=where, hint="it may be used, or over")
        audit.append_entry(one, "link-withdrawn", {"link": link_id}, now, visitor.actor)


# Using them ----------------------------------------------------------------------------------------------------------------


def link_for(store: Store, code: str, now: float) -> Link | None:
    """What a code is good for, without using it; None for one that is unknown, used or too old."""
    letters = read_code(code)
    return accounts.find_link(store, hash_secret(letters), now) if letters else None


def finish_setup(
    store: Store, code: str, name: str, password: str, now: float, *, client: str, agent: str, totp: str = ""
) -> NewSession:
    """Use a code up and sign in: as a new account, as one that joins with the password it has, or with a new password.

    Raises `LinkRefused` for the code, `UserError` for name or password, and what `log_in` raises for an account that exists.
    """
    link = link_for(store, code, now)
    if link is None:
        raise refused()
    here, hashed = view(store, link.workspace), hash_secret(read_code(code) or "")
    if link.kind == "signin":
        return renew(here, link, hashed, name, password, now, client, agent, totp)
    existing = accounts.find_account(here, name_key(name))
    if existing is not None:
        return join(here, link, hashed, name, password, now, client, agent, totp)
    name = check_name(name)
    check_password(password, name)
    kept = hash_password(password)
    with here.together() as one:
        accounts.hold(one, "accounts")
        accounts.hold(one, f"members {one.workspace}")
        take_code(one, hashed, now)
        if accounts.find_account(one, name_key(name)) is not None:
            raise UserError("somebody has just taken this name", where=name, hint="choose another one")
        account = add_account(one, name, now)
        accounts.set_password(one, account.id, kept, now)
        return admit(one, link, account, now, client, agent)


def join(
    here: Store, link: Link, hashed: str, name: str, password: str, now: float, client: str, agent: str, totp: str
) -> NewSession:
    """An account of the database joins the workspace: whoever holds the code must be its owner."""
    proof = prove(here, name, password, totp, now, client=client)
    with here.together() as one:
        accounts.hold(one, f"members {one.workspace}")
        take_code(one, hashed, now)
        settle(one, proof, now)
        return admit(one, link, proof.account, now, client, agent)


def admit(one: Store, link: Link, account: Account, now: float, client: str, agent: str) -> NewSession:
    """Make the account a member, within the transaction that uses the code up and holds the members."""
    if link.kind == "setup" and accounts.count_members(one):
        raise refused()
    if accounts.find_role(one, account.id) is not None:
        raise UserError("this account belongs to the workspace already", where=account.name, hint="sign in with it")
    role = link.role or Role.VIEWER
    accounts.add_member(one, account.id, role, now)
    session = open_session(one, account, role, now, client, agent)
    detail = {"account": account.name, "role": role.value, "by": link.kind, "client": client[:64]}
    audit.append_entry(one, "account-added", detail, now, session.visitor.actor)
    return session


def renew(
    here: Store, link: Link, hashed: str, name: str, password: str, now: float, client: str, agent: str, totp: str
) -> NewSession:
    """A new password for the account that the code is bound to; its sessions end. Its second factor is still asked for."""
    owner = known_account(here, link.account or "")
    if name.strip() and name_key(name) != name_key(owner.name):
        raise UserError("this link is for another account", where=ascii(name[:64])[1:-1], hint=f"it is for {owner.name}")
    check_password(password, owner.name)
    attempt = attempt_of(owner.name, client) if owner.totp_secret is not None and not link.ends_totp else None
    if attempt is not None:
        prove_code(here, owner, attempt, totp, now, client)
    kept = hash_password(password)
    with here.together() as one:
        take_code(one, hashed, now)
        role = accounts.find_role(one, owner.id)
        if role is None:
            raise refused()
        if attempt is not None:
            succeeded(one, attempt, now)
        accounts.set_password(one, owner.id, kept, now)
        if link.ends_totp:
            accounts.end_totp(one, owner.id)
        ended = sessions.end_sessions(one, owner.id)
        session = open_session(one, owner, role, now, client, agent)
        detail = {"account": owner.name, "by": "link", "sessions_ended": ended, "client": client[:64]}
        detail |= {"totp_ended": True} if link.ends_totp else {}
        audit.append_entry(one, "password-changed", detail, now, session.visitor.actor)
    return session


def take_code(one: Store, hashed: str, now: float) -> None:
    """Use the code up within the caller's transaction; of two who come at once one is refused."""
    if not accounts.use_link(one, hashed, now):
        raise refused()


def add_account(one: Store, name: str, now: float) -> Account:
    account_id = secrets.token_hex(8)
    accounts.add_account(one, account_id, name, name_key(name), now)
    return Account(account_id, name, None, None, None, now, None, None)


def refused() -> LinkRefused:
    return LinkRefused("this code does not work", where="code", hint="it works once and not for long: ask for a new one")
