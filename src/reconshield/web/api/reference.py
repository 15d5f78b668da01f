"""The document of the API, for programs (`/api/openapi.json`) and as a page that needs no script (`/api`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response

from reconshield.web.api.conditions import document
from reconshield.web.api.openapi import make_document
from reconshield.web.door import ApiViewer, Viewer
from reconshield.web.frame import page

ROUTER = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A field of a request: where it stands, what it may be, what it means."""

    name: str
    place: str
    kind: str
    required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    role: str
    parameters: tuple[Parameter, ...]
    body: tuple[Parameter, ...]
    answers: tuple[tuple[str, str, str], ...]


@ROUTER.get("/api/openapi.json")
def openapi(call: ApiViewer) -> Response:
    """OpenAPI 3.1."""
    return document(call.request, make_document())


@ROUTER.get("/api")
def show_reference(call: Viewer) -> Response:
    """Every operation, by noun."""
    made = make_document()
    nouns: dict[str, list[Shown]] = {}
    for shown, noun in operations(made):
        nouns.setdefault(noun, []).append(shown)
    host = str(call.request.base_url).rstrip("/")
    return page(call, "api.html.j2", "api", title="API", nouns=nouns, host=host)


def operations(made: dict[str, Any]) -> Iterator[tuple[Shown, str]]:
    for path, methods in made["paths"].items():
        for method, entry in methods.items():
            yield shown_of(made, path, method, entry), entry["tags"][0]


def shown_of(made: dict[str, Any], path: str, method: str, entry: dict[str, Any]) -> Shown:
    given = tuple(
        Parameter(row["name"], row["in"], kind_of(row["schema"]), row.get("required", False), row.get("description", ""))
        for row in entry.get("parameters", ())
    )
    return Shown(
        id=entry["operationId"],
        method=method.upper(),
        path=path,
        summary=entry["summary"],
        text=entry["description"].partition("\n\n")[0],
        role=entry["x-role"],
        parameters=given,
        body=tuple(body_of(made, entry)),
        answers=tuple(answers_of(made, entry)),
    )


def body_of(made: dict[str, Any], entry: dict[str, Any]) -> Iterator[Parameter]:
    for media in entry.get("requestBody", {}).get("content", {}).values():
        schema = resolved(made, media["schema"])
        for name, field in schema["properties"].items():
            yield Parameter(name, "body", kind_of(field), name in schema.get("required", ()), field.get("description", ""))


def answers_of(made: dict[str, Any], entry: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Status, what it means, and what comes with it."""
    for status, given in entry["responses"].items():
        row = made["components"]["responses"][status] if "$ref" in given else given
        kinds = [
            kind_of(media["schema"]) if name == "application/json" else name for name, media in row.get("content", {}).items()
        ]
        yield status, row["description"], ", ".join(kinds)


def resolved(made: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    found: dict[str, Any] = made["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


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
