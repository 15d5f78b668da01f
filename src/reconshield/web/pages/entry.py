"""The way in and out: the one-time link of the terminal, signing in, signing out, the colours of the page."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from reconshield.access import Link
from reconshield.errors import UserError
from reconshield.jobs import accounts
from reconshield.web.call import Call
from reconshield.web.door import COOKIE, Anyone, Viewer
from reconshield.web.failures import Missing, status_of, with_wait
from reconshield.web.frame import THEMES, page

ROUTER = APIRouter(include_in_schema=False)
YEAR = 31_536_000


@ROUTER.get("/setup/{code}")
def show_setup(call: Anyone, code: str) -> Response:
    """What a one-time link is good for; looking does not use it up."""
    link = accounts.link_for(call.site.store, code, call.now)
    if link is None:
        error = UserError("this link was used, or has ended", hint="on the server: reconshield account link NAME")
        return page(call, "login.html.j2", status=404, title="Sign in", error=error, name="", wants_code=False)
    return setup_page(call, link, link.account or "")


@ROUTER.post("/setup/{code}")
def use_setup(call: Anyone, code: str) -> Response:
    link = accounts.link_for(call.site.store, code, call.now)
    if link is None:
        raise Missing("this link")
    name = link.account or call.text("name", 64)
    try:
        refuse_typo(call, "password")
        new = accounts.finish_setup(
            call.site.store,
            code,
            name,
            call.form.get("password", ""),
            call.now,
            client=call.client,
            agent=agent_of(call),
            totp=call.text("code", 16),
        )
    except UserError as error:
        return setup_page(call, link, name, error)
    return signed_in(call, new, "/")


def setup_page(call: Call, link: Link, name: str, error: UserError | None = None) -> Response:
    """The form of a link; an account that has a second factor is asked for it, and once it was asked the field stays."""
    wants_code = isinstance(error, accounts.TotpWanted) or bool(call.form.get("code"))
    values: dict[str, Any] = {"link": link, "error": error, "name": name, "wants_code": wants_code}
    return with_wait(page(call, "setup.html.j2", status=status_of(error), title="Set up your account", **values), error)


@ROUTER.get("/login")
def show_login(call: Anyone) -> Response:
    if call.visitor is not None:
        return RedirectResponse("/", 303)
    return page(call, "login.html.j2", title="Sign in", error=None, name="", wants_code=False)


@ROUTER.post("/login")
def log_in(call: Anyone) -> Response:
    """Check name, password and, where the account has one, the second factor."""
    name = call.text("name", 64)
    try:
        new = accounts.log_in(
            call.site.store,
            name,
            call.form.get("password", ""),
            call.text("code", 16),
            call.now,
            client=call.client,
            agent=agent_of(call),
        )
    except accounts.TotpWanted as error:
        shown = error if call.text("code", 16) else None
        return page(call, "login.html.j2", status=401, title="Sign in", error=shown, name=name, wants_code=True)
    except accounts.Throttled as error:
        return with_wait(
            page(call, "login.html.j2", status=429, title="Sign in", error=error, name=name, wants_code=False), error
        )
    except accounts.LoginRefused as error:
        return page(call, "login.html.j2", status=401, title="Sign in", error=error, name=name, wants_code=False)
    return signed_in(call, new, next_path(call))


@ROUTER.post("/logout")
def log_out(call: Viewer) -> Response:
    accounts.log_out(call.site.store, call.request.cookies[COOKIE], call.now)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE, path="/")
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


@ROUTER.post("/theme")
def choose_theme(call: Viewer) -> Response:
    """Light, dark, or what the system says; kept in this browser."""
    theme = call.text("theme", 10)
    response = RedirectResponse("/", 303)
    if theme in THEMES:
        response.set_cookie("theme", theme, max_age=YEAR, httponly=True, samesite="lax", secure=call.site.secure)
    return response


def signed_in(call: Call, new: accounts.NewSession, where: str) -> Response:
    """The cookie of a new session. Scripts cannot read it, other sites cannot send it with a form."""
    response = RedirectResponse(where, 303)
    response.set_cookie(
        COOKIE,
        new.token,
        max_age=max(0, int(new.expires - call.now)),
        httponly=True,
        samesite="lax",
        secure=call.site.secure,
        path="/",
    )
    response.delete_cookie("rs_next", path="/login")
    return response


def refuse_typo(call: Call, name: str) -> None:
    """A new password is written twice, for nobody sees it."""
    if call.form.get(name) != call.form.get("again"):
        raise UserError("the two passwords differ", where="again", hint="write the same twice")


def next_path(call: Call) -> str:
    """Where somebody wanted to go before signing in: a path of this app, or the overview."""
    path = call.request.cookies.get("rs_next", "/")
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def agent_of(call: Call) -> str:
    return call.request.headers.get("user-agent", "")[:200]
