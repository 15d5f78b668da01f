"""Accounts that the tests of accounts begin with."""

from __future__ import annotations

from reconshield.access import NewSession, Role, read_totp_secret, totp_code
from reconshield.jobs.accounts import begin_totp, confirm_totp, finish_setup, invite, log_in, setup_link
from reconshield.store import audit
from reconshield.store.db import Store

NOW = 1_800_000_000.0
HOUR, DAY = 3600.0, 86400.0
PASSWORD = "four words put together"
HOME, CAFE = "192.0.2.10", "198.51.100.20"


def first_admin(store: Store, name: str = "Ada", now: float = NOW) -> NewSession:
    """The admin of a new workspace, signed in from `HOME`."""
    return finish_setup(store, setup_link(store, now), name, PASSWORD, now, client=HOME, agent="Firefox")


def member(store: Store, admin: NewSession, name: str, role: Role = Role.VIEWER, now: float = NOW) -> NewSession:
    """Somebody whom the admin invited, signed in from `HOME`."""
    code = invite(store, admin.visitor, role, now)
    return finish_setup(store, code, name, PASSWORD, now, client=HOME, agent="Firefox")


def sign_in(store: Store, name: str = "ada", now: float = NOW, code: str = "", client: str = HOME) -> NewSession:
    return log_in(store, name, PASSWORD, code, now, client=client, agent="Firefox")


def code_at(secret: str, now: float) -> str:
    return totp_code(read_totp_secret(secret), int(now // 30))


def with_totp(store: Store, session: NewSession, now: float = NOW) -> str:
    """Switch the second factor on and return its secret."""
    secret = begin_totp(store, session.visitor)
    confirm_totp(store, session.visitor, secret, code_at(secret, now), now)
    return secret


def events(store: Store) -> list[str]:
    return [entry.event for entry in audit.entries(store)]
