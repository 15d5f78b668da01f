"""Search over the catalogue: by number, name, product, cluster, rating, transport, ATT&CK id or any word of the text.

A list or range as `scan -p` takes it (`20-25`, `U:53,161`) stands for its ports.

Every word of a query must fit; `tcp high mail` narrows. Names weigh more than products, products more than words in the
text. A word that fits nothing is read as the nearest name there is, and the result says so. What the catalogue has not, the
registry may have.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconshield.addresses import PortSet, parse_ports
from reconshield.errors import UserError
from reconshield.knowledge import registry
from reconshield.knowledge.index import EndpointSummary, Index, Summary, load_index
from reconshield.knowledge.names import CLUSTER_ALIASES, known_names
from reconshield.knowledge.records import CLUSTERS

RATINGS = ("critical", "high", "medium", "low")
MOST_REGISTERED = 50
CLEAR = 45
"""The weight from which a word is meant, and not only mentioned: name, product, cluster, rating, ATT&CK id."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An endpoint that fits. `service` and the rating are None where only the registry knows it."""

    port: int
    transport: str
    service: str | None
    name: str
    clusters: tuple[str, ...] = ()
    score: int | None = None
    rating: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The hits, best first, and what a mistyped word was read as."""

    hits: tuple[Hit, ...]
    read_as: tuple[tuple[str, str], ...] = ()


def search(query: str = "", cluster: str | None = None, rating: str | None = None) -> Found:
    """Every endpoint that fits the query, the cluster and the rating. Raises UserError for an unknown cluster or rating."""
    index, wanted = load_index(), _known_cluster(cluster)
    if rating is not None and rating not in RATINGS:
        raise UserError(f"unknown rating {rating}", where=f"--risk {rating}", hint="--risk " + " | ".join(RATINGS))
    query, among = _take_ports(query)
    words, read_as = _read_words(query, index)
    weighed: list[tuple[int, int, EndpointSummary, Summary]] = []
    for service in index.services.values():
        if wanted and wanted not in service.clusters:
            continue
        for row in service.endpoints:
            weights = [_fits(word, row, service) for word in words]
            inside = among is None or (row.transport, row.port) in among
            if inside and all(weights) and rating in (None, row.rating):
                weighed.append((sum(weights), min(weights, default=0), row, service))
    if any(least >= CLEAR for _, least, _, _ in weighed):
        weighed = [item for item in weighed if item[1] >= CLEAR]  # a clear match makes a mere mention noise
    weighed.sort(key=lambda item: (-item[0], -item[2].score if words else 0, item[2].port, item[2].transport))
    hits = tuple(
        Hit(row.port, row.transport, row.service, row.name, service.clusters, row.score, row.rating)
        for _, _, row, service in weighed
    )
    if not hits and words and not wanted and not rating:
        hits = tuple(_registered(words))
    return Found(hits, read_as)


def _take_ports(query: str) -> tuple[str, PortSet | None]:
    """The query without its lists and ranges of ports, and what they mean; None where there are none."""
    words = query.split()
    lists = [word for word in words if re.fullmatch(r"[TUtu]:[\d,:TUtu-]+|\d+[,-][\d,:TUtu-]*", word)]
    if not lists:
        return query, None
    bare = parse_ports(",".join(lists)).ports
    if not any(":" in word for word in lists):
        bare = PortSet(bare.tcp, bare.tcp)  # a number alone is meant for both transports
    return " ".join(word for word in words if word not in lists), bare


def _known_cluster(cluster: str | None) -> str | None:
    if cluster is None:
        return None
    name = CLUSTER_ALIASES.get(cluster.lower(), cluster.lower())
    if name not in CLUSTERS:
        near = difflib.get_close_matches(name, CLUSTERS, n=1, cutoff=0.5)
        hint = f"--cluster {near[0]}" if near else "clusters: " + " ".join(CLUSTERS)
        raise UserError(f"unknown cluster {cluster[:40]}", where=f"--cluster {cluster[:40]}", hint=hint)
    return name


def _read_words(query: str, index: Index) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The words of a query in lower case, each that fits nothing replaced by the nearest known name."""
    words, read_as = [], []
    vocabulary: list[str] | None = None
    for word in re.findall(r"[\w.+@/-]+", query.lower()):
        number = word.partition("/")
        parts = [number[0], number[2]] if number[0].isdecimal() and number[2] in {"tcp", "udp"} else [word.lstrip("@")]
        for part in parts:
            if part.isdecimal() or any(
                _fits(part, row, service) for service in index.services.values() for row in service.endpoints
            ):
                words.append(part)
                continue
            vocabulary = vocabulary or sorted({*known_names(index), *_product_words(index), *CLUSTERS, *RATINGS})
            near = difflib.get_close_matches(part, vocabulary, n=1, cutoff=0.7)
            registered = bool(registry.port_of_name(part))
            words.append(near[0] if near and not registered else part)
            read_as += [(part, near[0])] if near and not registered else []
    return words, tuple(read_as)


def _product_words(index: Index) -> set[str]:
    return {word for service in index.services.values() for product in service.products for word in product.lower().split()}


def _fits(word: str, row: EndpointSummary, service: Summary) -> int:
    """How well one word fits an endpoint; 0 for not at all."""
    if word.isdecimal():
        return 100 if int(word) == row.port else 0
    if word in {"tcp", "udp", *RATINGS}:
        return 50 if word in {row.transport, row.rating} else 0
    if weight := _fits_name(word, row, service):
        return weight
    in_cluster = CLUSTER_ALIASES.get(word, word) in service.clusters
    if in_cluster or word == row.role:
        return 65 if in_cluster else 50  # more than the beginning of a name: `mail` is not the mailbox of EtherCAT
    if re.fullmatch(r"t\d{4}(\.\d{3})?", word):
        return 50 if any(technique.lower().startswith(word) for technique in service.attack) else 0
    return _fits_text(word, service)


def _fits_name(word: str, row: EndpointSummary, service: Summary) -> int:
    own = {row.name.lower(), *(name for name, ports in service.own_names.items() if row.port in ports)}
    if word in {service.id, *own}:
        return 95
    names = {service.name.lower(), *(name.lower() for name in (*service.registered, *service.aliases))}
    return 90 if word in names else 0


def _fits_text(word: str, service: Summary) -> int:
    if len(word) < 2:
        return 0
    names = " ".join((service.id, service.name, service.full_name, *service.registered, *service.aliases)).lower()
    if re.search(rf"\b{re.escape(word)}", names):
        return 60
    if word in " ".join(service.products).lower():
        return 45
    return 10 if f" {word} " in f" {service.words} " else 0


def _registered(words: list[str]) -> Iterator[Hit]:
    """Rows of the registry whose name or title holds every word, or whose number is meant."""
    count = 0
    for row in registry.all_rows():
        text = f"{row.name} {row.title}".lower()
        if all((row.low <= int(word) <= row.high) if word.isdecimal() else word in text for word in words):
            for transport in ("tcp", "udp"):
                if row.covers(transport) and (count := count + 1) <= MOST_REGISTERED:
                    yield Hit(row.low, transport, None, row.name.lower())


def hit_data(hit: Hit) -> dict[str, Any]:
    """A hit as `ports --json` prints it."""
    return {
        "port": hit.port,
        "transport": hit.transport,
        "service": hit.service,
        "name": hit.name,
        "clusters": list(hit.clusters),
        "risk": {"score": hit.score, "rating": hit.rating} if hit.score is not None else None,
    }
