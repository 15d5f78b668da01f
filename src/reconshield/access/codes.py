"""One-time codes as people type them, and what is kept of a secret."""

from __future__ import annotations

import hashlib

CODE_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Thirty-two signs, none of which is taken for another one: no I, L, O, U. Sixteen of them are 80 bits."""
CODE_LENGTH, CODE_GROUP = 16, 4
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0", "-": None, " ": None})


def code_text(letters: str) -> str:
    """`7Q2M-K4VX-90TB-W3HN`."""
    return "-".join(letters[at : at + CODE_GROUP] for at in range(0, len(letters), CODE_GROUP))


def read_code(text: str) -> str | None:
    """The letters of a code however it was typed; None when it cannot be one."""
    letters = text[:64].strip().upper().translate(_MISREAD)
    return letters if len(letters) == CODE_LENGTH and set(letters) <= set(CODE_LETTERS) else None


def link_path(code: str) -> str:
    """Where the web app takes a code."""
    return f"/setup/{code}"


def hash_secret(text: str) -> str:
    """What is kept of a token or code that nobody could guess: SHA-256 needs neither salt nor slowness there."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
