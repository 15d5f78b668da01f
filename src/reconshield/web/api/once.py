"""Idempotency-Key: a request that is sent twice under one key is done once, and answered alike both times.

    claim    the key, with the hash of the request, in a transaction of its own: of two at the same moment one wins
    work     the handler
    settle   its answer, which a repetition gets for a day

What fails leaves no claim. A claim whose process died stays unanswered, because nobody knows how far it came: the visitor is
told to look.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from fastapi import Response

from reconshield.errors import UserError
from reconshield.store import idempotency as kept
from reconshield.web.call import Call
from reconshield.web.failures import Conflict

KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
HEADER = "idempotency-key"
MOST_KEPT = 256 * 1024
"""Bytes of an answer that are kept; what is larger is told to be looked up."""


def do_once(call: Call, work: Callable[[], Response]) -> Response:
    """Do the work, or give the answer of when it was done. Without a key it is just done."""
    key = call.request.headers.get(HEADER)
    if key is None:
        return work()
    if KEY.fullmatch(key) is None:
        raise UserError("this key cannot be used", where="Idempotency-Key", hint="give 1 to 255 printable ASCII characters")
    name, request = hash_of(key.encode()), hash_of(*parts_of(call))
    before = kept.claim(call.store, call.who.account, name, request, call.now)
    if before is not None:
        return repeat(before, request)
    try:
        answer = work()
    except BaseException:
        kept.release(call.store, call.who.account, name)
        raise
    body = bytes(answer.body).decode() if len(answer.body) <= MOST_KEPT else ""
    kept.settle(call.store, call.who.account, name, answer.status_code, answer.headers.get("location"), body)
    return answer


def repeat(before: kept.Kept, request: str) -> Response:
    """The answer of the first time."""
    if before.request != request:
        hint = "take a new key for a new request"
        raise UserError("this key was used for another request", where="Idempotency-Key", hint=hint)
    if before.status is None:
        raise Conflict(
            "this request is being worked on, or was broken off", where="Idempotency-Key", hint="look whether it was done"
        )
    headers = {"idempotency-replayed": "true", "cache-control": "no-store"}
    if before.location:
        headers["location"] = before.location
    return Response(before.body or "", before.status, headers, "application/json" if before.body else None)


def parts_of(call: Call) -> Iterator[bytes]:
    """All that makes a request this one: what it asks for, its document, the fields of its form, its files and their names."""
    yield call.request.method.encode()
    yield call.request.url.path.encode()
    yield call.body
    for name, value in sorted(call.form.items()):
        yield f"{name}={value}".encode("utf-8", "surrogatepass")
    for name, files in sorted(call.uploads.items()):
        for file in files:
            yield name.encode("utf-8", "surrogatepass")
            yield (file.filename or "").encode("utf-8", "surrogatepass")
            yield digest_of(file.file)


def digest_of(file: BinaryIO) -> bytes:
    """The hash of a whole file, which is read from its beginning afterwards."""
    found = hashlib.sha256()
    while piece := file.read(1 << 20):
        found.update(piece)
    file.seek(0)
    return found.digest()


def hash_of(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
