"""The document of the API, for programs (`/api/openapi.json`) and as a page that needs no script (`/api`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from reconshield.web.api.conditions import document
from reconshield.web.api.openapi import make_document
from reconshield.web.door import ApiViewer, Viewer
from reconshield.web.frame import page

ROUTER = APIRouter(include_in_schema=False)
Part = tuple[str, str]
"""A piece of text, and what it is: plain (empty), `code`, or the name of the record that it leads to."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request or a record: where it stands, what it may be, what it means."""

    name: str
    place: str
    kind: tuple[Part, ...]
    required: bool
    text: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A document, or a part of one."""

    name: str
    text: tuple[Part, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One operation as the page shows it. `answers` are status, meaning, and what comes with it."""

    id: str
    method: str
    path: str
    summary: tuple[Part, ...]
    text: tuple[Part, ...]
    role: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answers: tuple[tuple[str, tuple[Part, ...], tuple[Part, ...]], ...]


@ROUTER.get("/api/openapi.json")
def openapi(call: ApiViewer) -> Response:
    """OpenAPI 3.1."""
    return document(call.request, make_document())


@ROUTER.get("/api")
def show_reference(call: Viewer) -> Response:
    """Every operation by noun, then every record."""
    made = make_document()
    nouns: dict[str, list[Shown]] = {}
    for shown, noun in operations(made):
        nouns.setdefault(noun, []).append(shown)
    host = str(call.request.base_url).rstrip("/")
    return page(call, "api.html.j2", "api", title="API", nouns=nouns, records=list(records(made)), host=host)


def operations(made: dict[str, Any]) -> Iterator[tuple[Shown, str]]:
    for path, methods in made["paths"].items():
        for method, entry in methods.items():
            yield shown_of(made, path, method, entry), entry["tags"][0]


def shown_of(made: dict[str, Any], path: str, method: str, entry: dict[str, Any]) -> Shown:
    given = (
        field_of(row["name"], row["in"], row["schema"], row.get("required", False), row) for row in entry.get("parameters", ())
    )
    return Shown(
        id=entry["operationId"],
        method=method.upper(),
        path=path,
        summary=said(entry["summary"]),
        text=said(entry["description"].partition("\n\n")[0]),
        role=entry["x-role"],
        parameters=tuple(given),
        body=tuple(body_of(made, entry)),
        answers=tuple(answers_of(made, entry)),
    )


def records(made: dict[str, Any]) -> Iterator[Record]:
    for name, schema in made["components"]["schemas"].items():
        yield Record(name, said(schema.get("description", "")), tuple(fields_of(schema, "")))


def fields_of(schema: dict[str, Any], place: str) -> Iterator[Field]:
    for name, field in schema.get("properties", {}).items():
        yield field_of(name, place, field, name in schema.get("required", ()), field)


def field_of(name: str, place: str, schema: dict[str, Any], required: bool, about: dict[str, Any]) -> Field:
    return Field(name, place, linked(kind_of(schema)), required, said(about.get("description", "")))


def body_of(made: dict[str, Any], entry: dict[str, Any]) -> Iterator[Field]:
    for media in entry.get("requestBody", {}).get("content", {}).values():
        yield from fields_of(resolved(made, media["schema"]), "body")


def answers_of(made: dict[str, Any], entry: dict[str, Any]) -> Iterator[tuple[str, tuple[Part, ...], tuple[Part, ...]]]:
    for status, given in sorted(entry["responses"].items()):
        row = made["components"]["responses"][status] if "$ref" in given else given
        kinds = [
            kind_of(media["schema"]) if name == "application/json" and len(media["schema"]) == 1 else name
            for name, media in row.get("content", {}).items()
        ]
        yield status, said(row["description"]), linked(", ".join(kinds))


def resolved(made: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    found: dict[str, Any] = made["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


def said(text: str) -> tuple[Part, ...]:
    """A sentence with its code set apart."""
    return tuple((part, "code" if number % 2 else "") for number, part in enumerate(text.split("`")) if part)


def linked(text: str) -> tuple[Part, ...]:
    """A type with the names of records as links."""
    known = make_document()["components"]["schemas"]
    return tuple((part, part if part in known else "") for part in re.split(r"(\w+)", text) if part)


def kind_of(schema: dict[str, Any]) -> str:
    """A schema in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind_of(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    kind = schema.get("type", "anything")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)
