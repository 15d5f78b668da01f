"""One's own account: password, second factor, sessions, tokens for programs; and as an administrator the members."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from reconshield.access import TOKEN_SCOPES, Role, Token, Visitor, read_role, totp_uri
from reconshield.errors import UserError
from reconshield.jobs import accounts as job
from reconshield.jobs.times import parse_duration, parse_moment
from reconshield.web.call import Call
from reconshield.web.client import came_by_tls
from reconshield.web.door import COOKIE, Admin, Viewer
from reconshield.web.failures import status_of, with_wait
from reconshield.web.frame import page
from reconshield.web.pages.entry import refuse_typo, signed_in

ROUTER = APIRouter(include_in_schema=False)


@ROUTER.get("/account")
def show(call: Viewer) -> Response:
    return account_page(call)


@ROUTER.post("/account/password")
def change_password(call: Viewer) -> Response:
    try:
        refuse_typo(call, "new")
        new = job.change_password(call.store, call.who, call.form.get("old", ""), call.form.get("new", ""), call.now)
    except UserError as error:
        return account_page(call, error=error)
    return signed_in(call, new, "/account")


@ROUTER.post("/account/totp")
def begin_totp(call: Viewer) -> Response:
    """A secret for an authenticator; it counts only after a code from it was written back."""
    try:
        secret = job.begin_totp(call.store, call.who)
    except UserError as error:
        return account_page(call, error=error)
    return account_page(call, secret=secret, uri=totp_uri(secret, call.who.account))


@ROUTER.post("/account/totp/confirm")
def confirm_totp(call: Viewer) -> Response:
    secret = call.text("secret", 64)
    try:
        job.confirm_totp(call.store, call.who, secret, call.text("code", 16), call.now)
    except UserError as error:
        return account_page(call, error=error, secret=secret, uri=totp_uri(secret, call.who.account))
    return RedirectResponse("/account", 303)


@ROUTER.post("/account/totp/end")
def end_totp(call: Viewer) -> Response:
    try:
        job.end_totp(call.store, call.who, call.form.get("password", ""), call.now)
    except UserError as error:
        return account_page(call, error=error)
    return RedirectResponse("/account", 303)


@ROUTER.post("/account/sessions/end")
def end_others(call: Viewer) -> Response:
    """Sign out everywhere else."""
    job.log_out_everywhere(call.store, call.who.account, call.now, except_token=call.request.cookies[COOKIE])
    return RedirectResponse("/account", 303)


@ROUTER.post("/account/sessions/{name}/end")
def end_one(call: Viewer, name: str) -> Response:
    """Sign out in one other place; what has ended there meanwhile is said."""
    try:
        job.end_session(call.store, call.who, name, call.now)
    except UserError as error:
        return account_page(call, error=error)
    return RedirectResponse("/account", 303)


@ROUTER.post("/account/tokens")
def make_token(call: Viewer) -> Response:
    """A token for a program; its text is on this answer and nowhere else."""
    try:
        until = parse_moment(call.text("until", 40) or "90d", call.now, "until", ends=True)
        text, token = job.make_token(call.store, call.who, call.text("name", 100), call.lists.get("scope", ()), until, call.now)
    except UserError as error:
        return account_page(call, error=error)
    return account_page(call, made=(text, token))


@ROUTER.post("/account/tokens/{token}/revoke")
def revoke_token(call: Viewer, token: str) -> Response:
    try:
        job.revoke_token(call.store, call.who, token, call.now)
    except UserError as error:
        return account_page(call, error=error)
    return RedirectResponse("/account", 303)


@ROUTER.post("/account/workspace")
def switch(call: Viewer) -> Response:
    new = job.switch_workspace(call.store, call.request.cookies[COOKIE], call.text("workspace", 64), call.now)
    return signed_in(call, new, "/")


@ROUTER.get("/settings")
def settings(call: Admin) -> Response:
    return settings_page(call)


@ROUTER.post("/settings/invite")
def invite(call: Admin) -> Response:
    """A one-time link for somebody who joins; shown once, to be handed over by whoever asked for it."""
    try:
        lasting = parse_duration(call.text("lasting", 10) or "3d", "lasting")
        code = job.invite(call.store, call.who, read_role(call.text("role", 20)), call.now, lasting)
    except UserError as error:
        return settings_page(call, error=error)
    return settings_page(call, code=code)


@ROUTER.post("/settings/links/{link}/withdraw")
def withdraw(call: Admin, link: str) -> Response:
    """Take back a link that nobody has used yet."""
    try:
        job.withdraw_link(call.store, call.who, link, call.now)
    except UserError as error:
        return settings_page(call, error=error)
    return RedirectResponse("/settings", 303)


@ROUTER.post("/settings/members/{name}/role")
def set_role(call: Admin, name: str) -> Response:
    try:
        job.set_role(call.store, call.who, name, read_role(call.text("role", 20)), call.now)
    except UserError as error:
        return settings_page(call, error=error)
    return RedirectResponse("/settings", 303)


@ROUTER.post("/settings/members/{name}/remove")
def remove(call: Admin, name: str) -> Response:
    try:
        job.remove_member(call.store, call.who, name, call.now)
    except UserError as error:
        return settings_page(call, error=error)
    return RedirectResponse("/settings", 303)


def account_page(
    call: Call,
    error: UserError | None = None,
    secret: str = "",
    uri: str = "",
    made: tuple[str, Token] | None = None,
) -> Response:
    who: Visitor = call.who
    mine = [token for token in job.list_tokens(call.store, who) if token.account == who.account and token.revoked is None]
    values: dict[str, Any] = {
        "sessions": job.list_sessions(call.store, who, call.now),
        "workspaces": job.list_workspaces(call.store, who),
        "tokens": [token for token in mine if token.until > call.now],
        "has_totp": job.has_totp(call.store, who),
        "scopes": [(name, role) for name, role in TOKEN_SCOPES.items() if who.role.covers(role)],
    }
    shown = {"error": error, "secret": secret, "uri": uri, "made": made}
    return with_wait(page(call, "account.html.j2", "account", status_of(error), title="Account", **shown, **values), error)


def address_of(call: Call) -> str:
    """Where the visitor reaches the app: a proxy that ends TLS is part of the way."""
    scheme = "https" if came_by_tls(call.request, call.site.proxies) else "http"
    return f"{scheme}://{call.request.url.netloc}"


def settings_page(call: Call, error: UserError | None = None, code: str = "") -> Response:
    policy, remark = call.policy()
    return page(
        call,
        "settings.html.j2",
        "settings",
        status_of(error),
        title="Settings",
        error=error,
        unused=job.list_links(call.store, call.who, call.now),
        link=f"{address_of(call)}/setup/{code}" if code else "",
        members=job.list_members(call.store),
        roles=list(Role),
        settings=call.settings,
        policy_path=call.site.policy_path(call.who.workspace),
        channels=policy.channels if policy else (),
        remark=remark,
    )
