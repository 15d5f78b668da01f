"""Who asks and with what: roles, scopes, and the records that store, jobs and web pass on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from reconshield.errors import UserError


class Role(StrEnum):
    """What a member of a workspace may do; each role may do all that the ones before it may."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)

    def covers(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        return self.rank >= other.rank


TOKEN_SCOPES: Mapping[str, Role] = MappingProxyType(
    {"read": Role.VIEWER, "write": Role.ANALYST, "scan": Role.OPERATOR, "admin": Role.ADMIN}
)
"""What a token may be made for, and the highest role that a token with it acts as."""


def read_role(text: str) -> Role:
    try:
        return Role(text.strip().lower())
    except ValueError:
        raise UserError("there is no such role", where=text[:64], hint=f"roles are {', '.join(Role)}") from None


def role_of_token(member: Role, scopes: Iterable[str]) -> Role:
    """The role that a token acts as: never more than its owner has now, never more than its scopes reach."""
    reached = [TOKEN_SCOPES[scope] for scope in scopes if scope in TOKEN_SCOPES]
    highest = max(reached, key=lambda role: role.rank, default=Role.VIEWER)
    return highest if member.covers(highest) else member


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks. `account` is the name, `session` names session or token without giving it away, `csrf` is empty for a token."""

    account: str
    role: Role
    workspace: str
    session: str
    csrf: str
    scopes: frozenset[str] | None
    via: Literal["session", "token"]

    @property
    def actor(self) -> str:
        """As the audit log names them."""
        return f"account:{self.account}"


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that was just made. `token` is the only copy: the database has its hash."""

    token: str
    visitor: Visitor
    expires: float


LinkKind = Literal["setup", "invite", "signin"]


@dataclass(frozen=True, slots=True)
class Link:
    """What a one-time code is good for. `account` is the name that it is bound to, if any."""

    kind: LinkKind
    workspace: str
    role: Role | None
    account: str | None
    expires: float
    ends_totp: bool = False


@dataclass(frozen=True, slots=True)
class OpenLink:
    """A link that nobody has used yet, as admins see it; `id` is not its code, `by` is the account that invites."""

    id: str
    link: Link
    by: str | None
    created: float


@dataclass(frozen=True, slots=True)
class Member:
    """An account as one workspace sees it. `invited`: it has no password yet."""

    account: str
    role: Role
    added: float
    last_used: float | None
    invited: bool
    disabled: bool
    totp: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A key for programs, without its secret."""

    id: str
    account: str
    name: str
    scopes: frozenset[str]
    created: float
    until: float
    last_used: float | None
    revoked: float | None


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its owner sees it in a list; `current` is the one that asks."""

    id: str
    workspace: str
    client: str
    agent: str
    created: float
    seen: float
    current: bool
