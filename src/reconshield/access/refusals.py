"""What a visitor is told when it may not be."""

from __future__ import annotations

from reconshield.access.records import Role, Visitor
from reconshield.errors import Refused, UserError


class LoginRefused(UserError):
    """Name, password or code do not fit; which of them is not said."""


class TotpWanted(UserError):
    """The password fits, the six digits of the second factor are missing."""


class Throttled(UserError):
    """Too many attempts failed; the next one is looked at after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "too many attempts failed",
            where="sign in",
            hint=f"try again in {max(1, round(seconds + 0.49))} s; nothing is locked for good",
        )
        self.seconds = seconds


class LinkRefused(UserError):
    """The code is unknown, used or too old; which of them is not said."""


class NotAllowed(Refused):
    """The visitor's role does not reach, or only a person may do it."""


def require(visitor: Visitor, role: Role, what: str) -> None:
    """Refuse in words what the visitor's role does not reach."""
    if not visitor.role.covers(role):
        hint = f"ask an admin of the workspace {visitor.workspace}"
        raise NotAllowed(f"only {describe_at_least(role)} may do this", where=what, hint=hint)


def describe_at_least(role: Role) -> str:
    names = [each.value for each in Role if each.covers(role)]
    return f"{', '.join(names[:-1])} or {names[-1]}" if names[1:] else names[0]
