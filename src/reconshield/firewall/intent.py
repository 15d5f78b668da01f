"""What a firewall should do, for any firewall: who may reach which endpoints, in both address families.

An intent is small on purpose. A platform turns it into its own rules; the evaluator and the lab hold what came out against it.
The order is always the same: this machine itself and what is already connected go on, then the allowed sources, then the denial
of everybody else, for these endpoints and for nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from reconshield.addresses import AddressSet
from reconshield.addresses.sets import V4_FIRST, V4_LAST
from reconshield.errors import UserError

V4 = AddressSet(((V4_FIRST, V4_LAST),))
EVERYBODY = AddressSet(((0, (1 << 128) - 1),))
NOBODY = AddressSet()
COMMENT_LIMIT = 120


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port of this machine. `service` is what usually answers there, for comments."""

    transport: str
    port: int
    service: str = ""

    def __str__(self) -> str:
        return f"{self.port}/{self.transport}"


@dataclass(frozen=True, slots=True)
class Intent:
    """`ports` may be reached from `allow` and from nowhere else; with `public`, from everywhere.

    `log` asks for a (limited) note of what is denied. `reason` and `expires` go into comments where a firewall has them.
    """

    ports: tuple[Port, ...]
    allow: AddressSet = NOBODY
    public: bool = False
    log: bool = False
    reason: str = ""
    expires: dt.date | None = None

    def __post_init__(self) -> None:
        if not self.ports:
            raise UserError("an intent needs a port", where="firewall advise", hint="reconshield firewall advise 110")

    @property
    def allow_v4(self) -> tuple[str, ...]:
        """The allowed IPv4 networks."""
        return (self.allow & V4).cidrs()

    @property
    def allow_v6(self) -> tuple[str, ...]:
        """The allowed IPv6 networks."""
        return (self.allow - V4).cidrs()

    @property
    def comment(self) -> str:
        """Why, on one line that no firewall stumbles over."""
        until = f", until {self.expires.isoformat()}" if self.expires else ""
        plain = "".join(char if char.isalnum() or char in " .,:/-+" else " " for char in self.reason + until)
        return " ".join(f"reconshield {plain}".split())[:COMMENT_LIMIT]

    def numbers(self, transport: str) -> tuple[int, ...]:
        """The ports of one transport."""
        return tuple(sorted({port.port for port in self.ports if port.transport == transport}))

    @property
    def transports(self) -> tuple[str, ...]:
        return tuple(name for name in ("tcp", "udp") if self.numbers(name))

    def wanted(self, source: str | int) -> bool:
        """Whether an address may reach the ports of this intent."""
        return self.public or source in self.allow


def allowed_networks(texts: Iterable[str], where: str = "--allow") -> AddressSet:
    """The addresses of `--allow`. Text that is no network is a `UserError`, and so is everybody: that is no restriction."""
    from reconshield.addresses import parse_target

    found = NOBODY
    for text in texts:
        target = parse_target(text, where=f"{where} {text}", wide=True)
        if target.addresses is None:
            hint = "give addresses or networks: what a rule means must not depend on a resolver"
            raise UserError(f"{text} is a name", where=f"{where} {text}", hint=hint)
        found |= target.addresses
    return found


def refuse_contradiction(allow: AddressSet, deny: AddressSet) -> None:
    """Somebody cannot be allowed and denied at once."""
    if both := allow & deny:
        raise UserError(
            f"{both.text(3)} is both allowed and denied", where="--allow and --deny", hint="take it out of one of them"
        )


def refuse_lockout(intent: Intent, operator: str | None, port: int | None) -> None:
    """Rules that deny the operator's own way in are refused: the session would live on, but no second one would come
    through.
    """
    if operator is None or port is None or intent.public or port not in intent.numbers("tcp"):
        return
    if operator not in intent.allow:
        raise UserError(
            f"these rules would lock you out: your session comes from {operator} to port {port}",
            where=f"{port}/tcp",
            hint=f"add --allow {operator}, or work from a console",
        )
