"""Policy text: the whole policy with every default (`policy show`), one table at a time, or a proposal for new ones.

What is written reads back as the same policy. Values are quoted as TOML's basic strings, so no name from a network can end one.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from reconshield.policy.policy import Policy
from reconshield.policy.records import Schedule
from reconshield.toml.schema import rule_of, ruled

WIDTH = 100
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
UNITS = (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def policy_tables(policy: Policy) -> dict[str, Any]:
    """The policy as plain tables with every default, as JSON and `policy show` have it."""
    named = (
        ("zone", policy.zones),
        ("asset", policy.assets),
        ("expect", policy.expects),
        ("closed", policy.closed),
        ("accept", policy.accepts),
        ("traffic", policy.traffic),
        ("suppress", policy.suppressions),
        ("schedule", policy.schedules),
        ("blackout", policy.blackouts),
        ("channel", policy.channels),
        ("route", policy.routes),
    )
    return {"version": 1} | {name: [table_of(record) for record in records] for name, records in named if records}


def table_of(record: Any) -> dict[str, Any]:
    """One record by the keys of the file; what is not set is left out."""
    table: dict[str, Any] = {}
    for key, item in ruled(type(record)).items():
        value = getattr(record, item.name)
        if rule_of(item).kind == "rest":
            table |= value
        elif rule_of(item).kind == "record" and value is not None:
            table[key] = table_of(value)
        elif value is not None:
            table[key] = list(value) if isinstance(value, tuple) else value
    if isinstance(record, Schedule):
        table["fresh"] = duration_text(record.fresh_seconds)
    return table


def duration_text(seconds: float) -> str:
    """`36h`: the largest unit that goes in without a rest."""
    whole = max(round(seconds), 1)
    return next(f"{whole // size}{unit}" for unit, size in UNITS if whole % size == 0)


def policy_text(policy: Policy) -> str:
    """The policy as TOML."""
    tables = policy_tables(policy)
    parts = [f"version = {tables.pop('version')}\n"]
    parts += [table_text(name, row) for name, rows in tables.items() for row in rows]
    return "\n".join(parts)


def table_text(name: str, table: Mapping[str, Any]) -> str:
    """One `[[name]]` with its keys."""
    return f"[[{name}]]\n" + "".join(f"{line}\n" for key, value in table.items() for line in key_lines(key, value))


def key_lines(key: str, value: Any) -> Iterator[str]:
    """`key = value`; a long list has one entry a line."""
    line = f"{key_text(key)} = {value_text(value)}"
    if isinstance(value, list) and len(line) > WIDTH:
        yield f"{key_text(key)} = ["
        yield from (f"    {value_text(entry)}," for entry in value)
        yield "]"
    else:
        yield line


def key_text(key: str) -> str:
    """A key, in quotes where TOML wants them."""
    return key if BARE_KEY.fullmatch(key) else value_text(key)


def value_text(value: Any) -> str:
    """A value in TOML. `json.dumps` quotes texts as a basic string does, but for DEL, which TOML wants escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key_text(key)} = {value_text(entry)}" for key, entry in value.items())
        return "{ " + inner + " }" if inner else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(value_text(entry) for entry in value) + "]"
    return str(value)
