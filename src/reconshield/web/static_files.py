"""The app's own files. Their addresses carry a digest of what is in them, so browsers keep them for good."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files

from fastapi import APIRouter, Response

from reconshield.web.call import Call
from reconshield.web.door import Everyone
from reconshield.web.failures import Missing
from reconshield.web.frame import style
from reconshield.web.packed import headers_of, pack_file, takes_gzip

ROUTER = APIRouter(include_in_schema=False)
FOR_GOOD = {"cache-control": "public, max-age=31536000, immutable"}
KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
FILES = ("app.js", "icon.svg", "vendor/htmx.min.js", "vendor/sse.min.js")
"""What is served; a name that is not here leads nowhere, whatever it is made of."""


@ROUTER.get("/static/reconshield.css")
def style_sheet(call: Everyone) -> Response:
    return answer(call, style()[0].encode(), KINDS["css"])


@ROUTER.get("/static/{name:path}")
def static_file(call: Everyone, name: str) -> Response:
    if name not in FILES:
        raise Missing(f"/static/{name}")
    return answer(call, read(name), KINDS[name.rpartition(".")[2]])


def answer(call: Call, content: bytes, kind: str) -> Response:
    packed = takes_gzip(call.request)
    return Response(packed_once(content) if packed else content, media_type=kind, headers=FOR_GOOD | headers_of(packed=packed))


@ROUTER.get("/healthz")
def healthz(call: Everyone) -> Response:
    """Whether the app can answer from its database; for a load balancer."""
    with call.site.store.read() as connection:
        connection.exec_driver_sql("SELECT 1")
    return Response("ok\n", media_type="text/plain")


@lru_cache(16)
def packed_once(content: bytes) -> bytes:
    return pack_file(content)


@cache
def read(name: str) -> bytes:
    return files("reconshield.web").joinpath("static", *name.split("/")).read_bytes()
