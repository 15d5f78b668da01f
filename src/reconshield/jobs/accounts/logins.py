"""Signing in: one answer for whatever does not fit, in one time, and ever slower for who keeps guessing.

An unknown name, one that may not sign in and a wrong password are refused in the same words after the same work.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconshield.access import LoginRefused, NewSession, TotpWanted, match_totp, name_key, worth_logging
from reconshield.jobs.accounts import attempts
from reconshield.jobs.accounts.opening import open_session, view
from reconshield.jobs.accounts.passwords import newer_hash, password_fits
from reconshield.store import accounts, audit, sessions
from reconshield.store.accounts import Account
from reconshield.store.db import Store

ANONYMOUS_SHARE = 20
"""Refusals of names that nobody has that are written down in an hour; the next entry says how many more there were."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Who proved to own an account, and what that was counted by. `newer` is the password's hash where it had to be renewed."""

    account: Account
    attempt: attempts.Attempt
    newer: str | None


def log_in(store: Store, name: str, password: str, code: str, now: float, *, client: str, agent: str) -> NewSession:
    """A session in the workspace that the account used last.

    Raises `LoginRefused`, `TotpWanted` when only the code of the second factor is missing, or `Throttled`.
    """
    proof = prove(store, name, password, code, now, client=client)
    places = accounts.list_memberships(store, proof.account.id)
    if not places:
        attempts.take_back(store, proof.attempt, now)
        raise LoginRefused("this account belongs to no workspace", where="sign in", hint="ask an admin to invite you")
    sessions.prune_sessions(store, now)
    with store.together() as one:
        here = view(one, places[0].workspace)
        settle(here, proof, now)
        session = open_session(here, proof.account, places[0].role, now, client, agent)
        detail = {"account": proof.account.name, "client": client[:64], "session": session.visitor.session}
        audit.append_entry(here, "login", detail, now, session.visitor.actor)
    return session


def prove(store: Store, name: str, password: str, code: str, now: float, *, client: str) -> Proof:
    """That somebody has the password of the account, and its second factor where it has one."""
    attempt = attempts.attempt_of(name, client)
    failures = attempts.count_attempt(store, attempt, now)
    account = accounts.find_account(store, name_key(name))
    usable = account is not None and account.disabled_at is None
    fits = password_fits(account.password if account and usable else None, password)
    if account is None or not fits or account.password is None:
        log_refusal(store, account, failures, "password", now, client)
        raise LoginRefused("name and password do not fit", where="sign in", hint="try again, or ask an admin for a new link")
    if account.totp_secret is not None:
        try:
            prove_totp(store, account, attempt, code, now, client)
        except TotpWanted:
            attempts.take_back(store, attempt, now)
            raise
    return Proof(account, attempt, newer_hash(account.password, password))


def prove_code(store: Store, account: Account, attempt: attempts.Attempt, code: str, now: float, client: str) -> None:
    """The second factor alone, where something else stands for the password: counted against the client too, known or not."""
    attempts.count_attempt(store, attempt, now)
    try:
        prove_totp(store, account, attempt, code, now, client)
    except TotpWanted:
        attempts.take_back(store, attempt, now)
        raise


def prove_totp(store: Store, account: Account, attempt: attempts.Attempt, code: str, now: float, client: str) -> None:
    """That the code is one of now, and was not used before."""
    if not code.strip():
        raise TotpWanted("the second factor is missing", where="sign in", hint="give the six digits that your device shows")
    failures = attempts.count_totp(store, attempt, now)
    step = match_totp(account.totp_secret or "", code, now, account.totp_step)
    if step is None or not accounts.use_totp_step(store, account.id, step):
        log_refusal(store, account, failures, "second factor", now, client)
        hint = "wait for the next one; check that your device's clock is right"
        raise LoginRefused("the code does not fit, or was used before", where="sign in", hint=hint)


def settle(one: Store, proof: Proof, now: float) -> None:
    """What a proof leaves behind, within the transaction of what it was for."""
    attempts.succeeded(one, proof.attempt, now)
    if proof.newer is not None and proof.account.password is not None:
        accounts.renew_hash(one, proof.account.id, proof.account.password, proof.newer)


def log_refusal(store: Store, account: Account | None, failures: int, what: str, now: float, client: str) -> None:
    """Write a refusal down, but let nobody fill the log: each doubling against an account, a few an hour of unknown names.

    A name that no account has is not written: it may be a password in the wrong field.
    """
    if account is None:
        log_stranger(store, now, client)
        return
    if not worth_logging(failures):
        return
    places = accounts.list_memberships(store, account.id)
    detail = {"account": account.name, "what": what, "failures": failures, "client": client[:64]}
    for place in places[:1]:
        audit.append_entry(view(store, place.workspace), "login-refused", detail, now, f"account:{account.name}")


def log_stranger(store: Store, now: float, client: str) -> None:
    with store.together() as one:
        count, left_out = attempts.count_stranger(one, now, ANONYMOUS_SHARE)
        if count > ANONYMOUS_SHARE:
            return
        more = {"left_out_before": left_out} if left_out else {}
        audit.append_entry(one, "login-refused", {"what": "unknown name", "client": client[:64]} | more, now, "nobody")
