"""The second factor: time-based one-time passwords, RFC 6238 (SHA-1, 30 seconds, six digits)."""

from __future__ import annotations

import base64
import binascii
import hmac
from urllib.parse import quote, urlencode

from reconshield.errors import UserError

TOTP_PERIOD, TOTP_DIGITS, TOTP_DRIFT = 30, 6, 1
TOTP_SECRET_BYTES = 20  # RFC 4226 section 4: as long as the hash


def read_totp_secret(secret: str) -> bytes:
    """Base32 text, as applications show it, as bytes."""
    text = "".join(secret.split()).upper().rstrip("=")
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        key = b""
    if not 16 <= len(key) <= 64:
        raise UserError(
            "this is no secret for a second factor", where="second factor", hint="begin again and scan the new code"
        )
    return key


def totp_code(key: bytes, step: int, digits: int = TOTP_DIGITS) -> str:
    """The code of one step of 30 seconds (RFC 4226 section 5.3, SHA-1)."""
    mac = hmac.digest(key, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def match_totp(secret: str, code: str, now: float, last_step: int | None) -> int | None:
    """The step whose code this is: now, one before or one after, and later than any that was used; None when there is none."""
    text = "".join(code.split())
    if len(text) != TOTP_DIGITS or not (text.isascii() and text.isdigit()):
        return None
    key, current, found = read_totp_secret(secret), int(now // TOTP_PERIOD), None
    for step in range(max(0, current - TOTP_DRIFT), current + TOTP_DRIFT + 1):
        fits = hmac.compare_digest(totp_code(key, step), text)
        if fits and found is None and (last_step is None or step > last_step):
            found = step
    return found


def totp_uri(secret: str, account: str, issuer: str = "ReconShield") -> str:
    """`otpauth://` as authenticator applications read it from a QR code."""
    label = quote(f"{issuer}:{account}", safe="@")
    asked = urlencode({"secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": TOTP_DIGITS, "period": TOTP_PERIOD})
    return f"otpauth://totp/{label}?{asked}"
