"""The pages that lead to port pages: home, ports, services, clusters, ratings, techniques, numbers, search.

Each function gives (path, text) pairs; all are made from the catalogue's index, so that they cannot differ from it.
"""

from __future__ import annotations

import json
import string
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from reconshield.knowledge import registry
from reconshield.knowledge.catalog import attack_names, count_claims, load_catalog
from reconshield.knowledge.index import EndpointSummary, Summary, load_index
from reconshield.knowledge.records import CLUSTERS
from reconshield.knowledge.sections import data_dates
from reconshield.report.site.frame import environment, frame_values, full_style
from reconshield.report.site.links import BELOW, TOP, Links

BLOCK = 1024
"""So many numbers stand on one page of `numbers/`."""
RATINGS = ("critical", "high", "medium", "low")
CAPITALS = {"ot": "OT", "vpn": "VPN", "p2p": "P2P"}
Page = tuple[str, str]
"""A file of the site: its path under the site's folder, and its text."""


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a list: its anchor, its heading, a sentence, its endpoints with their services."""

    anchor: str
    heading: str
    note: str
    rows: tuple[tuple[EndpointSummary, Summary], ...]


def index_pages() -> Iterator[Page]:
    """Every page and file of the site but the port pages, the sitemap and the feed."""
    rows = all_rows()
    yield "reconshield.css", full_style()
    yield "search.js", files("reconshield.report.site").joinpath("search.js").read_text(encoding="utf-8")
    yield "index.html", home_page(rows)
    yield "ports.html", ports_page(rows)
    yield "services.html", _list_page("services", "Services", "Every documented service, by name.", service_groups())
    yield "risk.html", _list_page("risk", "Ports by risk", RISK_NOTE, rating_groups(rows))
    yield from cluster_pages(rows)
    yield from service_pages()
    yield "attack.html", attack_page()
    yield "search.html", search_page()
    yield "search.json", search_data()


RISK_NOTE = (
    "The rating says what it would mean if the service answered a host on an untrusted network. "
    "Critical from 75, high from 50, medium from 30, else low; the sum stands on each page."
)


def all_rows() -> list[tuple[EndpointSummary, Summary]]:
    """Every endpoint with its service, in order of number."""
    pairs = [(row, service) for service in load_index().services.values() for row in service.endpoints]
    return sorted(pairs, key=lambda pair: (pair[0].port, pair[0].transport, pair[0].service))


def _render(template: str, links: Links, **values: Any) -> str:
    return environment().get_template(template).render(**{**frame_values(links), **values})


def _worst_first(rows: Iterable[tuple[EndpointSummary, Summary]]) -> tuple[tuple[EndpointSummary, Summary], ...]:
    return tuple(sorted(rows, key=lambda pair: (-pair[0].score, pair[0].port, pair[0].transport)))


def _list_page(here: str, title: str, lead: str, groups: Iterable[Group], links: Links = TOP) -> str:
    return _render("list.html.j2", links, here=here, title=title, description=lead, lead=lead, groups=list(groups))


def home_page(rows: list[tuple[EndpointSummary, Summary]]) -> str:
    """What the site is, how much there is, the worst ports, the clusters."""
    catalog = load_catalog()
    figures = {
        "services": len(catalog.services),
        "endpoints": len(rows),
        "sourced statements": sum(count_claims(entry) for entry in catalog.services.values()),
        "sources": len(catalog.sources),
    }
    worst = Group("worst", "The worst first", "", _worst_first(rows)[:12])
    lead = "Every port from 0 to 65,535: what answers there, how bad it is to expose it, and how to close it."
    return _render(
        "home.html.j2",
        TOP,
        title="Every port",
        description=lead,
        lead=lead,
        figures=figures,
        worst=worst,
        clusters=clusters(rows),
    )


LEAD_PORTS = "Every documented port, by number. All others have a short page: choose their block below."
SPANS = ((0, 1023, "System ports"), (1024, 49151, "User ports"), (49152, 65535, "Dynamic ports"))


def ports_page(rows: list[tuple[EndpointSummary, Summary]]) -> str:
    """All documented ports by number, then the way to all others."""
    values = {"title": "Ports", "description": LEAD_PORTS, "lead": LEAD_PORTS}
    return _render("list.html.j2", TOP, here="ports", **values, groups=port_groups(rows), blocks=number_blocks())


def port_groups(rows: list[tuple[EndpointSummary, Summary]]) -> list[Group]:
    """The documented ports in the ranges that the registry knows."""
    groups = (
        Group(f"from-{low}", f"{name}, {low}–{high}", "", tuple(pair for pair in rows if low <= pair[0].port <= high))
        for low, high, name in SPANS
    )
    return [group for group in groups if group.rows]


def number_blocks() -> list[tuple[int, int, int]]:
    """Number, first and last port of every block."""
    return [(number, number * BLOCK, number * BLOCK + BLOCK - 1) for number in range(65536 // BLOCK)]


def service_groups() -> Iterator[Group]:
    """Services by the first letter of their name; each with all its endpoints."""
    letters: dict[str, list[tuple[EndpointSummary, Summary]]] = defaultdict(list)
    for service in sorted(load_index().services.values(), key=lambda service: service.name.lower()):
        first = service.name[0].upper()
        letters[first if first in string.ascii_uppercase else "0–9"].extend((row, service) for row in service.endpoints)
    for letter, rows in sorted(letters.items()):
        yield Group(f"letter-{letter.lower()}", letter, "", tuple(rows))


def rating_groups(rows: list[tuple[EndpointSummary, Summary]]) -> Iterator[Group]:
    """Endpoints by rating, the worst first."""
    for rating in RATINGS:
        found = _worst_first(pair for pair in rows if pair[0].rating == rating)
        if found:
            yield Group(rating, rating.capitalize(), f"{len(found)} of {len(rows)} documented endpoints.", found)


def clusters(rows: list[tuple[EndpointSummary, Summary]]) -> list[Group]:
    """The clusters that have entries, in the catalogue's order; the service's own ports first."""
    found = []
    for cluster in CLUSTERS:
        members = tuple(pair for pair in rows if cluster in pair[1].clusters)
        if members:
            found.append(Group(cluster, CAPITALS.get(cluster, cluster.replace("-", " ").capitalize()), "", members))
    return found


def cluster_pages(rows: list[tuple[EndpointSummary, Summary]]) -> Iterator[Page]:
    found = clusters(rows)
    lead = "Ports that belong together. Who runs one of a cluster usually runs others of it."
    yield (
        "clusters.html",
        _render("clusters.html.j2", TOP, here="clusters", title="Clusters", description=lead, lead=lead, clusters=found),
    )
    for group in found:
        sentence = f"{len(group.rows)} documented endpoints, the worst first."
        whole = Group("ports", "Ports", "", _worst_first(group.rows))
        yield f"cluster/{group.anchor}.html", _list_page("clusters", group.heading, sentence, [whole], BELOW)


def service_pages() -> Iterator[Page]:
    """One page a service: all its endpoints and names, and where to read on."""
    catalog = load_catalog()
    for service in load_index().services.values():
        entry = catalog.services[service.id]
        ports = Group("ports", "Ports", "", tuple((row, service) for row in service.endpoints))
        yield (
            f"service/{service.id}.html",
            _render(
                "service.html.j2",
                BELOW,
                here="services",
                title=service.name,
                description=entry.answer.text,
                service=service,
                entry=entry,
                group=ports,
            ),
        )


def attack_page() -> str:
    """ATT&CK ids that entries name: techniques first, then software, groups and campaigns; with the ports that name them."""
    lead = attack_lead()
    return _render("attack.html.j2", TOP, here="attack", title="ATT&CK", description=lead, lead=lead, rows=attack_rows())


def attack_lead() -> str:
    return f"MITRE ATT&CK {data_dates()['attack']} ids that entries name, with the main port of each service that names them."


def attack_rows() -> list[tuple[str, str, list[tuple[int, str]]]]:
    """Id, name, and (port, service) of every entry that names it."""
    named: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for service in load_index().services.values():
        for technique in service.attack:
            own = service.endpoints[0]
            named[technique].add((own.port, service.name))
    names = attack_names()
    order = sorted(named, key=lambda item: ("TSGC".index(item[0]), item))
    return [(item, names[item], sorted(named[item])) for item in order]


def terms() -> list[tuple[str, list[tuple[int, str]]]]:
    """A book's index: every name, alias and product of the catalogue, and the ports it leads to."""
    found: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for service in load_index().services.values():
        places = {(row.port, row.transport) for row in service.endpoints}
        for name in {service.name, service.full_name, *service.aliases, *service.products}:
            found[name] |= places
        for name in service.registered:
            own = {place for place in places if place[0] in service.own_names.get(name.lower(), ())}
            found[name] |= own or places
    merged: dict[str, tuple[str, set[tuple[int, str]]]] = {}
    for name, places in found.items():
        kept = merged.setdefault(name.lower(), (name, set()))
        kept[1].update(places)
    return [(name, sorted(places)) for _, (name, places) in sorted(merged.items())]


