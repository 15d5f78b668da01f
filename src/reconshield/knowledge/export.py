"""The whole catalogue for others: as one JSON document with a published schema, and its endpoints as CSV.

The version of the format grows when a reader could break; the version of the content is that of the package and of its data.
"""

from __future__ import annotations

import copy
import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

from reconshield import __version__
from reconshield.knowledge.catalog import Catalog, attack_names
from reconshield.knowledge.records import CLUSTERS, STEPS, EndpointEntry, ServiceEntry, Source
from reconshield.knowledge.risk import base_risk
from reconshield.knowledge.sections import data_dates
from reconshield.toml import schema

FORMAT = 1
SCHEMA = f"catalogue-{FORMAT}.schema.json"
COLUMNS = (
    "port", "transport", "service", "name", "full_name", "registered", "tls", "role", "score", "rating",
    *(f"points_{name}" for name in STEPS),
    "clusters", "products", "attack", "answer", "answer_source",
)  # fmt: skip
RATINGS = ("low", "medium", "high", "critical")


def catalogue_document(catalog: Catalog) -> dict[str, Any]:
    """Everything the catalogue says, each endpoint with its computed score and rating."""
    return {
        "format": FORMAT,
        "version": __version__,
        "data": data_dates(),
        "clusters": list(CLUSTERS),
        "attack": dict(attack_names()),
        "sources": {name: _plain(asdict(source)) for name, source in sorted(catalog.sources.items())},
        "services": [_service(entry) for _, entry in sorted(catalog.services.items())],
    }


def _service(entry: ServiceEntry) -> dict[str, Any]:
    data: dict[str, Any] = _plain(asdict(entry))
    for row, endpoint in zip(data["endpoint"], entry.endpoint, strict=True):
        risk = base_risk(endpoint)
        row |= {"score": risk.score, "rating": risk.rating}
    return data


def _plain(value: Any) -> Any:
    """Without what is left out, with dates as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None and item != ()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def catalogue_json(catalog: Catalog) -> str:
    return json.dumps(catalogue_document(catalog), indent=1, ensure_ascii=False) + "\n"


def catalogue_csv(catalog: Catalog) -> str:
    """One row an endpoint; lists are separated by spaces, products by semicolons. A spreadsheet runs none of it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for entry, endpoint in catalog.endpoints:
        writer.writerow([_cell(value) for value in _row(entry, endpoint)])
    return out.getvalue()


def _row(entry: ServiceEntry, endpoint: EndpointEntry) -> Iterator[Any]:
    risk, points = base_risk(endpoint), {name: factor.points for name, factor in endpoint.risk.listed()}
    yield from (endpoint.port, endpoint.transport, entry.id, endpoint.name or entry.name, entry.full_name)
    yield from (" ".join(entry.registered), endpoint.tls, endpoint.role, risk.score, risk.rating)
    yield from (points.get(name, 0) for name in STEPS)
    yield from (" ".join(entry.clusters), "; ".join(entry.products), " ".join(sorted({row.attack for row in entry.abuse})))
    yield from (entry.answer.text, entry.answer.source)


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would read as a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


def catalogue_schema() -> dict[str, Any]:
    """The JSON Schema of the document, made from the records."""
    service = copy.deepcopy(schema.describe(ServiceEntry))
    endpoint = service["properties"]["endpoint"]["items"]
    endpoint["properties"] |= {"score": {"type": "integer", "minimum": 0, "maximum": 100}, "rating": {"enum": list(RATINGS)}}
    endpoint["required"] += ["score", "rating"]
    text = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"ReconShield catalogue, format {FORMAT}",
        "type": "object",
        "required": ["format", "version", "data", "clusters", "attack", "sources", "services"],
        "properties": {
            "format": {"const": FORMAT},
            "version": text,
            "data": {"type": "object", "additionalProperties": text},
            "clusters": {"type": "array", "items": text},
            "attack": {"type": "object", "additionalProperties": text},
            "sources": {"type": "object", "additionalProperties": schema.describe(Source)},
            "services": {"type": "array", "items": service},
        },
    }
