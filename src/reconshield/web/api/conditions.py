"""Requests with a condition (RFC 9110): what has not changed is not sent again, what has changed is not overwritten.

The tag of a document is the hash of its JSON, so the same document has the same tag in every process.
"""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import Request, Response

from reconshield.text import json_text
from reconshield.web.failures import Stale, Unconditional

HELD = "private, no-cache"
"""Browsers and proxies ask before they use what they kept."""


def encode(value: Any) -> bytes:
    """A document as it is sent; a lone surrogate (no text, but storable) becomes the escape that JSON has for it."""
    return json_text(value).encode("utf-8", "backslashreplace")


def tag_of(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def listed(header: str, tag: str) -> bool:
    """Whether a header of tags has this one; `*` has all. Weak ones count too: nothing is overwritten."""
    tags = [each.strip().removeprefix("W/") for each in header.split(",")]
    return "*" in tags or tag in tags


def document(request: Request, value: Any) -> Response:
    """A document with its tag, or 304 when the visitor has it already."""
    body = encode(value)
    headers = {"etag": tag_of(body), "cache-control": HELD}
    wanted = request.headers.get("if-none-match")
    if wanted is not None and listed(wanted, headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def require_unchanged(request: Request, value: Any, *, always: bool = False) -> None:
    """Refuse a change of a document that is no longer the one that the visitor saw; `always` asks for the condition."""
    wanted = request.headers.get("if-match")
    if wanted is None:
        if always:
            hint = "send the ETag of what you have read as If-Match"
            raise Unconditional("this change needs a condition", where="If-Match", hint=hint)
        return
    tags = [each.strip() for each in wanted.split(",")]
    if "*" not in tags and tag_of(encode(value)) not in tags:
        raise Stale("it was changed in the meantime", where="If-Match", hint="read it again, then repeat your change")
