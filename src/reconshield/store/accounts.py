"""Accounts, who belongs to which workspace, and one-time links at rest. Who may change them is decided in `jobs.accounts`.

Accounts are of the whole database, members and links of a workspace. What must be decided together with a change (is the code
still unused, is an admin left) is asked inside the caller's transaction (`Store.together`) under `hold`.

Everybody takes what they need in one order, so that no two wait for each other: `accounts`, `members NAME`, a link, failed
attempts, the account's row, its sessions, its membership's row, the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, case, delete, func, insert, or_, select, update

from reconshield.access import Link, Member, OpenLink, Role
from reconshield.store.db import Store, take_turns
from reconshield.store.tables import ACCOUNTS, LINKS, MEMBERS

SHOWN_HASH = 16
"""So much of a code's hash names it where admins see it."""


@dataclass(frozen=True, slots=True)
class Account:
    """A row of `accounts`. `password` is None until its owner chose one."""

    id: str
    name: str
    password: str | None
    totp_secret: str | None
    totp_step: int | None
    created_at: float
    disabled_at: float | None
    password_changed_at: float | None


@dataclass(frozen=True, slots=True)
class Membership:
    """One workspace of an account."""

    workspace: str
    role: Role
    used_at: float | None


def hold(store: Store, what: str) -> None:
    """Until the caller's transaction ends, nobody else decides about `what` (`accounts`, `members NAME`)."""
    with store.begin() as connection:
        take_turns(connection, what)


def add_account(store: Store, account_id: str, name: str, name_key: str, now: float) -> None:
    with store.begin() as connection:
        connection.execute(insert(ACCOUNTS).values(id=account_id, name=name, name_key=name_key, created_at=now))


def find_account(store: Store, name_key: str) -> Account | None:
    query = select(ACCOUNTS).where(ACCOUNTS.c.name_key == name_key)
    with store.read() as connection:
        row = connection.execute(query).mappings().first()
    return account_of(row) if row else None


def account_of(row: Mapping[Any, Any]) -> Account:
    return Account(**{name: value for name, value in row.items() if name != "name_key"})


def set_password(store: Store, account_id: str, password: str, now: float) -> None:
    with store.begin() as connection:
        values = {"password": password, "password_changed_at": now}
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(values))


def renew_hash(store: Store, account_id: str, old: str, new: str) -> None:
    """The same password with newer parameters, unless somebody changed it meanwhile."""
    with store.begin() as connection:
        where = (ACCOUNTS.c.id == account_id, ACCOUNTS.c.password == old)
        connection.execute(update(ACCOUNTS).where(*where).values(password=new))


def add_totp(store: Store, account_id: str, secret: str, step: int) -> bool:
    """Keep the second factor of an account; False when it has one, also from somebody at this very moment."""
    without = (ACCOUNTS.c.id == account_id, ACCOUNTS.c.totp_secret.is_(None))
    with store.begin() as connection:
        done = connection.execute(update(ACCOUNTS).where(*without).values(totp_secret=secret, totp_step=step))
        return done.rowcount == 1


def end_totp(store: Store, account_id: str) -> None:
    with store.begin() as connection:
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(totp_secret=None, totp_step=None))


def use_totp_step(store: Store, account_id: str, step: int) -> bool:
    """Mark a step as used; False when it, or a later one, was used before, also by somebody at this very moment."""
    fresh = or_(ACCOUNTS.c.totp_step.is_(None), ACCOUNTS.c.totp_step < step)
    with store.begin() as connection:
        done = connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id, fresh).values(totp_step=step))
        return done.rowcount == 1


def set_disabled(store: Store, account_id: str, at: float | None) -> None:
    with store.begin() as connection:
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.id == account_id).values(disabled_at=at))


# Members of the store's workspace ------------------------------------------------------------------------------------------


def add_member(store: Store, account_id: str, role: Role, now: float) -> None:
    with store.begin() as connection:
        row = {"workspace": store.workspace, "account": account_id, "role": role.value, "added_at": now}
        connection.execute(insert(MEMBERS).values(row))


def set_role(store: Store, account_id: str, role: Role) -> None:
    with store.begin() as connection:
        connection.execute(update(MEMBERS).where(*member_key(store, account_id)).values(role=role.value))


def mark_member_used(store: Store, account_id: str, now: float) -> None:
    with store.begin() as connection:
        connection.execute(update(MEMBERS).where(*member_key(store, account_id)).values(used_at=now))


def remove_member(store: Store, account_id: str) -> None:
    with store.begin() as connection:
        connection.execute(delete(MEMBERS).where(*member_key(store, account_id)))


def member_key(store: Store, account_id: str) -> tuple[Any, ...]:
    return (MEMBERS.c.workspace == store.workspace, MEMBERS.c.account == account_id)


def find_role(store: Store, account_id: str) -> Role | None:
    with store.read() as connection:
        found = connection.execute(select(MEMBERS.c.role).where(*member_key(store, account_id))).scalar()
    return Role(found) if found else None


def list_members(store: Store) -> list[Member]:
    """Everybody in the workspace, by name."""
    query = (
        select(MEMBERS, ACCOUNTS.c.name, ACCOUNTS.c.disabled_at, ACCOUNTS.c.password, ACCOUNTS.c.totp_secret)
        .join(ACCOUNTS, ACCOUNTS.c.id == MEMBERS.c.account)
        .where(MEMBERS.c.workspace == store.workspace)
        .order_by(ACCOUNTS.c.name_key)
    )
    with store.read() as connection:
        return [
            Member(
                account=row.name,
                role=Role(row.role),
                added=row.added_at,
                last_used=row.used_at,
                invited=row.password is None,
                disabled=row.disabled_at is not None,
                totp=row.totp_secret is not None,
            )
            for row in connection.execute(query)
        ]


