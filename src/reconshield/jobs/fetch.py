"""Fetch one file over HTTPS from the one host that may give it, with every limit in place.

    fetch(url, opener) -> Answer      opener(url, headers, seconds) -> Reply; the one used is `open_https`

No proxy, no cookie, no redirect to another host or scheme, at most `most` bytes on the wire and after unpacking, a limit on how
much a packed byte may become, and one deadline for all of it. TLS is checked against the system's authorities.
"""

from __future__ import annotations

import http.client
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from reconshield import __version__
from reconshield.errors import UserError

SECONDS = 120.0
SILENCE = 20.0
MOST_REDIRECTS = 3
MOST_RATIO = 100
"""A packed byte may become so many; text of numbers becomes five to ten."""
CHUNK = 1 << 16
REDIRECTS = {301, 302, 303, 307, 308}
AGAIN = "try again later, or fetch it by other means and give it with --from-file; the table in use stays"


class Reply(Protocol):
    """The part of `http.client.HTTPResponse` that is used."""

    status: int
    headers: Any  # an email.message.Message, of which `get` is used

    def read(self, size: int, /) -> bytes: ...


Opener = Callable[[str, Mapping[str, str], float], AbstractContextManager[Reply]]
"""Sends one GET and gives the reply; it must not follow redirects."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. `data` is None when the server says that nothing has changed since the last time."""

    data: bytes | None
    etag: str = ""
    modified: str = ""


@contextmanager
def open_https(url: str, headers: Mapping[str, str], seconds: float) -> Iterator[Reply]:
    """One GET over TLS with a checked certificate."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    with closing(http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=seconds, context=context)) as connection:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers=dict(headers))
        yield connection.getresponse()


def fetch(
    url: str, *, most: int, etag: str = "", modified: str = "", opener: Opener = open_https, seconds: float = SECONDS
) -> Answer:
    """The file at a URL, unpacked where its name ends in `.gz`. Raises UserError when it does not come as it should."""
    host, deadline = urlsplit(url).netloc, time.monotonic() + seconds
    headers = {"User-Agent": f"reconshield/{__version__}", "Accept-Encoding": "identity"}
    headers |= {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": modified} if modified else {}
    packed, address = urlsplit(url).path.endswith(".gz"), url
    for _ in range(MOST_REDIRECTS + 1):
        try:
            with opener(address, headers, min(SILENCE, seconds)) as reply:
                if reply.status in REDIRECTS:
                    address = follow(address, reply.headers.get("Location", ""), host)
                    continue
                return read_reply(reply, address, most, deadline, packed=packed)
        except (OSError, http.client.HTTPException) as error:
            raise UserError(f"the feed cannot be fetched: {reason(error)}", where=address, hint=AGAIN) from error
    raise UserError("the feed is redirected too often", where=address, hint=AGAIN)


def reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def follow(address: str, location: str, host: str) -> str:
    """The next address; only another path on the same host over HTTPS is one."""
    wanted = urljoin(address, location)
    parts = urlsplit(wanted)
    if not location or parts.scheme != "https" or parts.netloc != host:
        raise UserError(f"the feed is redirected away from {host}; that is not followed", where=wanted[:200], hint=AGAIN)
    return wanted


def read_reply(reply: Reply, address: str, most: int, deadline: float, *, packed: bool) -> Answer:
    """The body of a good answer, within all limits."""
    if reply.status == http.HTTPStatus.NOT_MODIFIED:
        return Answer(None)
    if reply.status != http.HTTPStatus.OK:
        raise UserError(f"the server answers {reply.status}", where=address, hint=AGAIN)
    announced = reply.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_big(address, most)
    data = b"".join(read_chunks(reply, address, most, deadline))
    if announced.isdecimal() and len(data) != int(announced):
        raise UserError(f"only {len(data):,} of {int(announced):,} bytes came", where=address, hint=AGAIN)
    body = unpack(data, address, most) if packed else data
    return Answer(body, reply.headers.get("ETag", ""), reply.headers.get("Last-Modified", ""))


def read_chunks(reply: Reply, address: str, most: int, deadline: float) -> Iterator[bytes]:
    total = 0
    while chunk := reply.read(CHUNK):
        total += len(chunk)
        if total > most:
            raise too_big(address, most)
        if time.monotonic() > deadline:
            raise UserError("the feed takes too long", where=address, hint=AGAIN)
        yield chunk


def unpack(data: bytes, where: str, most: int) -> bytes:
    """The content of a gzip file, refused when it grows beyond the cap or beyond what such text can."""
    limit = min(most, MOST_RATIO * len(data))
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise UserError("the feed is not a whole gzip file", where=where, hint=AGAIN) from error
    if len(body) > limit:
        raise too_big(where, limit)
    if not unpacker.eof:
        raise UserError("the feed is not a whole gzip file", where=where, hint=AGAIN)
    return body


def too_big(where: str, most: int) -> UserError:
    return UserError(f"the feed is larger than {most:,} bytes", where=where, hint=AGAIN)
