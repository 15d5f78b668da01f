"""Column types that hold the same values on SQLite and on PostgreSQL.

`JsonText` writes ASCII-only JSON (a NUL is `\\u0000`), `SafeText` escapes what an engine would refuse; both give back exactly
what was put in. An address is 16 bytes, network order, IPv4 mapped into IPv6: one column, sorted by value on both engines
(`BLOB` and `bytea` compare byte by byte), where two 64-bit halves would need signed arithmetic.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from reconshield.addresses import parse_address, text_of
from reconshield.model import Factor, Risk
from reconshield.store.escape import escape_text, unescape_text


def dump_json(value: Any, *, canonical: bool = False) -> str:
    """ASCII-only JSON; `canonical` sorts the keys, so that equal values are equal texts."""
    return json.dumps(value, default=plain_value, separators=(",", ":"), sort_keys=canonical, allow_nan=False)


def plain_value(value: object) -> Any:
    """Read-only mappings become objects; anything else that JSON does not know is a bug of the caller."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def pack_address(ip: str) -> bytes:
    """`10.77.0.2` or `2001:db8::2` as 16 bytes, IPv4 mapped into IPv6."""
    return parse_address(ip).to_bytes(16, "big")


@lru_cache(4096)  # a host has many ports
def unpack_address(packed: bytes) -> str:
    return text_of(int.from_bytes(packed, "big"))


class JsonText(TypeDecorator[Any]):
    """A JSON value in a text column."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: Dialect) -> str | None:
        return None if value is None else dump_json(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class SafeText(TypeDecorator[str]):
    """Any Python text, also with NUL and lone surrogates."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Dialect) -> str | None:
        return None if value is None else escape_text(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> str | None:
        return None if value is None else unescape_text(value)


class RiskText(TypeDecorator[Risk]):
    """A risk with its factors as JSON in a text column; equal texts are one record, for many endpoints have the same."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Risk | None, _dialect: Dialect) -> str | None:
        return None if value is None else dump_json(asdict(value))

    def process_result_value(self, value: str | None, _dialect: Dialect) -> Risk | None:
        return None if value is None else read_risk(value)


@lru_cache(1024)
def read_risk(stored: str) -> Risk:
    """A risk from its JSON."""
    value = json.loads(stored)
    return Risk(value["score"], value["rating"], tuple(Factor(**factor) for factor in value["factors"]))
