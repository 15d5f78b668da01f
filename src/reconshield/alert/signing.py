"""Signed webhooks: how a receiver knows that a notice is ours, is whole, and is not an old one played again.

The scheme is that of Standard Webhooks (https://www.standardwebhooks.com), so ready libraries can check it. Three headers:

    webhook-id          the idempotency key; the same for every attempt of a notice: handle an id once
    webhook-timestamp   Unix seconds of this attempt
    webhook-signature   "v1," + base64 of HMAC-SHA-256(secret, id + "." + timestamp + "." + body)

A receiver written in Python may use `verify` as it stands; it needs the standard library alone. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

WINDOW = 300.0
"""Seconds that a timestamp may differ from the receiver's clock."""
PREFIX = "whsec_"


def read_secret(text: str) -> bytes:
    """The key in a secret: `whsec_` and base64, or any other text as it is."""
    if text.startswith(PREFIX):
        try:
            return base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            pass
    return text.encode()


def sign(secret: str, key: str, at: int, body: bytes) -> str:
    """The signature of one attempt."""
    signed = f"{key}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(read_secret(secret), signed, hashlib.sha256).digest()).decode()


def headers_of(secret: str, key: str, at: float, body: bytes) -> dict[str, str]:
    """The three headers."""
    return {
        "webhook-id": key,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": sign(secret, key, int(at), body),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: float, window: float = WINDOW) -> str | None:
    """None when a request is ours and fresh, else why not. `headers` by lower-case name; `now` is the receiver's clock.

    Whoever gets None still has to remember the `webhook-id` for as long as the window, and to ignore one that came before.
    """
    key, stamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (key and stamp and given):
        return "a webhook header is missing"
    if not (stamp.isdecimal() and stamp.isascii() and len(stamp) <= 12):
        return "the timestamp is no number"
    if abs(now - int(stamp)) > window:
        return "the timestamp is outside the window: an old request, or a clock that is wrong"
    wanted = sign(secret, key, int(stamp), body)
    if not any(hmac.compare_digest(one.encode(), wanted.encode()) for one in given.split(" ")):
        return "the signature does not fit"
    return None
