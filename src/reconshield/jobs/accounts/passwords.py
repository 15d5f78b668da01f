"""Passwords as Argon2id texts, with the defaults of argon2-cffi, and few at a time: each takes 64 MiB."""

from __future__ import annotations

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from reconshield.access import PASSWORD_LONGEST, fold_password

AT_ONCE = 4
"""Passwords that one process hashes at a time; the next one waits. Without it, a hundred attempts at once take 6 GiB."""


@cache
def hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def turn() -> BoundedSemaphore:
    return BoundedSemaphore(AT_ONCE)


def password_bytes(password: str) -> bytes:
    """Any text that somebody sends; one that is too long is cut, which makes it wrong, in the time of any other."""
    return fold_password(password[: PASSWORD_LONGEST + 1]).encode("utf-8", "surrogatepass")


def hash_password(password: str) -> str:
    with turn():
        return hasher().hash(password_bytes(password))


def password_fits(kept: str | None, password: str) -> bool:
    """Whether this is the password. Where none is kept, one is hashed all the same: the answer takes as long."""
    if kept is None:
        hash_password(password)
        return False
    try:
        with turn():
            return hasher().verify(kept, password_bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def newer_hash(kept: str, password: str) -> str | None:
    """The same password with today's parameters, None when it has them."""
    return hash_password(password) if hasher().check_needs_rehash(kept) else None
