"""JSON Schema from the `TypedDict`s that reports are made of: the published one of JSON Lines, and that of the API.

python -m reconshield.report.schema > docs/schema/jsonl-1.schema.json

A test fails when the file in docs is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from reconshield.report.line_types import LINES

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}
Name = Callable[[Any, dict[Any, Any]], dict[str, Any]]
"""What stands for a record in a schema: the record's own, or a reference to it. Given are the record and its type variables."""


def jsonl_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line: any of the line types, told apart by `type`. Unknown fields are allowed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ReconShield JSON Lines, version 1",
        "oneOf": [schema_of(line) for line in LINES],
    }


def schema_of(hint: Any, name: Name | None = None, known: dict[Any, Any] | None = None) -> dict[str, Any]:  # noqa: PLR0911
    """The schema of a type: one return for each kind. `known` is what type variables stand for."""
    known = known or {}
    if isinstance(hint, TypeVar):
        return schema_of(known[hint], name, known)
    origin, arguments = get_origin(hint), get_args(hint)
    if is_typeddict(origin or hint):
        record = origin or hint
        bound = dict(zip(getattr(record, "__parameters__", ()), arguments, strict=False))
        return name(hint, bound) if name else object_schema(record, None, bound)
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if hint is Any:
        return {}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [each.value for each in hint]}
    if origin is NotRequired:
        return schema_of(arguments[0], name, known)
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(a, name, known) for a in arguments]}
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0], name, known)}
    if origin is dict:
        return {"type": "object"}
    raise TypeError(f"no JSON Schema for {hint!r}")


def object_schema(record: Any, name: Name | None = None, known: dict[Any, Any] | None = None) -> dict[str, Any]:
    """The schema of one record."""
    hints = get_type_hints(record, include_extras=True)
    # With postponed annotations a TypedDict cannot tell by itself which keys are optional; the hints can.
    optional = {field for field, hint in hints.items() if get_origin(hint) is NotRequired}
    return {
        "title": record.__name__,
        "description": (record.__doc__ or "").strip(),
        "type": "object",
        "properties": {field: schema_of(hint, name, known) for field, hint in hints.items()},
        "required": [field for field in hints if field not in optional],
    }


if __name__ == "__main__":
    json.dump(jsonl_schema(), sys.stdout, indent=1)
    sys.stdout.write("\n")
