"""The channels and routes of the policy, made ready: kinds known, settings complete, secrets fetched when something is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconshield.alert.channel import Channel
from reconshield.alert.channels import CHANNELS
from reconshield.alert.route import Rule
from reconshield.errors import UserError
from reconshield.model import Severity
from reconshield.policy import Policy
from reconshield.policy.records import EVERYWHERE, Route

LARGEST_SECRET = 64 * 1024


@dataclass(frozen=True, slots=True)
class Way:
    """A channel of the policy: its kind, and its settings as they stand in the file (secrets as `env:` and `file:`)."""

    name: str
    channel: Channel
    settings: Mapping[str, str]
    where: str

    def resolved(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The settings with their secrets."""
        return {name: fetch(text, environ, f"{self.where}, {name}") for name, text in self.settings.items()}


def ready_channels(policy: Policy) -> dict[str, Way]:
    """Every channel by its name. Raises UserError for an unknown kind and for settings that a kind does not take or misses."""
    kinds = {channel.name: channel for channel in CHANNELS}
    found: dict[str, Way] = {}
    for entry in policy.channels:
        where = f"{policy.file}, line {entry.line}: channel {entry.name}"
        if entry.kind not in kinds:
            raise UserError(f"there is no channel of kind {entry.kind!r}", where=where, hint=f"kinds are {', '.join(kinds)}")
        found[entry.name] = Way(entry.name, kinds[entry.kind], kinds[entry.kind].read(entry.settings, where), where)
    return found


def fetch(text: str, environ: Mapping[str, str], where: str) -> str:
    """The value of a setting: `env:NAME` is a variable, `file:PATH` the first line of a file."""
    kind, colon, rest = text.partition(":")
    if kind == "env" and colon:
        if not (value := environ.get(rest)):
            raise UserError(f"the variable {rest} is not set", where=where, hint=f"export {rest}=…")
        return value
    if kind == "file" and colon:
        try:
            with Path(rest).expanduser().open(encoding="utf-8") as file:
                return file.read(LARGEST_SECRET).partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UserError(f"the secret cannot be read: {reason}", where=where, hint=f"ls -l {rest}") from error
    return text


def rules_of(policy: Policy) -> tuple[Rule, ...]:
    """The routes as `alert.route` takes them."""
    return tuple(rule_of(route) for route in policy.routes)


def rule_of(route: Route) -> Rule:
    when = route.when
    return Rule(
        to=route.to,
        severity=Severity(when.severity) if when and when.severity else Severity.INFO,
        changes=frozenset(when.change) if when and when.change else None,
        area=None if route.area == EVERYWHERE else route.area,
        quiet=route.window,
        escalate_after=route.escalate_seconds,
        escalate_to=route.escalate.to if route.escalate else (),
    )
