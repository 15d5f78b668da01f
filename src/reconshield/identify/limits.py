"""How much an identification may cost the machine that is asked, and ours: one frozen record, read by everything that waits.

All times are seconds. The figures are for links up to some 100 ms; what depends on distance adds the round trip measured when
the connection was made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconshield.model import Endpoint

Held = Callable[[Endpoint], str | None]
"""Says why an endpoint gets no byte ("print port"), or None if it may be asked."""


def hold_nothing(_endpoint: Endpoint) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets of an endpoint and of a whole run.

    `connections` are for finding the protocol, `more_connections` for sessions and TLS posture at level 4, `spacing` seconds
    apart. `per_own_host` counts for loopback and this machine's own addresses: nobody else needs us to spare them. `strict`
    raises what a probe raises (tests); otherwise a failed probe is a note on the service. `touch_ot` lets the read-only
    probes of industrial protocols, and nothing else, ask held-back endpoints that are usually theirs.
    """

    concurrency: int = 256
    per_host: int = 16
    per_own_host: int = 96
    ahead: int = 2048
    connections: int = 8
    more_connections: int = 8
    spacing: float = 0.1
    turns: int = 16
    turn_bytes: int = 64 * 1024
    endpoint_bytes: int = 256 * 1024
    evidence_bytes: int = 4 * 1024
    evidence_turns: int = 40
    connect_seconds: float = 4.0
    turn_seconds: float = 5.0
    silence_seconds: float = 1.5
    quiet_seconds: float = 0.15
    idle_seconds: float = 2.0
    late_greeting_seconds: float = 8.5
    endpoint_seconds: float = 45.0
    strict: bool = False
    touch_ot: bool = False
    held: Held = hold_nothing
