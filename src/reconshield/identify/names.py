"""Names that a host gives itself, for services that want to be spoken to by name. Pure.

An XMPP server tells nothing to who does not name a domain of its own. Where the target was given by address, other services of
the same address often say it: in their greetings and certificates. What they said is tried once, after all of them have spoken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from reconshield.model import Service

MOST = 2
"""So many names are tried."""
NAME = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}")


def wants_name(service: Service) -> bool:
    """Whether a service turned us away because it was not called by a name of its own."""
    return service.service == "xmpp" and service.facts.get("error") in {"host-unknown", "undefined-condition"}


def names_told(service: Service) -> Iterator[str]:
    """The names that a service gives its host: what it calls itself, and what its certificates are for."""
    facts = service.facts
    told: list[Any] = [facts.get("hostname")]
    for tls in (facts.get("tls"), facts.get("starttls_tls")):
        certificate = tls.get("certificate") if isinstance(tls, dict) else None
        told += certificate.get("names", []) if isinstance(certificate, dict) else []
    for name in told:
        lower = name.lower().removeprefix("*.").rstrip(".") if isinstance(name, str) else ""
        if NAME.fullmatch(lower):
            yield lower


def choose_names(told: Iterable[str]) -> list[str]:
    """The likeliest domains first: those that more services told, the shorter before the longer."""
    count: dict[str, int] = {}
    for name in told:
        count[name] = count.get(name, 0) + 1
    return sorted(count, key=lambda name: (-count[name], len(name), name))[:MOST]