def search_page() -> str:
    """An index to read; the script makes it a search."""
    lead = "Every name, alias and product, and the ports it leads to."
    return _render(
        "search.html.j2", TOP, here="search", title="Search", description=lead, lead=lead, terms=terms(), script="search.js"
    )


def search_data() -> str:
    """What the script searches: documented endpoints with their words, and the registry's names."""
    documented = [
        {
            "port": row.port,
            "transport": row.transport,
            "name": row.name,
            "score": row.score,
            "rating": row.rating,
            "words": " ".join(
                (
                    service.id,
                    service.full_name,
                    *service.aliases,
                    *service.registered,
                    *service.products,
                    *service.clusters,
                    *service.attack,
                )
            ).lower(),
        }
        for row, service in all_rows()
    ]
    registered = [[row.low, "/".join(row.transports), row.name, row.title] for row in registry.all_rows()]
    return json.dumps({"documented": documented, "registered": registered}, separators=(",", ":"), ensure_ascii=False)


def numbers_page(block: int) -> Page:
    """The way to 1,024 port pages, with the names of those that have one."""
    return f"numbers/{block}.html", _render("numbers.html.j2", BELOW, here="ports", **numbers_values(block))


def numbers_values(block: int) -> dict[str, Any]:
    """What the page of a block prints."""
    first = block * BLOCK
    rows = [(port, _names(port)) for port in range(first, first + BLOCK)]
    named = sum(1 for _, names in rows if names)
    lead = f"{named:,} of these {BLOCK:,} numbers have a documented or registered name."
    return {
        "title": f"Ports {first}–{first + BLOCK - 1}",
        "description": lead,
        "lead": lead,
        "rows": rows,
        "block": block,
        "last": 65536 // BLOCK - 1,
    }


def _names(port: int) -> str:
    index = load_index()
    documented = dict.fromkeys(row.name for transport in ("tcp", "udp") for row in index.at(port, transport))
    return ", ".join(documented or dict.fromkeys(row.name.lower() for row in registry.assignments(port)))
