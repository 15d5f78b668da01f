"""Who may enter: a route says the least role that it wants, and nobody gets to its code without it.

A session is a cookie that scripts cannot read; what a session changes must also bring its token against forged requests, which
only our own pages know. An API token comes in the `Authorization` header, where no foreign page can put it. A test walks over
every route of the app and fails for one without a door.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from fastapi import Depends, Request
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from reconshield.access import Role, Visitor, client_key
from reconshield.errors import UserError
from reconshield.jobs import accounts
from reconshield.web.call import Call, Site
from reconshield.web.client import client_address
from reconshield.web.limits import Limits, TooMany

COOKIE = "rs_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_KINDS = ("application/x-www-form-urlencoded", "multipart/form-data")
MOST_FIELDS, MOST_FILES = 100, 32


class NotSignedIn(UserError):
    """Nobody is signed in, or no longer."""


class NotAllowed(UserError):
    """The role does not cover this, or there is no such thing in this workspace: the answer is the same for both."""


class Forged(UserError):
    """The request did not come from a page of ours, or from one that is too old."""


class Door:
    """Lets in who has at least a role, and gives the route its `Call`. Without a role everybody may come; a blind door does
    not even look who it is.
    """

    def __init__(self, role: Role | None, *, by_token: bool = False, blind: bool = False) -> None:
        self.role = role
        self.by_token = by_token
        self.blind = blind

    async def __call__(self, request: Request) -> AsyncIterator[Call]:
        """The call, for as long as it takes; what was uploaded with it is closed afterwards."""
        site: Site = request.app.state.site
        now = site.clock()
        visitor = None if self.blind else recall_visitor(site, request, now, self.by_token)
        if visitor is None and not self.blind:
            visitor = await run_in_threadpool(find_visitor, site, request, now, self.by_token)
        if self.by_token:
            count_request(request, visitor, client_address(request, site.proxies))
        if self.role is not None:
            if visitor is None:
                raise NotSignedIn("nobody is signed in", where=request.url.path, hint="sign in")
            if not visitor.role.covers(self.role):
                raise NotAllowed(
                    f"this takes the role {self.role} or higher; yours is {visitor.role}",
                    where=request.url.path,
                    hint="ask an administrator of this workspace",
                )
        fields = await read_form(request)
        body = await request.body() if self.by_token and fields is None and request.method not in SAFE else b""
        if request.method not in SAFE and (visitor is None or visitor.via == "session"):
            refuse_forged(request, visitor, fields)
        try:
            yield make_call(site, request, visitor, now, fields, body)
        finally:
            if fields is not None:
                await fields.close()


def count_request(request: Request, visitor: Visitor | None, client: str) -> None:
    """One request less for this visitor. Raises `TooMany`; what is left is told in the headers of the answer."""
    limits: Limits = request.app.state.limits
    who, allowance = (
        (f"{visitor.via} {visitor.session}", limits.known) if visitor else (f"address {client_key(client)}", limits.stranger)
    )
    request.state.left = left = limits.take(who, allowance)
    if left.wait:
        raise TooMany(left.wait)


def make_call(
    site: Site, request: Request, visitor: Visitor | None, now: float, fields: FormData | None, body: bytes = b""
) -> Call:
    texts: dict[str, list[str]] = {}
    files: dict[str, list[UploadFile]] = {}
    for name, value in fields.multi_items() if fields is not None else ():
        if isinstance(value, UploadFile):
            files.setdefault(name, []).append(value)
        else:
            texts.setdefault(name, []).append(value)
    return Call(
        site=site,
        request=request,
        visitor=visitor,
        client=client_address(request, site.proxies),
        now=now,
        form={name: values[-1] for name, values in texts.items()},
        uploads={name: tuple(sent) for name, sent in files.items()},
        lists={name: tuple(values) for name, values in texts.items()},
        body=body,
    )


async def read_form(request: Request) -> FormData | None:
    """The fields of a form; None for a request that brings none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method in SAFE or kind not in FORM_KINDS:
        return None
    refuse_encoding(request)
    return await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS)


def refuse_encoding(request: Request) -> None:
    """Pages are UTF-8, and so is what comes from them. Other encodings bring halves of characters, or cannot be read at all."""
    _, options = parse_options_header(request.headers["content-type"])
    if options.get(b"charset", b"utf-8").lower() not in {b"utf-8", b"utf8"}:
        raise UserError("this form is not in UTF-8", where="content-type", hint="send it as UTF-8")


def find_visitor(site: Site, request: Request, now: float, by_token: bool) -> Visitor | None:
    """Who asks: by an API token where the route takes one, else by the session."""
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if by_token and kind.lower() == "bearer":
        return accounts.find_token(site.store, secret.strip(), now)
    cookie = request.cookies.get(COOKIE)
    return accounts.find_session(site.store, cookie, now) if cookie else None


def recall_visitor(site: Site, request: Request, now: float, by_token: bool) -> Visitor | None:
    """Who asks, if that is known and nothing has changed since; without a thread, for it does not wait. None says nothing."""
    cookie = request.cookies.get(COOKIE)
    if not cookie or (by_token and "authorization" in request.headers):
        return None
    return accounts.recall_session(site.store, cookie, now)


def refuse_forged(request: Request, visitor: Visitor | None, fields: Mapping[str, object] | None) -> None:
    """A change needs a sign that one of our pages sent it: the browser's word, and for a session its token."""
    site_said = request.headers.get("sec-fetch-site")
    if site_said is not None and site_said not in {"same-origin", "none"}:
        raise forged(request)
    origin = request.headers.get("origin")
    if origin is not None and origin != "null" and origin.partition("://")[2] != request.headers.get("host"):
        raise forged(request)
    if visitor is None:
        return
    sent = request.headers.get("x-csrf-token") or (fields or {}).get("csrf")
    if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), visitor.csrf.encode()):
        raise forged(request)


def forged(request: Request) -> Forged:
    return Forged("the request did not come from a page of this app", where=request.url.path, hint="load the page again")


Everyone = Annotated[Call, Depends(Door(None, blind=True))]
"""For what is the same whoever asks."""
Anyone = Annotated[Call, Depends(Door(None))]
Viewer = Annotated[Call, Depends(Door(Role.VIEWER))]
Analyst = Annotated[Call, Depends(Door(Role.ANALYST))]
Operator = Annotated[Call, Depends(Door(Role.OPERATOR))]
Admin = Annotated[Call, Depends(Door(Role.ADMIN))]
"""For pages: by session only."""

ApiViewer = Annotated[Call, Depends(Door(Role.VIEWER, by_token=True))]
ApiAnalyst = Annotated[Call, Depends(Door(Role.ANALYST, by_token=True))]
ApiOperator = Annotated[Call, Depends(Door(Role.OPERATOR, by_token=True))]
ApiAdmin = Annotated[Call, Depends(Door(Role.ADMIN, by_token=True))]
"""For the API: by token, or by a session that brings its token against forgery."""
