"""The app's own files. Their addresses carry a digest of what is in them, so browsers keep them for good."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from reconshield.web.door import Everyone
from reconshield.web.failures import Missing
from reconshield.web.frame import style

ROUTER = APIRouter(include_in_schema=False)
FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}
KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
FILES = ("app.js", "icon.svg", "vendor/htmx.min.js", "vendor/sse.min.js", "vendor/uPlot.iife.min.js", "vendor/uPlot.min.css")
"""What is served; a name that is not here leads nowhere, whatever it is made of."""


@ROUTER.get("/static/reconshield.css")
def style_sheet(_: Everyone) -> Response:
    return Response(style()[0], media_type=KINDS["css"], headers=FOR_GOOD)


@ROUTER.get("/static/{name:path}")
def static_file(_: Everyone, name: str) -> Response:
    if name not in FILES:
        raise Missing(f"/static/{name}")
    return Response(read(name), media_type=KINDS[name.rpartition(".")[2]], headers=FOR_GOOD)


@ROUTER.get("/healthz")
def healthz(call: Everyone) -> Response:
    """Whether the app can answer from its database; for a load balancer."""
    with call.site.store.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    return Response("ok\n", media_type="text/plain")


@cache
def read(name: str) -> bytes:
    return files("reconshield.web").joinpath("static", *name.split("/")).read_bytes()
