"""Names that a host gives itself, for services that want to be spoken to by name. Pure.

An XMPP server tells nothing to who does not name a domain of its own, and a NetBIOS browser answers only to its workgroup's
name. Where the target was given by address, other services of the same address often say it: in their greetings and
certificates, or as the NetBIOS name service. What they said is tried once, after all of them have spoken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from reconshield.model import Service

BROWSER = (138, "udp")
MASTER_BROWSER = 0x1D
MOST = 2
"""So many names are tried."""
NAME = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{1,62}")


def wants_name(service: Service) -> bool:
    """Whether a service turned us away because it was not called by a name of its own."""
    if service.service == "unknown":
        return (service.endpoint.port, service.endpoint.transport) == BROWSER
    return service.service == "xmpp" and service.facts.get("error") == "host-unknown"


def probe_by_name(service: Service) -> str | None:
    """The probe that asks again."""
    return service.probe if service.service != "unknown" else "netbios-dgm"


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
    if service.service == "netbios-ns":
        yield from (n["name"] for n in facts.get("names", ()) if n["suffix"] == MASTER_BROWSER and not n["group"])


def choose_names(told: Iterable[str], service: Service) -> list[str]:
    """The likeliest first: those that more services told, the shorter before the longer. NetBIOS names have no dot."""
    count: dict[str, int] = {}
    for name in told:
        if ("." in name) == (service.service != "unknown"):
            count[name] = count.get(name, 0) + 1
    return sorted(count, key=lambda name: (-count[name], len(name), name))[:MOST]
