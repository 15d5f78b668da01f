"""Attempts are counted before they are looked at, so that a thousand at once are not a thousand free ones.

An attempt counts as failed from its beginning, in one transaction with the question whether it may be made; one that succeeds
is taken back. Names are counted whether an account has them or not: waiting tells nobody which ones exist.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        known = sessions.find_failures(one, attempt.known, now) is not None
        binding = [attempt.client] if known else [attempt.client, attempt.account]
        return count(one, [attempt.account, attempt.client], binding, now)


def count_totp(store: Store, attempt: Attempt, now: float) -> int:
    """The same for a code of the second factor."""
    with store.together() as one:
        known = sessions.find_failures(one, attempt.known, now) is not None
        return count(one, [attempt.totp], [] if known else [attempt.totp], now)


def count_in_session(store: Store, session: str, now: float) -> int:
    """The same for a password that is asked again inside a session: strangers cannot make its owner wait."""
    with store.together() as one:
        return count(one, [f"session:{session}"], [f"session:{session}"], now)


def count(one: Store, subjects: Sequence[str], binding: Sequence[str], now: float) -> int:
    """Add one to every subject unless one that binds has to wait; how many the first one has then."""
    found = {subject: sessions.find_failures(one, subject, now) for subject in sorted(subjects)}
    wait = max((wait_seconds(limit_of(subject), found[subject], now) for subject in binding), default=0.0)
    if wait > 0:
        raise Throttled(wait)
    for subject, failures in found.items():
        more = Failures((failures.count if failures else 0) + 1, now)
        sessions.save_failures(one, subject, more, now + limit_of(subject).forgets)
    first = found[subjects[0]]
    return (first.count if first else 0) + 1


def limit_of(subject: str) -> Limit:
    return LIMITS[subject.partition(":")[0]]


def succeeded(one: Store, attempt: Attempt, now: float) -> None:
    """The right person came: their name is free again, their client known. What the client did to other names stays counted."""
    sessions.forget_failures(one, attempt.account)
    sessions.forget_failures(one, attempt.totp)
    sessions.take_back_failure(one, attempt.client)
    sessions.find_failures(one, attempt.known, now)  # waits for another login of the same person from the same place
    sessions.save_failures(one, attempt.known, Failures(0, now), now + CLIENT_KNOWN)


def take_back(store: Store, *subjects: str) -> None:
    """What was counted beforehand was no failure."""
    with store.together() as one:
        for subject in sorted(subjects):
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
