"""The only texts that reach users when something is wrong.

A user's mistake, a refusal or a broken environment is a `UserError`: it says *what* is wrong, *where* it stands and what to do
*next*, and carries the exit code that scripts rely on. The network's behaviour (refused, timed out) is never an exception but a
value in `model`; a bug is a plain Python exception and ends as "internal error" with exit code 70.
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend: exit code 2.

    `message` is one lower-case sentence without a full stop; `where` quotes the faulty input; `hint` is a command or an
    action to try next.
    """

    prefix = "error"
    exit_code = 2

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint


class Refused(UserError):
    """Nothing was sent, because no grant allows it: exit code 3."""

    prefix = "refused"
    exit_code = 3


class PartialResult(UserError):
    """The work stopped early, what was measured is kept: exit code 4."""

    prefix = "partial"
    exit_code = 4


class StoreError(UserError):
    """The database cannot be opened, read or written. Nothing that was reported as saved is lost."""


def describe_bug(error: BaseException) -> tuple[str, str]:
    """A bug by kind and place, and by what it happened in; neither values nor locals are named, for they may hold secrets."""
    import os
    import platform

    from reconshield import __version__

    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f"{os.path.basename(code.co_filename)}:{trace.tb_lineno} in {code.co_name}"  # noqa: PTH119 - a name, not a path
        trace = trace.tb_next
    about = f"reconshield {__version__}, Python {platform.python_version()}, {platform.system()}"
    return f"internal error: {type(error).__name__} at {place}", about
