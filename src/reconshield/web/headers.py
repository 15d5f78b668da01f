"""What every answer carries, and what no request may do: headers for browsers, the size and the time of a body.

Plain ASGI, because answers are streamed through it (progress, exports) and must not be gathered first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconshield.web.failures import on_bug
from reconshield.web.limits import Left

MOST_BODY = 2 * 1024 * 1024
MOST_UPLOAD = 512 * 1024 * 1024
UPLOADS = ("/detections", "/api/v1/detections", "/scans/import", "/api/v1/imports", "/api/v1/firewall/retire")
"""Where files are sent to; everything else is a form or a small document."""
ENDLESS = "/events"
"""How addresses end whose answers go on; only of these the head alone cannot be asked."""
BODY_PATIENCE = 60.0
"""Seconds between two parts of a body, and those that all of it may take beside its size."""
SLOWEST = 2000.0
"""Bytes a second that a body brings on average after that: nobody holds a connection with a byte a minute."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
FIXED = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
WHY = {
    408: "the request did not arrive in time",
    421: "the app does not answer under this name; open it as 127.0.0.1, or name the reverse proxy with --proxy",
}
TLS_ONLY = ("strict-transport-security", "max-age=31536000")


class Guarded:
    """Around the app: adds the headers, ends bodies that are too large or too slow, has words for bugs."""

    def __init__(self, app: ASGIApp, *, secure: bool, names: frozenset[str] | None = None) -> None:
        self.app, self.names = app, names
        self.headers = (*FIXED, TLS_ONLY) if secure else FIXED

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD" and not scope["path"].endswith(ENDLESS):
            scope = {**scope, "method": "GET"}  # the server leaves the body out
        limit = MOST_UPLOAD if brings_files(scope) else MOST_BODY
        gone, begun = BodyRefused(), False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self.headers:
                    headers.setdefault(name, value)
                for name, value in left_of(scope):
                    headers.setdefault(name, value)
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        if status := self.refused(scope, limit):
            await refusal(status, limit, scope["path"])(scope, receive, send_guarded)
            return
        try:
            await self.app(scope, limited(receive, limit, gone), send_guarded)
        except BodyRefused as error:
            await refusal(error.status, limit, scope["path"])(scope, receive, send_guarded)
        except Exception as error:
            if begun:
                raise
            await (await on_bug(Request(scope), error))(scope, receive, send_guarded)

    def refused(self, scope: Scope, limit: int) -> int:
        """The status of what is refused by its head alone; 0 for everything else."""
        if self.names is not None and host_of(scope["headers"]) not in {"", *self.names}:
            return 421
        return 413 if declared_size(scope["headers"]) > limit else 0


def brings_files(scope: Scope) -> bool:
    """Whether this is an upload, which goes to files as it comes. Any other body is held in memory, wherever it is sent to."""
    kinds = [value.strip().lower() for name, value in scope["headers"] if name == b"content-type"]
    return scope["path"].startswith(UPLOADS) and bool(kinds) and kinds[0].startswith(b"multipart/form-data")


def left_of(scope: Scope) -> Iterable[tuple[str, str]]:
    """What the visitor may still ask of the API, where that was counted."""
    left: Left | None = scope.get("state", {}).get("left")
    return left.headers() if left is not None else ()


class BodyRefused(Exception):
    """A body went over its limit (413) or did not come (408)."""

    status = 413


def limited(receive: Receive, limit: int, gone: BodyRefused) -> Receive:
    """`receive` that counts what comes and does not wait for ever."""
    seen, whole, begun = 0, False, time.monotonic()

    async def receive_limited() -> Message:
        nonlocal seen, whole
        if whole:  # what comes now is only that the visitor has left; that may take as long as it likes
            return await receive()
        left = begun + BODY_PATIENCE + seen / SLOWEST - time.monotonic()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, min(BODY_PATIENCE, left)))
        except TimeoutError:
            gone.status = 408
            raise gone from None
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if seen > limit:
                raise gone
        return message

    return receive_limited


def host_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The name that the request is for, without its port; empty where it says none."""
    said = next((value for name, value in headers if name == b"host"), b"").decode("latin-1").strip().lower()
    return said.partition("]")[0].removeprefix("[") if said.startswith("[") else said.partition(":")[0].rstrip(".")


def declared_size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """What `Content-Length` says; 0 where it says nothing, for then the bytes are counted."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def refusal(status: int, limit: int, path: str) -> Response:
    """Before anything of the app has seen the request: for people as plain text, for programs as problem+json."""
    why = f"a request may bring {limit:,} bytes here" if status == 413 else WHY[status]
    headers = {"connection": "close"}
    if not path.startswith("/api/"):
        return PlainTextResponse(f"error: {why}. Nothing was changed.\n", status, headers)
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": why,
        "instance": path,
        "where": "body",
        "next": "nothing was changed",
        "notes": [],
    }
    return JSONResponse(problem, status, headers, "application/problem+json")
