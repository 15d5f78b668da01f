"""The OpenAPI document, made from the routes: nothing is written twice, so it cannot say anything else than the code.

path and query       FastAPI reads them from the handlers
documents sent       the schema of the handler's wish
documents given      the schema of the `TypedDict` that the handler returns
failures             problem+json, one component for all
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from inspect import cleandoc
from typing import Any, get_args, get_origin

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import Response

from reconshield import __version__
from reconshield.access import TOKEN_SCOPES, Role
from reconshield.report.schema import object_schema, schema_of
from reconshield.web.api.router import Operation
from reconshield.web.door import Door

ABOUT = (
    "Service-exposure intelligence for programs: the same as the command line, and the same objects that it prints as JSON. "
    "Measure only what you may: a scan takes a grant, and nothing is exempt from that here.\n\n"
    "Sign in with a token of the account page (`Authorization: Bearer rs_…`). Lists come in pages: `next` is the cursor of the "
    "following one. Every document has an ETag: `If-None-Match` spares its transfer, `If-Match` a change over somebody "
    "else's. What starts or makes something takes an `Idempotency-Key`, under which it happens once in a day. Failures are "
    "`application/problem+json` with what is wrong (`detail`), where, and what to do next."
)
PROBLEM = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457): what, where, next.",
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "where": {"type": ["string", "null"]},
        "next": {"type": ["string", "null"]},
        "notes": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["type", "title", "status", "detail", "instance", "where", "next", "notes"],
}
SAID = {
    200: "The document.",
    201: "It was made; `Location` says where it is.",
    202: "It has begun; `Location` says where to watch it.",
    204: "Done; there is nothing to say.",
    304: "You have it already (`If-None-Match`).",
    400: "The request is no HTTP that can be read.",
    401: "Nobody is signed in.",
    403: "The role does not reach, no grant allows it, or the request came from a foreign page.",
    404: "There is no such thing in this workspace.",
    405: "This address does not take this method.",
    408: "The body did not arrive in time.",
    409: "It is not in a state for that now.",
    412: "It was changed in the meantime (`If-Match`).",
    413: "The body is too large.",
    415: "The body is of a kind that is not taken here.",
    422: "Something in the request is wrong; `where` names it.",
    428: "This change needs a condition (`If-Match`).",
    429: "Too many requests; `Retry-After` says how long to wait.",
    503: "The database cannot be reached.",
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Under one key this happens once in 24 hours; a repetition gets the same answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
}
Schemas = dict[str, Any]


@cache
def make_document() -> dict[str, Any]:
    """The document of this version."""
    from reconshield.web.api import NOUNS

    routes = [route for noun in NOUNS for route in noun.routes if isinstance(route, APIRoute)]
    made = get_openapi(title="ReconShield", version=__version__, description=ABOUT, routes=routes)
    schemas: Schemas = {"Problem": PROBLEM}
    schemas |= {name: found for name, found in made["components"]["schemas"].items() if "ValidationError" not in name}
    records: dict[str, Any] = {}
    for route in routes:
        for method in route.methods or ():
            describe(made["paths"][route.path][method.lower()], route, method, Shapes(schemas, records))
    made["components"] = {
        "schemas": dict(sorted(schemas.items())),
        "responses": failures(),
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer", "description": "A token of the account page."},
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": "rs_session",
                "description": "With X-CSRF-Token for changes.",
            },
        },
    }
    made["security"] = [{"token": []}, {"session": []}]
    return made


@dataclass(frozen=True, slots=True)
class Shapes:
    """The components so far, and the record that each name stands for: two records of one name would be one schema."""

    schemas: Schemas
    records: dict[str, Any]

    def refer(self, hint: Any, bound: dict[Any, Any]) -> dict[str, Any]:
        """Puts a record among the components once, and gives the reference."""
        record = get_origin(hint) or hint
        name = record.__name__ + "".join(f"Of{part_name(part)}" for part in get_args(hint))
        if self.records.setdefault(name, hint) != hint:
            raise TypeError(f"two records are called {name}")
        if name not in self.schemas:
            self.schemas[name] = {}
            self.schemas[name] = object_schema(record, self.refer, bound) | {"title": name}
        return {"$ref": f"#/components/schemas/{name}"}


def describe(entry: dict[str, Any], route: APIRoute, method: str, shapes: Shapes) -> None:
    """Fill in what FastAPI cannot know of one operation."""
    operation: Operation = route.endpoint.__dict__["operation"]
    role = role_of(route)
    text = cleandoc(route.endpoint.__doc__ or "")
    entry["summary"] = text.partition(". ")[0].partition("\n")[0].rstrip(".:")
    entry["description"] = f"{text}\n\nFor the role {role} and above; a token needs the scope {scope_of(role)}."
    entry["x-role"] = role.value
    if operation.once:
        entry.setdefault("parameters", []).append(KEY)
    if operation.wish is not None:
        entry["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": wish_schema(operation, shapes.schemas)}},
        }
    elif operation.files:
        entry["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": form_schema(operation)}}}
    entry["responses"] = responses(operation, route, method, shapes)


def responses(operation: Operation, route: APIRoute, method: str, shapes: Shapes) -> dict[str, Any]:
    found: dict[str, Any] = {str(operation.status): {"description": SAID[operation.status]} | content_of(operation, shapes)}
    for status in failures_of(operation, route, method):
        found[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return found


def failures() -> dict[str, Any]:
    """The failures that operations refer to; 304 is none and brings nothing."""
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        str(status): {"description": said} | ({"content": problem} if status != 304 else {})
        for status, said in SAID.items()
        if status >= 300
    }


def content_of(operation: Operation, shapes: Shapes) -> dict[str, Any]:
    """What comes back. Of other JSON than ours (SARIF, STIX, tickets) the document says only that it is JSON."""
    if operation.media:
        texts = {name: {} if name.endswith("json") else {"type": "string"} for name in operation.media}
        return {"content": {name: {"schema": text | {"description": operation.media[name]}} for name, text in texts.items()}}
    if operation.gives is None or operation.status == 204:
        return {}
    if isinstance(operation.gives, type) and issubclass(operation.gives, Response):
        raise TypeError("a route that gives no JSON must say what it gives: @media")
    return {"content": {"application/json": {"schema": schema_of(operation.gives, shapes.refer)}}}


def failures_of(operation: Operation, route: APIRoute, method: str) -> Iterator[int]:
    """The failures that this route can have, beside those that any server can."""
    if method == "GET" and not operation.media:
        yield 304
    yield from (401, 403)
    if "{" in route.path:
        yield 404
    if method != "GET":
        yield from (409, 412)
    if operation.wish is not None or operation.files:
        yield from (400, 408, 413, 415)
    yield 422
    if method == "PUT":
        yield 428
    yield from (429, 503)


def part_name(hint: Any) -> str:
    return str(getattr(hint, "__name__", None) or "Or".join(part_name(part) for part in get_args(hint)))


def wish_schema(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    assert operation.wish is not None  # noqa: S101 - the caller has looked
    made = operation.wish.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(made.pop("$defs", {}))
    schemas[operation.wish.__name__] = made
    return {"$ref": f"#/components/schemas/{operation.wish.__name__}"}


def form_schema(operation: Operation) -> dict[str, Any]:
    """A form of files and texts: fields whose description begins with `File` carry files."""
    fields = {
        name: {"type": "string", "description": said}
        | ({"contentMediaType": "application/octet-stream"} if is_file(said) else {})
        for name, said in operation.files.items()
    }
    return {
        "type": "object",
        "properties": fields,
        "required": [name for name, said in operation.files.items() if is_file(said)][:1],
    }


def is_file(said: str) -> bool:
    return bool(re.match(r"(File|Files)\b", said))


def role_of(route: APIRoute) -> Role:
    for found in route.dependant.dependencies:
        if isinstance(found.call, Door) and found.call.role is not None:
            return found.call.role
    raise TypeError(f"{route.path} has no door")


def scope_of(role: Role) -> str:
    """The least scope of a token that reaches a role."""
    return next(scope for scope, reached in TOKEN_SCOPES.items() if reached.covers(role))
