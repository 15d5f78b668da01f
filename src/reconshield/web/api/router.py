"""A router whose routes say in their signature all that the document of the API needs.

    call, page, …        what FastAPI fills in: the door, the query, the path
    wish: SomeWish       the JSON document of the request, read after the door has let it in
    -> SomeDict          what comes back: a `TypedDict` of the report or of a noun, `Page[…]`, a list of them, `Made[…]`, None
    -> Response          anything but JSON; `@media` says what

A handler raises `UserError`; `web.failures` makes problem+json of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from reconshield.errors import UserError
from reconshield.web.api.conditions import document, encode
from reconshield.web.api.once import do_once
from reconshield.web.api.wishes import Wish, read_wish
from reconshield.web.call import Call

PREFIX = "/api/v1"
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """Something that was made, and where it can be read from now on."""

    value: T
    location: str


@dataclass(frozen=True, slots=True)
class Operation:
    """What the document says of a route beyond its parameters. `gives` is None where nothing comes back."""

    gives: Any
    wish: type[Wish] | None
    status: int
    once: bool
    media: Mapping[str, str]
    files: Mapping[str, str]


class Api(APIRouter):
    """The routes of one noun."""

    def __init__(self, noun: str) -> None:
        super().__init__(prefix=PREFIX, tags=[noun])

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        operation = read_operation(endpoint, given.get("status_code") or 200)
        options = given | {"response_model": None, "operation_id": endpoint.__name__}
        super().add_api_route(path, answering(endpoint, operation), **options)


def once(endpoint: F) -> F:
    """The route starts or makes something: under one Idempotency-Key that happens once."""
    endpoint.__dict__["once"] = True
    return endpoint


def media(kinds: Mapping[str, str]) -> Callable[[F], F]:
    """The route gives these media types, and what each is."""

    def mark(endpoint: F) -> F:
        endpoint.__dict__["media"] = kinds
        return endpoint

    return mark


def takes_files(**fields: str) -> Callable[[F], F]:
    """The route takes a form with files; the fields and what each is for."""

    def mark(endpoint: F) -> F:
        endpoint.__dict__["files"] = fields
        return endpoint

    return mark


def read_operation(endpoint: Callable[..., Any], status: int) -> Operation:
    hints = get_type_hints(endpoint)
    gives = hints.get("return")
    wish = next((hint for hint in hints.values() if isinstance(hint, type) and issubclass(hint, Wish)), None)
    return Operation(
        gives=get_args(gives)[0] if get_origin(gives) is Made else None if gives is type(None) else gives,
        wish=wish,
        status=status,
        once=getattr(endpoint, "once", False),
        media=getattr(endpoint, "media", {}),
        files=getattr(endpoint, "files", {}),
    )


def answering(endpoint: Callable[..., Any], operation: Operation) -> Callable[..., Response]:
    """The handler as FastAPI sees it: without the document of the request, and with a whole response."""
    signature = inspect.signature(endpoint, eval_str=True)
    name = next((each.name for each in signature.parameters.values() if each.annotation is operation.wish), None)

    known = questions_of(signature)

    @wraps(endpoint)
    def answer(**given: Any) -> Response:
        call: Call = given["call"]
        refuse_unknown(call.request, known)
        if name is not None and operation.wish is not None:
            given[name] = read_wish(call, operation.wish)

        def work() -> Response:
            return respond(call.request, endpoint(**given), operation.status)

        return do_once(call, work) if operation.once else work()

    seen = [each for each in signature.parameters.values() if each.name != name]
    answer.__dict__["__signature__"] = signature.replace(parameters=seen)
    answer.__dict__["operation"] = operation
    return answer


def questions_of(signature: inspect.Signature) -> frozenset[str]:
    """What a route may be asked in its query, and names that its path and headers have."""
    names = set(signature.parameters) - {"call"}
    return frozenset(names - {"page"} | {"cursor", "limit"} if "page" in names else names)


def refuse_unknown(request: Request, known: frozenset[str]) -> None:
    """A misspelt filter must not give everything."""
    odd = sorted(set(request.query_params) - known)
    if odd:
        hint = f"it may be asked for {', '.join(sorted(known - set(request.path_params)))}" if known else "ask without it"
        raise UserError("there is no such question", where=", ".join(name[:64] for name in odd[:8]), hint=hint)


def respond(request: Request, value: Any, status: int) -> Response:
    """What a handler gave, as an answer."""
    if isinstance(value, Response):
        return value
    if value is None:
        return Response(status_code=204)
    if isinstance(value, Made):
        headers = {"location": value.location, "cache-control": "no-store"}
        return Response(encode(value.value), status, headers, "application/json")
    if request.method != "GET":
        return Response(encode(value), status, {"cache-control": "no-store"}, "application/json")
    answer = document(request, value)
    if isinstance(value, dict) and value.get("next"):
        query = {name: text for name, text in request.query_params.multi_items() if name != "cursor"}
        follows = urlencode(query | {"cursor": value["next"]})
        answer.headers["link"] = f'<{request.url.path}?{follows}>; rel="next"'
    return answer
