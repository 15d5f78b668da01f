"""The present state as policy text for review: what is open and expected by nobody, with blanks for reason and owner.

Nothing is hidden by it: until somebody has filled in the blanks, `policy check` refuses the file, and what is forbidden is
never proposed. Endpoints that are alike (same zone, service and port) share an entry; each stands above it in a comment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconshield.addresses import AddressSet, text_of
from reconshield.model import Confidence, Endpoint, Risk, Service
from reconshield.policy.policy import Policy
from reconshield.policy.writing import table_text
from reconshield.text import printable

LISTED = 8
"""So many endpoints of an entry are listed above it."""
NAMED = 20
"""So many addresses are written one by one; more become networks and ranges."""


@dataclass(frozen=True, slots=True)
class Open:
    """An open endpoint that nobody expects: what speaks there (None where nobody asked), and its risk."""

    endpoint: Endpoint
    service: Service | None = None
    risk: Risk | None = None


def propose_entries(policy: Policy, found: Iterable[Open], expires: dt.date) -> Iterator[str]:
    """`[[expect]]` tables, the riskiest first, each with a comment that says what it is about."""
    groups: dict[tuple[str, str, int, str], list[Open]] = {}
    for each in found:
        place = each.endpoint
        key = (policy.zone_name(place.ip), heard(each.service) or "", place.port, place.transport)
        groups.setdefault(key, []).append(each)
    ordered = sorted(groups.items(), key=lambda pair: (-max(score(each) for each in pair[1]), pair[0]))
    for (_, service, port, transport), alike in ordered:
        yield "".join(f"# {line}\n" for line in remarks(alike)) + entry_text(policy, service, port, transport, alike, expires)


def entry_text(policy: Policy, service: str, port: int, transport: str, alike: list[Open], expires: dt.date) -> str:
    ports = f"U:{port}" if transport == "udp" else str(port)
    table: dict[str, object] = {"on": places_of(policy, [each.endpoint.ip for each in alike])}
    if service:
        table["service"] = service
    return table_text("expect", table | {"ports": ports, "reason": "", "owner": "", "expires": expires})


def places_of(policy: Policy, ips: Sequence[str]) -> list[str]:
    """Addresses by the name of their asset where they have one, else as they are; many of them as networks."""
    addresses = AddressSet.of(*ips)
    names: list[str] = []
    for asset in policy.assets:
        if asset.area & addresses:
            names.append(asset.name)
            addresses -= asset.area
    if addresses.count > NAMED:
        return names + list(addresses.cidrs())
    return names + [text_of(value) for first, last in addresses.ranges for value in range(first, last + 1)]


def remarks(alike: list[Open]) -> Iterator[str]:
    """What the endpoints of an entry are, for whoever reviews it."""
    for each in alike[:LISTED]:
        service = each.service
        words = [printable(text, 60) for text in (service.service, service.product, service.version) if text] if service else []
        risk = f", risk {each.risk.score} {each.risk.rating}" if each.risk else ""
        guess = " (guessed from the port)" if service and service.confidence is Confidence.GUESS else ""
        yield f"{each.endpoint}: {' '.join(words) or 'not identified'}{guess}{risk}"
    if len(alike) > LISTED:
        yield f"and {len(alike) - LISTED} more like these"


def heard(service: Service | None) -> str | None:
    """The service that was heard; a guess and an unknown one are no names to expect."""
    if service is None or service.confidence is Confidence.GUESS or service.service == "unknown":
        return None
    return service.service


def score(each: Open) -> int:
    return each.risk.score if each.risk else 0


def propose_zone(targets: AddressSet) -> str:
    """The beginning of a first policy: a zone of what was measured, to be named and cut as it is in truth."""
    networks = list(targets.cidrs())
    zone = {"name": "measured", "targets": networks, "owner": "", "criticality": "normal"}
    advice = "# What was measured. Give it its name and owner, and cut it into the zones that you have."
    return f"version = 1\n\n{advice}\n{table_text('zone', zone)}"
