"""The words that all exports share: what a file is, what an entry allows and until when, what the format cannot say."""

from __future__ import annotations

import datetime as dt
import textwrap
import uuid
from collections.abc import Iterable, Iterator

from reconshield.export.enclaves import Enclaves, Gate
from reconshield.policy import Traffic
from reconshield.text import printable

SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:reconshield:policy-export")
"""The name space of our ids (RFC 9562, version 5): an id says what it is made of, so the same rule has the same id."""

WIDTH = 112
LINK_RULE = (
    "Link-local addresses count as the zone's that speaks to them. Neighbour discovery, multicast listeners "
    "(ICMPv6 130-137, 143; IGMP), DHCP on the link and errors of ICMP are not judged."
)
BLIND = "what is spoken: a service counts by the ports that it commonly has, so another protocol on such a port is not noticed"
DIRECTIONS = {"out": "from {zone} to others", "in": "from others to {zone}", "within": "inside {zone}"}


def preamble(enclaves: Enclaves, what: str, cannot: Iterable[str], *, ends: bool = False, link: bool = True) -> Iterator[str]:
    """The lines at the beginning, without the mark of a comment. `ends`: the format knows by itself when an entry ends; `link`:
    it is about traffic, so what is said of the link is said here.
    """
    yield f"{what}, of {printable(enclaves.file)}."
    yield "Made by `reconshield policy export`: change the policy, not this."
    first = enclaves.first_end
    if first is not None and not ends:
        yield f"Write it again after {until(first)}: then the entry of line {first.line} is over, and this does not know it."
    if link:
        yield from textwrap.wrap(LINK_RULE, WIDTH)
    limits = list(cannot)
    if limits:
        yield "It cannot say:"
    for limit in limits:
        yield from textwrap.wrap(limit, WIDTH, initial_indent="- ", subsequent_indent="  ")


def gate_title(gate: Gate) -> str:
    """`mail-dmz out`."""
    return f"{gate.zone.name} {gate.direction}"


def gate_words(gate: Gate) -> str:
    """`from mail-dmz to others`."""
    return DIRECTIONS[gate.direction].format(zone=gate.zone.name)


def allowed_words(entry: Traffic) -> str:
    """What an entry allows: `dns, smtp with wan`."""
    what = [*sorted(entry.service_ids), *([entry.ports] if entry.ports else [])]
    return f"{', '.join(what) or 'anything'} with {', '.join(entry.peers) or 'anybody'}"


def entry_words(entry: Traffic) -> str:
    """An entry on one line, with its reason, its owner, its end and where it stands."""
    parts = [printable(allowed_words(entry), 200)]
    if entry.reason:
        parts.append(printable(entry.reason, 200))
    if entry.owner:
        parts.append(f"owner {printable(entry.owner, 100)}")
    parts.append(f"until {until(entry)}" if entry.expires else "no end")
    return f"{'; '.join(parts)} (line {entry.line})"


def ended_words(entry: Traffic) -> str:
    return f"over since {until(entry)}: {entry_words(entry)}"


def until(entry: Traffic) -> str:
    """The last day of an entry, or the moment at which it is over (UTC)."""
    day = entry.expires
    if isinstance(day, dt.datetime):
        return dt.datetime.fromtimestamp(entry.ends or 0.0, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return day.isoformat() if day else ""


def stable_id(*content: str) -> uuid.UUID:
    """A UUID made of what it names."""
    return uuid.uuid5(SPACE, "\n".join(content))
