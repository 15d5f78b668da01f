"""How long the next attempt has to wait after failed ones. Nothing is ever locked for good."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconshield.access.lasting import DAY, HOUR, MINUTE


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures cost nothing; then the wait doubles from a second up to `longest`; after `forgets` all is forgotten."""

    free: int
    longest: float
    forgets: float


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "account": Limit(free=5, longest=MINUTE, forgets=HOUR),
        "client": Limit(free=10, longest=15 * MINUTE, forgets=HOUR),
        "totp": Limit(free=5, longest=15 * MINUTE, forgets=DAY),
        "session": Limit(free=5, longest=15 * MINUTE, forgets=HOUR),
    }
)
"""By what is counted: failures against one account from anywhere, of one client address against any account, of codes against
an account, of passwords asked again inside a session. A client that the account signed in from lately is not held up by
strangers' failures against the account, so nobody can keep its owner out."""


@dataclass(frozen=True, slots=True)
class Failures:
    """How often something failed since it was last forgotten, and when last."""

    count: int
    last: float


def wait_seconds(limit: Limit, failures: Failures | None, now: float) -> float:
    """How long the next attempt has to wait: 0 for none, never more than the limit's longest, whatever the clock does."""
    if failures is None or failures.count < limit.free or now - failures.last >= limit.forgets:
        return 0.0
    delay = min(limit.longest, 2.0 ** min(failures.count - limit.free, 30))
    return min(delay, max(0.0, failures.last + delay - now))


def client_key(client: str) -> str:
    """Which clients count as one: an IPv4 address, an IPv6 /64 (one household has so many), else the text's hash."""
    try:
        address = ipaddress.ip_address(client.strip().partition("%")[0])
    except ValueError:
        return "other:" + hashlib.sha256(client.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def worth_logging(failures: int) -> bool:
    """Whether this failure is written down: the 1st, 2nd, 4th, 8th, … so that nobody fills the log by guessing."""
    return failures > 0 and failures & (failures - 1) == 0
