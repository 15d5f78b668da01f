"""What a channel is: a value with a name, the settings it takes, and a function that carries one notice.

How the other side behaved is a value (`Outcome`), not an exception: it may be down for hours, and the outbox tries again. A
mistake in the settings is a `UserError`, found before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconshield.alert.message import Notice
from reconshield.errors import UserError
from reconshield.model import Json

PATIENCE = 10.0
"""Seconds that a receiver may take to accept a notice."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of a channel in the policy file. `choices` None takes any text."""

    name: str
    help: str
    default: str | None = None
    choices: tuple[str, ...] | None = None
    required: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: `accepted`, or why not.

    `wait` is when the receiver asked to be tried again, in seconds. `rejects` says that it is there and does not want this one
    notice, so others may be sent meanwhile.
    """

    accepted: bool
    detail: str
    wait: float | None = None
    rejects: bool = False

    @property
    def reached(self) -> bool:
        return self.accepted or self.rejects


@dataclass(frozen=True, slots=True)
class Order:
    """One notice on its way: the resolved settings of its channel, and what only the sender knows.

    `at` is the time of this attempt; `source` is the name of this machine, `version` that of the program.
    """

    notice: Notice
    settings: Mapping[str, str]
    at: float
    source: str
    version: str
    admit: Callable[[str, int], list[str]] | None = None
    """Resolves a host and says which of its addresses may be spoken to (`alert.guard`); None trusts the operator's file."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell somebody. `guarded` says that it goes only where `Order.admit` lets it: the others take no settings from
    the web.
    """

    name: str
    title: str
    fields: tuple[Field, ...]
    send: Callable[[Order], Outcome]
    guarded: bool = False

    def read(self, given: Json, where: str) -> dict[str, str]:
        """The settings as text, defaults filled in. Raises UserError for an unknown, missing or impossible one."""
        known = {field.name: field for field in self.fields}
        for name in given:
            if name not in known:
                raise UserError(f"a {self.name} channel has no {name!r}", where=where, hint=f"it takes {', '.join(known)}")
        found: dict[str, str] = {}
        for field in self.fields:
            text = field.default if field.name not in given else text_of(given[field.name])
            if not text and field.required:
                raise UserError(f"a {self.name} channel needs {field.name!r}", where=where, hint=f"{field.name}: {field.help}")
            if text and field.choices is not None and text not in field.choices:
                raise UserError(
                    f"{field.name} cannot be {text!r}", where=where, hint=f"{field.name}: {' | '.join(field.choices)}"
                )
            if text:
                found[field.name] = text
        return found


def text_of(value: object) -> str:
    """A setting as text; a list is joined by commas."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def read_port(settings: Mapping[str, str], where: str) -> int:
    """The `port` of a channel."""
    text = settings["port"]
    if not (text.isdecimal() and 0 < int(text) < 65536):
        raise UserError("the port is no number from 1 to 65535", where=f"{where}: {text}", hint="port = 514")
    return int(text)
