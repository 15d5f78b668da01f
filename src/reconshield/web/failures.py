"""What went wrong, as a page for people and as problem+json (RFC 9457) for programs: what, where, next."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from math import ceil
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from reconshield import access
from reconshield.access import Throttled
from reconshield.errors import Refused, StoreError, UserError
from reconshield.web.door import COOKIE, Forged, NotAllowed, NotSignedIn, find_visitor, make_call
from reconshield.web.frame import error_page
from reconshield.web.heavy import Busy
from reconshield.web.limits import TooMany

LOG = logging.getLogger("reconshield.web")


class Missing(UserError):
    """There is no such thing here, or the visitor may not see it."""

    def __init__(self, where: str) -> None:
        super().__init__("this page does not exist, or your role cannot see it", where=where, hint="go back")


class Conflict(UserError):
    """Somebody changed it in the meantime; what was sent is kept on the page."""


class Stale(UserError):
    """The condition of a change (If-Match) is not met."""


class Unconditional(UserError):
    """A change that needs a condition came without one."""


class Unsupported(UserError):
    """The body is of a kind that is not taken here."""


STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotSignedIn, 401),
    (NotAllowed, 403),
    (access.NotAllowed, 403),
    (Forged, 403),
    (Refused, 403),
    (Missing, 404),
    (Conflict, 409),
    (Stale, 412),
    (Unsupported, 415),
    (Unconditional, 428),
    (TooMany, 429),
    (Busy, 429),
    (Throttled, 429),
    (StoreError, 503),
    (UserError, 422),
)


def install(app: FastAPI) -> None:
    app.add_exception_handler(UserError, on_user_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)


def status_of(error: Exception | None) -> int:
    """The status of an answer that shows this error, or none."""
    return next(code for kind, code in STATUS if isinstance(error, kind)) if error is not None else 200


def with_wait(response: Response, error: Exception | None) -> Response:
    """The answer, which says when to come again if the error does."""
    if isinstance(error, TooMany | Throttled | Busy):
        response.headers["retry-after"] = str(max(1, ceil(error.seconds)))
    return response


async def on_user_error(request: Request, error: Exception) -> Response:
    status = status_of(error)
    if status == 401 and not is_api(request):
        return to_sign_in(request)
    return await answer(request, status, error if isinstance(error, UserError) else UserError(str(error)))


async def on_http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: no such address, the wrong method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return await answer(request, 404, Missing(request.url.path))
    phrase = HTTPStatus(status).phrase.lower()
    response = await answer(request, status, UserError(phrase, where=f"{request.method} {request.url.path}", hint="go back"))
    response.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
    return response


async def on_invalid(request: Request, error: Exception) -> Response:
    """A document of the wrong shape: every mistake is named, what was sent is not repeated."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    mistake = unreadable((row["loc"][1:], row["msg"]) for row in found)
    if not is_api(request):
        mistake = UserError("the address of this page cannot be read", where=mistake.where, hint="go back")
    return await answer(request, 422, mistake)


def unreadable(mistakes: Iterable[tuple[tuple[int | str, ...], str]]) -> UserError:
    """Every mistake by its place in the document."""
    places = [(".".join(str(part)[:64] for part in place) or "body", text) for place, text in mistakes]
    where = "; ".join(f"{place}: {text}" for place, text in places[:20])
    return UserError("the request cannot be read", where=where, hint="see /api")


async def on_bug(request: Request, error: Exception) -> Response:
    """A bug: named by kind in the log with its traceback, by a sentence on the page; no data is shown."""
    LOG.error("%s %s failed", request.method, ascii(request.url.path)[1:-1], exc_info=error)
    hint = "try again; if it stays, report the time and the address of this page"
    return await answer(request, 500, UserError(f"internal error: {type(error).__name__}", where=request.url.path, hint=hint))


async def answer(request: Request, status: int, error: UserError) -> Response:
    if is_api(request):
        return problem(status, error, request.url.path)
    visitor = None
    site = request.app.state.site
    if status != 503:
        visitor = await run_in_threadpool(find_visitor, site, request, site.clock(), False)
    call = make_call(site, request, visitor, site.clock(), None)
    return with_wait(error_page(call, status, error), error)


def problem(status: int, error: UserError, path: str) -> Response:
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "instance": path,
        "where": error.where,
        "next": error.hint,
        "notes": list(getattr(error, "__notes__", ())),
    }
    headers = {"www-authenticate": 'Bearer realm="ReconShield"'} if status == 401 else {}
    return with_wait(JSONResponse(content, status, headers, "application/problem+json"), error)


def is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def to_sign_in(request: Request) -> Response:
    """The way to the form; what was asked for is kept for after it, as a path of this app only."""
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"hx-redirect": "/login"})
    response = RedirectResponse("/login", 303)
    if request.method == "GET" and request.url.path != "/":
        secure = request.app.state.site.secure
        response.set_cookie(
            "rs_next", quote(request.url.path), max_age=600, httponly=True, samesite="lax", secure=secure, path="/login"
        )
    if request.cookies.get(COOKIE):
        response.delete_cookie(COOKIE, path="/")
    return response
