"""Redis (RESP, redis.io "Protocol specification"): PING, and where no login is asked for, the server section of INFO.

Nothing is written, no password is tried. `-NOAUTH` says that one is needed, `-DENIED` that protected mode keeps strangers out.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Tell, Where, line, name_cpe

PING = b"*1\r\n$4\r\nPING\r\n"
INFO = b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n"
QUIT = b"*1\r\n$4\r\nQUIT\r\n"

ANSWERS = re.compile(
    rb"\+PONG\r\n|-(?:NOAUTH Auth|DENIED Redis|DENIED KeyDB|NOPERM |LOADING |MISCONF |MASTERDOWN )"
    rb"|-ERR (?:operation not permitted|max number)"
)

KINDS: tuple[tuple[str, str, tuple[str, str]], ...] = (
    (r"^valkey_version:(\d[\w.-]*)", "Valkey", ("lfprojects", "valkey")),
    (r"^keydb_version:(\d[\w.-]*)", "KeyDB", ("snap", "keydb")),
    (r"^dragonfly_version:df-v?(\d[\w.-]*)", "Dragonfly", ("dragonflydb", "dragonfly")),
    (r"^redis_version:(\d[\w.-]*)", "Redis", ("redis", "redis")),
)


def bulk(data: bytes) -> bool:
    """A whole bulk string (`$length`, bytes), or one line of another kind."""
    found = re.match(rb"\$(\d{1,6})\r\n", data)
    return len(data) >= found.end() + int(found[1]) + 2 if found else not data.startswith(b"$") and line(data)


def run() -> Dialogue:
    pong = yield Ask(PING, until=line)
    if not ANSWERS.match(pong):
        return None
    if not pong.startswith(b"+PONG"):
        return Match("redis", "Redis", None, refused(pong, (yield Where()).tls), (name_cpe("redis", "redis"),))
    info = yield Ask(INFO, until=bulk)
    yield Tell(QUIT)
    if info.startswith((b"-NOAUTH", b"-NOPERM")):
        return Match("redis", "Redis", None, refused(info, (yield Where()).tls), (name_cpe("redis", "redis"),))
    return name_product(info)


def refused(answer: bytes, inside_tls: bool) -> dict[str, Any]:
    """What a refusal says. A password that is wanted on a connection without TLS goes in clear: AUTH has no other form."""
    text = answer.decode("latin-1").strip()[:200]
    if answer.startswith((b"-NOAUTH", b"-NOPERM", b"-ERR operation")):
        return {"auth": "required"} | ({} if inside_tls else {"login_clear": "offered"})
    if answer.startswith(b"-DENIED"):
        return {"auth": "unknown", "mode": "protected", "greeting": text}
    return {"auth": "unknown", "greeting": text}


def name_product(info: bytes) -> Match:
    """Product and version from INFO; a server that answers PING and nothing else is Redis only by its shape."""
    text = info.decode("latin-1")
    facts: dict[str, Any] = {"auth": "none"}
    for key, name in (("redis_mode", "mode"), ("os", "system"), ("redis_version", "version")):
        found = re.search(rf"^{key}:([^\r\n]{{1,120}})", text, re.MULTILINE)
        if found:
            facts[name] = found[1]
    for pattern, product, vendor in KINDS:
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return Match("redis", product, found[1], facts, (name_cpe(*vendor, found[1]),))
    return Match("redis", facts=facts, sure=info.startswith((b"$", b"-ERR")))


PROBE = Probe("redis", ports=(6379, 6380, 16379, 26379), run=run)
