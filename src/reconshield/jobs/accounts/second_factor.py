"""The second factor: begun, confirmed by a code, ended by the password."""

from __future__ import annotations

import base64
import secrets

from reconshield.access import TOTP_SECRET_BYTES, LoginRefused, Visitor, match_totp, read_totp_secret
from reconshield.errors import UserError
from reconshield.jobs.accounts import attempts
from reconshield.jobs.accounts.opening import view
from reconshield.jobs.accounts.sessions import known_account, prove_again, require_session
from reconshield.store import accounts, audit, sessions
from reconshield.store.db import Store


def has_totp(store: Store, visitor: Visitor) -> bool:
    return known_account(store, visitor.account).totp_secret is not None


def begin_totp(store: Store, visitor: Visitor) -> str:
    """A new secret in Base32. Nothing is kept until `confirm_totp` shows that the visitor's device has it."""
    require_session(visitor)
    refuse_second(store, visitor)
    return base64.b32encode(secrets.token_bytes(TOTP_SECRET_BYTES)).decode()


def confirm_totp(store: Store, visitor: Visitor, secret: str, code: str, now: float) -> None:
    """Keep the secret when the code is its code of now; the account's other sessions end, for they never had the factor."""
    require_session(visitor)
    refuse_second(store, visitor)
    base32 = base64.b32encode(read_totp_secret(secret)).decode()
    attempts.count_in_session(store, visitor.session, now)
    step = match_totp(base32, code, now, None)
    if step is None:
        hint = "wait for the next one; check that your device's clock is right"
        raise LoginRefused("the code does not fit", where="second factor", hint=hint)
    attempts.forget_session(store, visitor.session)
    owner = known_account(store, visitor.account)
    with store.together() as one:
        if not accounts.add_totp(one, owner.id, base32, step):
            raise second_refused(visitor)
        sessions.end_other_sessions(one, owner.id, visitor.session)
        audit.append_entry(view(one, visitor.workspace), "totp-begun", {"account": owner.name}, now, visitor.actor)


def refuse_second(store: Store, visitor: Visitor) -> None:
    if has_totp(store, visitor):
        raise second_refused(visitor)


def second_refused(visitor: Visitor) -> UserError:
    return UserError("the account has a second factor already", where=visitor.account, hint="end that one first")


def end_totp(store: Store, visitor: Visitor, password: str, now: float) -> None:
    """Do without the second factor from now on."""
    owner = prove_again(store, visitor, password, now)
    with store.together() as one:
        accounts.end_totp(one, owner.id)
        audit.append_entry(view(one, visitor.workspace), "totp-ended", {"account": owner.name}, now, visitor.actor)
