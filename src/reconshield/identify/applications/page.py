"""A page as the rules see it, and what they make of it: plain values, read from bytes that may be anything."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ENOUGH = 48 * 1024
"""So much of a page is looked at."""
REPEATED = ("set-cookie", "www-authenticate")
"""Headers that come more than once; all of them count."""


@dataclass(frozen=True, slots=True)
class Application:
    """What serves a page. `kind` is admin, api, metrics, device, proxy, server (its own web server) or app.

    `service` is its id in the catalogue.
    """

    name: str
    product: str
    version: str | None = None
    kind: str = "app"
    service: str = "http"
    vendor: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to one GET of `path`. `status` 0 means that this was no HTTP answer."""

    path: str
    status: int = 0
    protocol: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""
    body: str = ""
    title: str = ""
    generator: str = ""

    @property
    def is_page(self) -> bool:
        return self.status == 200 and "<" in self.body[:512]

    def field(self, name: str) -> str:
        """What a rule looks at: title, body, generator, status, cookie, realm, or a header."""
        if name in ("title", "body", "generator", "status"):
            return str(getattr(self, name))
        return self.headers.get({"cookie": "set-cookie", "realm": "www-authenticate"}.get(name, name), "")


def read_page(path: str, answer: bytes) -> Page:
    """Any bytes to a page."""
    status = re.match(rb"HTTP/(\d(?:\.\d)?) (\d{3})", answer)
    if not status:
        return Page(path, raw=answer, body=answer[:ENOUGH].decode("utf-8", "replace"))
    head, _, raw = answer.partition(b"\r\n\r\n") if b"\r\n\r\n" in answer else answer.partition(b"\n\n")
    headers = read_headers(head)
    if "chunked" in headers.get("transfer-encoding", "").lower():
        raw = join_chunks(raw)
    body = raw[:ENOUGH].decode("utf-8", "replace")
    return Page(
        path,
        int(status[2]),
        f"HTTP/{status[1].decode()}",
        headers,
        raw,
        body,
        read_title(body),
        read_generator(body),
    )


def read_headers(head: bytes) -> dict[str, str]:
    """Header lines by lower-case name; the first of a kind counts (`REPEATED`: all of them), and only so much of it."""
    found: dict[str, str] = {}
    for text in head.decode("latin-1").splitlines()[1:200]:
        name, colon, value = text.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
            continue
        key, kept = name.lower(), value.strip()[:512]
        if key in REPEATED and len(found.get(key, "")) in range(1, 1024):
            found[key] += ", " + kept
        else:
            found.setdefault(key, kept)
    return found


def join_chunks(raw: bytes) -> bytes:
    """A chunked body (RFC 9112 §7.1) as far as it came; what is malformed ends it."""
    parts: list[bytes] = []
    at = 0
    while len(parts) < 1024:
        size = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]{0,100}\r\n").match(raw, at)
        length = int(size[1], 16) if size else 0
        if size is None or not length:
            break
        parts.append(raw[size.end() : size.end() + length])
        at = size.end() + length + 2
    return b"".join(parts)


def read_title(text: str) -> str:
    lower = text.lower()
    start = lower.find("<title")
    opened = lower.find(">", start, start + 200) if start >= 0 else -1
    if opened < 0:
        return ""
    closed = lower.find("</title", opened, opened + 1000)
    raw = text[opened + 1 : closed if closed >= 0 else opened + 200]
    return " ".join(html.unescape(raw).split())[:200]


def read_generator(text: str) -> str:
    """What a page says it was made with (`<meta name="generator">`)."""
    at = text.lower().find('name="generator"')
    made = re.search(r'content="([^"]{1,120})"', text[max(0, at - 150) : at + 200]) if at >= 0 else None
    return made[1] if made else ""
