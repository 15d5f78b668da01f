"""Attempts are counted before they are looked at, so that a thousand at once are not a thousand free ones.

An attempt counts as failed from its beginning, in one transaction with the question whether it may be made; one that succeeds
is taken back. Names are counted whether an account has them or not: waiting tells nobody which ones exist.

Whoever touches several subjects takes them all, in the order of their names, before changing one: nobody waits in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconshield.access import (
    CLIENT_KNOWN,
    LIMITS,
    Failures,
    Limit,
    Throttled,
    client_key,
    hash_secret,
    name_key,
    wait_seconds,
)
from reconshield.store import sessions
from reconshield.store.db import Store


@dataclass(frozen=True, slots=True)
class Attempt:
    """By what an attempt to sign in is counted, as rows name it. `totp` is asked only where the account has a second factor."""

    account: str
    client: str
    known: str
    totp: str


def attempt_of(name: str, client: str) -> Attempt:
    who, where = hash_secret(name_key(name))[:32], client_key(client)
    return Attempt(f"account:{who}", f"client:{where}", f"known:{who}:{where}", f"totp:{who}")


def count_attempt(store: Store, attempt: Attempt, now: float) -> int:
    """Count one attempt beforehand, and say how many that makes against this name. Raises `Throttled` for one too many."""
    sessions.prune_failures(store, now)
    with store.together() as one:
        found = take(one, (attempt.account, attempt.client, attempt.known), now)
        binding = [attempt.client] if found.pop(attempt.known) else [attempt.client, attempt.account]
        return count(one, found, binding, now)[attempt.account]


def count_totp(store: Store, attempt: Attempt, now: float) -> int:
    """The same for a code of the second factor."""
    with store.together() as one:
        found = take(one, (attempt.known, attempt.totp), now)
        binding = [] if found.pop(attempt.known) else [attempt.totp]
        return count(one, found, binding, now)[attempt.totp]


def count_in_session(store: Store, session: str, now: float) -> None:
    """The same for a password that is asked again inside a session: strangers cannot make its owner wait."""
    subject = f"session:{session}"
    with store.together() as one:
        count(one, take(one, [subject], now), [subject], now)


def take(one: Store, subjects: Iterable[str], now: float) -> dict[str, Failures | None]:
    """What is remembered of each, which nobody else changes until the caller's transaction ends."""
    return {subject: sessions.find_failures(one, subject, now) for subject in sorted(subjects)}


def count(one: Store, found: Mapping[str, Failures | None], binding: Sequence[str], now: float) -> dict[str, int]:
    """Add one to each unless one that binds has to wait; how many that makes."""
    wait = max((wait_seconds(limit_of(subject), found[subject], now) for subject in binding), default=0.0)
    if wait > 0:
        raise Throttled(wait)
    counted = {subject: (failures.count if failures else 0) + 1 for subject, failures in found.items()}
    for subject, failures in counted.items():
        sessions.save_failures(one, subject, Failures(failures, now), now + limit_of(subject).forgets)
    return counted


def limit_of(subject: str) -> Limit:
    return LIMITS[subject.partition(":")[0]]


def succeeded(one: Store, attempt: Attempt, now: float) -> None:
    """The right person came: their name is free again, their client known. What the client did to other names stays counted."""
    take(one, (attempt.account, attempt.client, attempt.known, attempt.totp), now)
    sessions.forget_failures(one, attempt.account)
    sessions.take_back_failure(one, attempt.client)
    sessions.save_failures(one, attempt.known, Failures(0, now), now + CLIENT_KNOWN)
    sessions.forget_failures(one, attempt.totp)


def take_back(store: Store, attempt: Attempt, now: float) -> None:
    """What was counted beforehand was no failure."""
    with store.together() as one:
        for subject in take(one, (attempt.account, attempt.client), now):
            sessions.take_back_failure(one, subject)


STRANGERS, STRANGERS_HOUR = "strangers:", 3600.0


def count_stranger(one: Store, now: float, share: int) -> tuple[int, int]:
    """Count a refusal of a name that nobody has: the how manieth it is in this hour, and how many of the hour before were
    more than its share.
    """
    subject = f"{STRANGERS}{one.workspace}"
    found = sessions.find_failures(one, subject, now)
    fresh = found is None or now - found.last >= STRANGERS_HOUR
    left_out = max(0, found.count - share) if found is not None and fresh else 0
    count, since = (1, now) if found is None or fresh else (found.count + 1, found.last)
    sessions.save_failures(one, subject, Failures(count, since), now + 24 * STRANGERS_HOUR)
    return count, left_out


def forget_session(store: Store, session: str) -> None:
    """The password was right."""
    sessions.forget_failures(store, f"session:{session}")
