"""When a visitor looked last: the time after which things are new to them, kept in a cookie of their browser.

A visit lasts until nothing was looked at for half an hour; while it lasts, the same things stay new, however often the page is
loaded. The cookie says for which account and workspace it is, so that two people at one browser do not take it for their own.
What a visitor writes into it changes nothing but what they are shown as new.
"""

from __future__ import annotations

import hashlib
import hmac

from fastapi import Response

from reconshield.web.call import Call

COOKIE = "rs_looked"
VISIT = 1800.0
FIRST = 7 * 86_400.0
"""How far back somebody sees who looks for the first time."""
LONGEST = 366 * 86_400.0


def last_look(call: Call) -> tuple[float, bool]:
    """Since when things are new, and whether it is known: False for who looks for the first time."""
    kept = read(call)
    if kept is None:
        return call.now - FIRST, False
    since, seen = kept
    return (seen if call.now - seen > VISIT else since), True


def remember(call: Call, response: Response, since: float) -> None:
    """Keep that they have looked now."""
    response.set_cookie(
        COOKIE,
        f"{since:.0f}-{call.now:.0f}-{tag_of(call)}",
        max_age=int(LONGEST),
        httponly=True,
        samesite="lax",
        secure=call.site.secure,
        path="/",
    )


def read(call: Call) -> tuple[float, float] | None:
    """The two times of the cookie: since when, and when they looked last. None for one that is not ours to use."""
    parts = call.request.cookies.get(COOKIE, "")[:100].split("-")
    if len(parts) != 3 or not hmac.compare_digest(parts[2].encode(), tag_of(call).encode()):
        return None
    if not all(part.isascii() and part.isdecimal() and len(part) <= 12 for part in parts[:2]):
        return None
    since, seen = float(parts[0]), float(parts[1])
    return (since, seen) if call.now - LONGEST <= since <= seen <= call.now else None


def tag_of(call: Call) -> str:
    return hashlib.sha256(f"{call.who.account}\0{call.who.workspace}".encode()).hexdigest()[:16]