def count_members(store: Store) -> int:
    query = select(func.count()).select_from(MEMBERS).where(MEMBERS.c.workspace == store.workspace)
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def other_admins(store: Store, account_id: str) -> int:
    """How many admins of the workspace could sign in if this account could not."""
    query = (
        select(func.count())
        .select_from(MEMBERS)
        .join(ACCOUNTS, ACCOUNTS.c.id == MEMBERS.c.account)
        .where(
            MEMBERS.c.workspace == store.workspace,
            MEMBERS.c.role == Role.ADMIN.value,
            MEMBERS.c.account != account_id,
            ACCOUNTS.c.disabled_at.is_(None),
            ACCOUNTS.c.password.is_not(None),
        )
    )
    with store.read() as connection:
        return int(connection.execute(query).scalar_one())


def list_memberships(store: Store, account_id: str) -> list[Membership]:
    """Every workspace of an account: the one it signed in to last comes first, then by the date of joining."""
    never = case((MEMBERS.c.used_at.is_(None), 1), else_=0)
    query = (
        select(MEMBERS)
        .where(MEMBERS.c.account == account_id)
        .order_by(never, MEMBERS.c.used_at.desc(), MEMBERS.c.added_at, MEMBERS.c.workspace)
    )
    with store.read() as connection:
        return [Membership(row.workspace, Role(row.role), row.used_at) for row in connection.execute(query)]


# One-time links ------------------------------------------------------------------------------------------------------------


def add_link(store: Store, hashed: str, link: Link, account_id: str | None, now: float, made_by: str | None = None) -> None:
    with store.begin() as connection:
        connection.execute(
            insert(LINKS).values(
                workspace=store.workspace,
                hash=hashed,
                kind=link.kind,
                role=link.role.value if link.role else None,
                account=account_id,
                made_by=made_by,
                ends_totp=link.ends_totp,
                created_at=now,
                expires_at=link.expires,
            )
        )


def find_link(store: Store, hashed: str, now: float) -> Link | None:
    """What a code is good for now, in whatever workspace."""
    with store.read() as connection:
        row = connection.execute(link_query(hashed, now)).mappings().first()
    return link_of(row) if row else None


def link_query(hashed: str, now: float) -> Select[Any]:
    return (
        select(LINKS, ACCOUNTS.c.name)
        .outerjoin(ACCOUNTS, ACCOUNTS.c.id == LINKS.c.account)
        .where(LINKS.c.hash == hashed, LINKS.c.used_at.is_(None), LINKS.c.expires_at > now)
        .where(or_(LINKS.c.account.is_(None), ACCOUNTS.c.disabled_at.is_(None)))
    )


def link_of(row: Mapping[Any, Any]) -> Link:
    role = Role(row["role"]) if row["role"] else None
    return Link(row["kind"], row["workspace"], role, row["name"], row["expires_at"], row["ends_totp"])


def list_links(store: Store, now: float) -> list[OpenLink]:
    """Codes of the workspace that still work, oldest first."""
    maker = ACCOUNTS.alias("maker")
    query = (
        select(LINKS, ACCOUNTS.c.name, maker.c.name.label("by"))
        .outerjoin(ACCOUNTS, ACCOUNTS.c.id == LINKS.c.account)
        .outerjoin(maker, maker.c.id == LINKS.c.made_by)
        .where(LINKS.c.workspace == store.workspace, LINKS.c.used_at.is_(None), LINKS.c.expires_at > now)
        .order_by(LINKS.c.created_at, LINKS.c.hash)
    )
    with store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return [OpenLink(row["hash"][:SHOWN_HASH], link_of(row), row["by"], row["created_at"]) for row in rows]


def drop_link(store: Store, shown: str) -> bool:
    """Forget an unused code of the workspace by the id that `list_links` gives it."""
    named = (LINKS.c.workspace == store.workspace, LINKS.c.hash.startswith(shown, autoescape=True), LINKS.c.used_at.is_(None))
    with store.begin() as connection:
        return connection.execute(delete(LINKS).where(*named)).rowcount > 0


def use_link(store: Store, hashed: str, now: float) -> bool:
    """Use a code up; False when it was used before, also by somebody at this very moment."""
    fresh = (LINKS.c.hash == hashed, LINKS.c.used_at.is_(None), LINKS.c.expires_at > now)
    with store.begin() as connection:
        return connection.execute(update(LINKS).where(*fresh).values(used_at=now)).rowcount == 1


def drop_links(store: Store, kind: str, account_id: str | None) -> None:
    """Forget unused codes of this kind in the workspace; those of one account are forgotten in every workspace."""
    bound = LINKS.c.workspace == store.workspace if account_id is None else LINKS.c.account == account_id
    with store.begin() as connection:
        connection.execute(delete(LINKS).where(bound, LINKS.c.kind == kind, LINKS.c.used_at.is_(None)))


def drop_invites(store: Store, made_by: str) -> int:
    """Forget the open invitations of an account in the workspace; how many that were."""
    where = (LINKS.c.workspace == store.workspace, LINKS.c.made_by == made_by, LINKS.c.used_at.is_(None))
    with store.begin() as connection:
        return connection.execute(delete(LINKS).where(*where)).rowcount


def prune_links(store: Store, before: float) -> None:
    """Forget codes of all workspaces that ended before that time."""
    with store.begin() as connection:
        connection.execute(delete(LINKS).where(LINKS.c.expires_at < before))
