"""The catalogue in short: one JSON file, so that a look-up of one port reads one service file instead of all.

`python -m reconshield.knowledge.index` writes `index.json` beside this module; packaging does the same (hatch_build.py). In
a source checkout the index notes size and time of the files it was made from. When they differ, or there is no index, the
service files are read instead: the same answers, only slower.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from reconshield.model import rating_of

FORMAT = 1
SEARCHED = ("text", "because", "seen", "setting", "question", "family", "cve", "product", "role_text")
"""The fields whose words a search finds."""
FOLDER = Path(__file__).parent
INDEX = FOLDER / "index.json"


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """An endpoint of a service with its base rating. `position` counts the endpoints of the file; 0 is the service's own."""

    service: str
    position: int
    port: int
    transport: str
    tls: str
    role: str
    name: str
    score: int

    @property
    def rating(self) -> str:
        return rating_of(self.score)


@dataclass(frozen=True, slots=True)
class Summary:
    """What look-ups and searches need of a service. `words` is its text in lower case."""

    id: str
    name: str
    full_name: str
    registered: tuple[str, ...]
    aliases: tuple[str, ...]
    clusters: tuple[str, ...]
    products: tuple[str, ...]
    attack: tuple[str, ...]
    own_names: Mapping[str, tuple[int, ...]]
    words: str
    endpoints: tuple[EndpointSummary, ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Every service in short by id, the sources as plain tables, and the endpoints by (port, transport)."""

    services: Mapping[str, Summary]
    sources: Mapping[str, Mapping[str, str]]
    ports: Mapping[tuple[int, str], tuple[EndpointSummary, ...]]

    def at(self, port: int, transport: str) -> tuple[EndpointSummary, ...]:
        """The endpoints on a port, the likelier service first."""
        return self.ports.get((port, transport), ())


@cache
def load_index() -> Index:
    """The index, from its file when that is fresh, else from the service files."""
    return read_index(read_fresh() or build_index())


def read_fresh() -> dict[str, Any] | None:
    """The data of the index file, or None where it is missing, broken, of another format or older than its files."""
    try:
        data: dict[str, Any] = json.loads(INDEX.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    fresh = data.get("format") == FORMAT and data.get("manifest") in (None, manifest())
    return data if fresh else None


def manifest() -> dict[str, list[int]]:
    """Size and time of modification of every file that the index is made from."""
    found = {}
    for path in (*sorted((FOLDER / "services").glob("*.toml")), FOLDER / "sources.toml"):
        if path.exists():
            status = path.stat()
            found[path.name] = [status.st_mtime_ns, status.st_size]
    return found


def build_index(*, packaged: bool = False) -> dict[str, Any]:
    """The index as JSON data. Packaged means that its files cannot change, so that nothing needs to be compared."""
    from reconshield.knowledge.catalog import load_catalog

    noted = None if packaged else manifest()
    catalog = load_catalog()
    return {
        "format": FORMAT,
        "manifest": noted,
        "services": {entry.id: _summarise(entry) for entry in catalog.services.values()},
        "sources": {
            name: {
                "publisher": row.publisher,
                "title": row.title,
                "date": row.date.isoformat() if row.date else "",
                "url": row.url or "",
            }
            for name, row in catalog.sources.items()
        },
    }


def _summarise(entry: Any) -> dict[str, Any]:
    from reconshield.knowledge.risk import base_risk

    keys = ("id", "name", "full_name", "registered", "aliases", "clusters", "products")
    texts, techniques = _texts_of(entry)
    return {
        **{key: getattr(entry, key) for key in keys},
        "attack": sorted(techniques),
        "own_names": _own_names(entry),
        "words": " ".join(sorted({word for text in texts for word in _words(text)})),
        "endpoints": [
            [row.port, row.transport, row.tls, row.role, row.name or entry.name, base_risk(row).score] for row in entry.endpoint
        ],
    }


def _own_names(entry: Any) -> dict[str, list[int]]:
    """Names that stand for only some ports of the service: `submission` is 587, not all of SMTP."""
    ports: dict[str, list[int]] = {}
    for row in entry.endpoint:
        for name in (*row.registered, *([row.name] if row.name else [])):
            ports.setdefault(name.lower(), []).append(row.port)
    return ports


def _texts_of(entry: Any) -> tuple[list[str], set[str]]:
    """All sentences of an entry, and all ATT&CK ids it names."""
    from reconshield.knowledge.consistency import records_in

    texts: list[str] = []
    techniques: set[str] = set()
    for _, record in records_in(entry, ()):
        texts.extend(value for key in SEARCHED if isinstance(value := getattr(record, key, None), str))
        if isinstance(technique := getattr(record, "attack", None), str):
            techniques.add(technique)
    return texts, techniques


def _words(text: str) -> list[str]:
    cleaned = "".join(char if char.isalnum() or char in "-._" else " " for char in text.lower())
    return [word for raw in cleaned.split() if len(word := raw.strip("-._")) > 2]


def read_index(data: Mapping[str, Any]) -> Index:
    """The records of an index from its JSON data."""
    services = {}
    ports: dict[tuple[int, str], list[EndpointSummary]] = {}
    for name, row in data["services"].items():
        endpoints = tuple(EndpointSummary(name, number, *values) for number, values in enumerate(row["endpoints"]))
        lists = {key: tuple(row[key]) for key in ("registered", "aliases", "clusters", "products", "attack")}
        own = {key: tuple(values) for key, values in row["own_names"].items()}
        services[name] = Summary(
            name, row["name"], row["full_name"], **lists, own_names=own, words=row["words"], endpoints=endpoints
        )
        for endpoint in endpoints:
            ports.setdefault((endpoint.port, endpoint.transport), []).append(endpoint)
    ordered = {key: tuple(sorted(rows, key=lambda row: (row.position, row.service))) for key, rows in ports.items()}
    return Index(services, data["sources"], ordered)


def write_index(path: Path = INDEX, *, packaged: bool = False) -> Path:
    """Build the index and replace the file in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(build_index(packaged=packaged), separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
    return fresh.replace(path)


if __name__ == "__main__":
    written = write_index()
    sys.stdout.write(f"{written.name}: {len(load_index().services)} services, {written.stat().st_size:,} bytes\n")
