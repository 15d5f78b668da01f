"""What the names in a policy may mean, told by whoever reads it: the policy knows neither the catalogue nor the checks."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from difflib import get_close_matches

from reconshield.errors import UserError


def no_ports(name: str, transport: str) -> tuple[tuple[str, int], ...]:
    """Without a catalogue no name has a port."""
    del transport
    raise UserError(f"unknown service {name}")


@dataclass(frozen=True, slots=True)
class Known:
    """Look-ups by name. An empty collection means "not told", and nothing is held against it.

    `service_id` gives the id behind any name of a service, None if nobody knows it; `ports_of` the (transport, port) pairs of a
    name or `@cluster`, or a `UserError`.
    """

    service_id: Callable[[str], str | None] = lambda name: name
    near_services: Callable[[str], list[str]] = lambda _: []
    ports_of: Callable[[str, str], tuple[tuple[str, int], ...]] = no_ports
    is_check: Callable[[str], bool] = lambda _: True
    checks: Collection[str] = ()
    channel_kinds: Collection[str] = ()
    vantages: Collection[str] = ()


def suggest(name: str, names: Collection[str], otherwise: str) -> str:
    """`did you mean mail-dmz?`, else what there is, else what to do."""
    near = get_close_matches(name.lower(), names, n=2, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    few = sorted(names)[:8]
    return f"there are {', '.join(few)}{', …' if len(names) > 8 else ''}" if few else otherwise
