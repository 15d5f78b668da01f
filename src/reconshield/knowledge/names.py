"""From the name of a service or cluster to its ports: what `port pop3` shows and `scan -p pop3,@mail` measures.

A service id or alias means all endpoints of the service; a registered name means the port that the registry gives it (`pop3s`
is 995); a name that only the registry knows means its registered ports; `@mail` means every endpoint of a cluster.
"""

from __future__ import annotations

import difflib
import shlex

from reconshield.errors import UserError
from reconshield.knowledge import registry
from reconshield.knowledge.index import EndpointSummary, Index, Summary, load_index
from reconshield.knowledge.records import CLUSTERS

CLUSTER_ALIASES = {"email": "mail", "database": "databases", "db": "databases", "ics": "ot", "windows": "directory"}


def find_endpoints(name: str) -> tuple[EndpointSummary, ...]:
    """The catalogue endpoints that a name stands for, the service's own first; empty when the catalogue has no such name."""
    index, key = load_index(), name.strip().lower()
    if key in index.services:
        return index.services[key].endpoints
    for service in index.services.values():
        if key in service.own_names:
            return tuple(row for row in service.endpoints if row.port in service.own_names[key])
    for service in index.services.values():
        if key in (registered.lower() for registered in service.registered):
            return _registered_part(service, key)
    for service in index.services.values():
        if key in (*(alias.lower() for alias in service.aliases), service.name.lower(), service.full_name.lower()):
            return service.endpoints
    return ()


def _registered_part(service: Summary, name: str) -> tuple[EndpointSummary, ...]:
    """The endpoints on the ports that the registry gives to a name; all of them where it gives none of these."""
    rows = registry.port_of_name(name)
    part = tuple(
        endpoint
        for endpoint in service.endpoints
        if any(row.low <= endpoint.port <= row.high and row.covers(endpoint.transport) for row in rows)
    )
    return part or service.endpoints


def ports_of(name: str, transport: str = "") -> tuple[tuple[str, int], ...]:
    """The (transport, port) pairs of a name or `@cluster`, sorted; only one transport where one is given.

    Raises UserError for a name that neither the catalogue nor the registry knows, with the nearest name as the hint.
    """
    pairs = _cluster_pairs(name[1:].lower()) if name.startswith("@") else _service_pairs(name)
    return tuple(sorted({pair for pair in pairs if transport in ("", pair[0])}))


def _service_pairs(name: str) -> list[tuple[str, int]]:
    if rows := find_endpoints(name):
        return [(row.transport, row.port) for row in rows]
    if assigned := registry.port_of_name(name):
        return [
            (transport, port)
            for row in assigned
            for port in range(row.low, row.high + 1)
            for transport in ("tcp", "udp")
            if row.covers(transport)
        ]
    raise unknown_name(name)


def _cluster_pairs(name: str) -> list[tuple[str, int]]:
    index, cluster = load_index(), CLUSTER_ALIASES.get(name, name)
    if cluster in {"common", "common-tcp", "common-udp"}:
        wanted = cluster.rpartition("-")[2] if "-" in cluster else ""
        return [(transport, port) for port, transport in index.ports if wanted in ("", transport)]
    if cluster not in CLUSTERS:
        near = difflib.get_close_matches(cluster, [*CLUSTERS, *CLUSTER_ALIASES], n=1, cutoff=0.5)
        hint = f"-p @{near[0]}" if near else "clusters: " + " ".join(CLUSTERS)
        raise UserError(f"unknown cluster @{name}", where=f"@{name}", hint=hint)
    rows = (row for service in index.services.values() if cluster in service.clusters for row in service.endpoints)
    return [(row.transport, row.port) for row in rows]


def unknown_name(name: str) -> UserError:
    """The error for a name that nobody knows, with the products or the cluster of that name, or the nearest known one."""
    key = name.strip().lower().lstrip("@")
    products = [product.lower() for service in load_index().services.values() for product in service.products]
    product = any(key in (listed, *listed.split()) for listed in products)
    near = [] if product or CLUSTER_ALIASES.get(key, key) in CLUSTERS else nearest_names(name, 1)
    hint = f"reconshield port {near[0]}" if near else f"reconshield ports {shlex.quote(key)}"
    return UserError(f"unknown service {name[:60]}", where=name[:60], hint=hint)


def nearest_names(name: str, count: int = 3) -> list[str]:
    """Names that look like `name`, catalogue names before registered ones."""
    key = name.lower()
    if near := difflib.get_close_matches(key, known_names(load_index()), n=count, cutoff=0.6):
        return near
    registered = sorted({row.name.lower() for row in registry.all_rows()})
    return difflib.get_close_matches(key, registered, n=count, cutoff=0.75)


def known_names(index: Index) -> list[str]:
    """Every name of the catalogue, in lower case, sorted."""
    names: set[str] = set()
    for service in index.services.values():
        names |= {service.id, service.name.lower(), *service.own_names}
        names |= {name.lower() for name in (*service.registered, *service.aliases)}
    return sorted(names)
