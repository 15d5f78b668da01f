"""The published JSON Schema of JSON Lines, made from the `TypedDict`s in `lines`; a test fails when the file in docs is stale.

python -m reconshield.report.schema > docs/schema/jsonl-1.schema.json
"""

from __future__ import annotations

import json
import sys
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from reconshield.report.line_types import LINES

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def jsonl_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one line: any of the line types, told apart by `type`. Unknown fields are allowed."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ReconShield JSON Lines, version 1",
        "oneOf": [_schema_of(line) for line in LINES],
    }


def _schema_of(hint: Any) -> dict[str, Any]:  # noqa: PLR0911 - one return for each kind of hint
    if is_typeddict(hint):
        return _object_schema(hint)
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return _schema_of(arguments[0])
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return {"anyOf": [_schema_of(a) for a in arguments]}
    if origin is list:
        return {"type": "array", "items": _schema_of(arguments[0])}
    if origin is dict:
        return {"type": "object"}
    raise TypeError(f"no JSON Schema for {hint!r}")


def _object_schema(record: Any) -> dict[str, Any]:
    hints = get_type_hints(record, include_extras=True)
    # With postponed annotations a TypedDict cannot tell by itself which keys are optional; the hints can.
    optional = {name for name, hint in hints.items() if get_origin(hint) is NotRequired}
    return {
        "title": record.__name__,
        "description": (record.__doc__ or "").strip(),
        "type": "object",
        "properties": {name: _schema_of(hint) for name, hint in hints.items()},
        "required": [name for name in hints if name not in optional],
    }


if __name__ == "__main__":
    json.dump(jsonl_schema(), sys.stdout, indent=1)
    sys.stdout.write("\n")
