"""Who asks, who belongs to the workspace, and the keys of programs. Keys are made in a session: no token makes another."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict

from pydantic import Field

from reconshield.access import INVITE_LASTS, Member, Role, Token, link_path
from reconshield.jobs import accounts
from reconshield.jobs.times import parse_duration, parse_moment
from reconshield.text import iso_time
from reconshield.web.api.conditions import require_unchanged
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.router import PREFIX, Api, Made
from reconshield.web.api.scans import Duration
from reconshield.web.api.wishes import Line, Moment, Wish
from reconshield.web.call import Call
from reconshield.web.door import ApiAdmin, ApiViewer
from reconshield.web.failures import Missing

ROUTER = Api("Accounts")
RoleName = Literal["viewer", "analyst", "operator", "admin"]
Scope = Literal["read", "write", "scan", "admin"]


class MePart(TypedDict):
    """Who asks: the role is the least of the account's and the token's."""

    account: str
    role: RoleName
    workspace: str
    via: Literal["session", "token"]
    scopes: list[str] | None


class MemberPart(TypedDict):
    """An account as this workspace sees it."""

    account: str
    role: RoleName
    added: str
    last_used: str | None
    invited: bool
    disabled: bool
    second_factor: bool


class RoleWish(Wish):
    """The role that a member gets."""

    role: RoleName


class NewInvitation(Wish):
    """What somebody is invited as."""

    role: RoleName
    lasting: Duration | None = None


class InvitationPart(TypedDict):
    """A one-time code, and the path at which it is used. It is shown once."""

    code: str
    path: str
    role: RoleName
    until: str


class TokenPart(TypedDict):
    """A key for programs, without its secret."""

    id: str
    account: str
    name: str
    scopes: list[str]
    created: str
    until: str
    last_used: str | None
    revoked: str | None


class NewToken(Wish):
    """What a key is for, and what it may do."""

    name: Annotated[Line, Field(min_length=1, max_length=80)]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=4, strict=False)]
    until: Annotated[Moment | None, Field(description="Default: 90 days from now.")] = None


class NewTokenPart(TokenPart):
    """A new key with its secret, which is shown once."""

    token: str


@ROUTER.get("/me")
def read_me(call: ApiViewer) -> MePart:
    """Who asks, in which workspace, and as what."""
    who = call.who
    scopes = sorted(who.scopes) if who.scopes is not None else None
    return {"account": who.account, "role": who.role.value, "workspace": who.workspace, "via": who.via, "scopes": scopes}


@ROUTER.get("/members")
def list_members(call: ApiViewer, page: Paged) -> Page[MemberPart]:
    """Everybody in the workspace, by name."""
    found = sorted(accounts.list_members(call.store), key=lambda each: each.account)
    return page.cut(found, lambda each: (each.account,), member_part)


@ROUTER.get("/members/{account}")
def read_member(call: ApiViewer, account: str) -> MemberPart:
    """One member."""
    return member_part(member_of(call, account))


@ROUTER.put("/members/{account}")
def set_role(call: ApiAdmin, account: str, wish: RoleWish) -> MemberPart:
    """Give a member another role. One admin always remains. Takes `If-Match`; a token cannot do this."""
    require_unchanged(call.request, member_part(found := member_of(call, account)))
    accounts.set_role(call.store, call.who, found.account, Role(wish.role), call.now)
    return member_part(member_of(call, found.account))


@ROUTER.delete("/members/{account}", status_code=204)
def remove_member(call: ApiAdmin, account: str) -> None:
    """Take somebody out of the workspace; their sessions and tokens in it end. Takes `If-Match`; a token cannot do this."""
    require_unchanged(call.request, member_part(found := member_of(call, account)))
    accounts.remove_member(call.store, call.who, found.account, call.now)


@ROUTER.post("/invitations", status_code=201)
def invite(call: ApiAdmin, wish: NewInvitation) -> InvitationPart:
    """A one-time code with which somebody joins the workspace. A token cannot do this."""
    lasting = parse_duration(wish.lasting, "lasting") if wish.lasting else INVITE_LASTS
    code = accounts.invite(call.store, call.who, Role(wish.role), call.now, lasting)
    return {"code": code, "path": link_path(code), "role": wish.role, "until": iso_time(call.now + lasting)}


@ROUTER.get("/tokens")
def list_tokens(call: ApiViewer, page: Paged) -> Page[TokenPart]:
    """The visitor's tokens in this workspace; an admin sees everybody's."""
    found = sorted(accounts.list_tokens(call.store, call.who), key=lambda each: (each.created, each.id))
    return page.cut(found, lambda each: (each.created, each.id), token_part)


@ROUTER.post("/tokens", status_code=201)
def make_token(call: ApiViewer, wish: NewToken) -> Made[NewTokenPart]:
    """A new token of the visitor. Its text is shown once. A token cannot do this."""
    until = parse_moment(wish.until, call.now, "until", ends=True) if wish.until else None
    text, token = accounts.make_token(call.store, call.who, wish.name, wish.scopes, until, call.now)
    return Made({**token_part(token), "token": text}, f"{PREFIX}/tokens")


@ROUTER.delete("/tokens/{token}", status_code=204)
def revoke_token(call: ApiViewer, token: str) -> None:
    """End a token at once: one's own, or as an admin anybody's."""
    if not any(each.id == token and each.revoked is None for each in accounts.list_tokens(call.store, call.who)):
        raise Missing("token")
    accounts.revoke_token(call.store, call.who, token, call.now)


def member_of(call: Call, name: str) -> Member:
    found = next((each for each in accounts.list_members(call.store) if each.account == name), None)
    if found is None:
        raise Missing("member")
    return found


def member_part(member: Member) -> MemberPart:
    return {
        "account": member.account,
        "role": member.role.value,
        "added": iso_time(member.added),
        "last_used": iso_time(member.last_used) if member.last_used is not None else None,
        "invited": member.invited,
        "disabled": member.disabled,
        "second_factor": member.totp,
    }


def token_part(token: Token) -> TokenPart:
    return {
        "id": token.id,
        "account": token.account,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created": iso_time(token.created),
        "until": iso_time(token.until),
        "last_used": iso_time(token.last_used) if token.last_used is not None else None,
        "revoked": iso_time(token.revoked) if token.revoked is not None else None,
    }
