"""How a table of TOML becomes a frozen record: one rule a field, read by the loader and by the JSON Schema alike.

A record class is a frozen dataclass whose fields are made by the functions below (`takes.text(longest=200)`). `read` walks
such a class over a table and gathers one `Fault` for each mistake; `describe` turns the same class into JSON Schema. So the
loader, the published schema and the documentation cannot differ. A field without a rule is not read: its class computes it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

from reconshield.toml.statements import Path

__all__ = ["Fault", "Path", "Rule", "describe", "read", "rule_of"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a file: where it stands, what is wrong, and what is allowed there."""

    path: Path
    message: str
    allowed: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one field takes. `kind` is text, integer, flag, date, texts, record, records or rest.

    `key` is the key in the file where it cannot be the field's name (`from`). `single` lets one text stand for a list of one.
    """

    kind: str
    choices: tuple[Any, ...] = ()
    pattern: str = ""
    longest: int = 0
    low: int = 0
    high: int = 0
    record: type[Any] | None = None
    narrow: Mapping[str, tuple[int, ...]] | None = None
    key: str = ""
    single: bool = False

    def allowed(self) -> str:
        """What is allowed, in words."""
        if self.choices:
            return "one of " + ", ".join(str(choice) for choice in self.choices)
        if self.kind == "integer":
            return f"a whole number from {self.low} to {self.high}"
        texts = "a text or a list of texts" if self.single else "a list of texts"
        words = {"text": "a text", "flag": "true or false", "date": "a date such as 2026-02-13", "texts": texts}
        limits = (f" of at most {self.longest} characters" if self.longest else "") + (
            f" like {self.pattern}" if self.pattern else ""
        )
        return words.get(self.kind, "a table" if self.kind == "record" else "a list of tables") + limits


def _field(rule: Rule, optional: bool, default: Any) -> Any:
    return field(default=default, metadata={"rule": rule}) if optional else field(metadata={"rule": rule})


def text(
    *, longest: int = 0, pattern: str = "", choices: Sequence[str] = (), optional: bool = False, default: str | None = None
) -> Any:
    """A text that is not empty. Optional means None, or `default` where one is given."""
    return _field(Rule("text", tuple(choices), pattern, longest), optional or default is not None, default)


def integer(*, low: int = 0, high: int = 0, choices: Sequence[int] = (), optional: bool = False) -> Any:
    return _field(Rule("integer", tuple(choices), low=low, high=high), optional, None)


def flag() -> Any:
    """True or false; left out means false."""
    return _field(Rule("flag"), True, False)


def date(*, optional: bool = True) -> Any:
    """A TOML date or time; left out means None."""
    return _field(Rule("date"), optional, None)


def texts(
    *,
    choices: Sequence[str] = (),
    pattern: str = "",
    optional: bool = True,
    single: bool = False,
    key: str = "",
    default: tuple[str, ...] = (),
) -> Any:
    """A list of different texts; left out means none, or `default`."""
    return _field(Rule("texts", tuple(choices), pattern, key=key, single=single), optional, default)


def rest() -> Any:
    """All keys of the table that no other field takes, as they are."""
    return field(default_factory=dict, metadata={"rule": Rule("rest")})


def record(kind: type[Any], *, optional: bool = False, narrow: Mapping[str, tuple[int, ...]] | None = None) -> Any:
    """A sub-table. `narrow` allows only some values for fields inside it."""
    return _field(Rule("record", record=kind, narrow=narrow), optional, None)


def records(kind: type[Any], *, optional: bool = True) -> Any:
    """An array of tables; left out means none."""
    return _field(Rule("records", record=kind), optional, ())


def rule_of(item: Field[Any]) -> Rule:
    rule: Rule = item.metadata["rule"]
    return rule


def ruled(kind: type[Any]) -> dict[str, Field[Any]]:
    """The fields of a record class that stand in the file, by their key there."""
    return {rule_of(item).key or item.name: item for item in fields(kind) if "rule" in item.metadata}


def read(kind: type[Any], table: object, path: Path, faults: list[Fault], narrow: Mapping[str, Any] | None = None) -> Any:
    """A record of class `kind` from a TOML table, or None when it has a fault; every fault is appended to `faults`."""
    if not isinstance(table, Mapping):
        faults.append(Fault(path, "a table is needed here", "a table"))
        return None
    known = ruled(kind)
    before, values = len(faults), {}
    unknown = {key: value for key, value in table.items() if key not in known}
    for key, item in known.items():
        rule = rule_of(item)
        if narrow and key in narrow:
            rule = Rule(rule.kind, choices=narrow[key])
        if rule.kind == "rest":
            values[item.name], unknown = unknown, {}
        elif key in table:
            values[item.name] = _read_value(rule, table[key], (*path, key), faults)
        elif is_needed(item):
            faults.append(Fault(path, f"the key {key} is missing", rule.allowed()))
    faults.extend(Fault((*path, key), f"unknown key {key}", "one of " + " ".join(known)) for key in unknown)
    return kind(**values) if len(faults) == before else None


def is_needed(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _read_value(rule: Rule, value: object, path: Path, faults: list[Fault]) -> Any:
    if rule.kind == "record":
        assert rule.record is not None  # noqa: S101 - a record rule has its class
        return read(rule.record, value, path, faults, rule.narrow)
    if rule.kind == "records":
        if not isinstance(value, list):
            faults.append(Fault(path, "a list of tables is needed here", f"[[{path[-1]}]]"))
            return ()
        assert rule.record is not None  # noqa: S101 - the same
        return tuple(read(rule.record, entry, (*path, number), faults) for number, entry in enumerate(value))
    if rule.kind == "texts":
        return _read_texts(rule, value, path, faults)
    _check_plain(rule, value, path, faults)
    return value


def _read_texts(rule: Rule, value: object, path: Path, faults: list[Fault]) -> tuple[str, ...]:
    if rule.single and isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        faults.append(Fault(path, "a list of texts is needed here", rule.allowed()))
        return ()
    for entry in value:
        _check_plain(Rule("text", rule.choices, rule.pattern), entry, path, faults)
    if len({str(entry) for entry in value}) < len(value):
        faults.append(Fault(path, "an entry stands twice", "different texts"))
    return tuple(value)


def _check_plain(rule: Rule, value: object, path: Path, faults: list[Fault]) -> None:
    """One fault at most for a text, number, flag or date."""
    name = path[-1] if isinstance(path[-1], str) else path[-2]
    kinds = {"text": str, "integer": int, "flag": bool, "date": dt.date}
    if not isinstance(value, kinds[rule.kind]) or (rule.kind == "integer" and isinstance(value, bool)):
        problem = f"{name} has the wrong type"
    elif rule.choices and value not in rule.choices:
        problem = f"{name} = {value!r} is not allowed"
    elif rule.kind == "integer" and not rule.choices and not rule.low <= int(str(value)) <= rule.high:
        problem = f"{name} = {value} is out of range"
    elif isinstance(value, str) and not value.strip():
        problem = f"{name} is empty"
    elif isinstance(value, str) and value != value.strip():
        problem = f"{name} begins or ends with a space"
    elif isinstance(value, str) and rule.longest and len(value) > rule.longest:
        problem = f"{name} has {len(value)} characters, {len(value) - rule.longest} too many"
    elif isinstance(value, str) and rule.pattern and not re.fullmatch(rule.pattern, value):
        problem = f"{name} = {value!r} has the wrong form"
    else:
        return
    faults.append(Fault(path, problem, rule.allowed()))


def describe(kind: type[Any], narrow: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The JSON Schema of a record class."""
    properties, required, closed = {}, [], True
    for key, item in ruled(kind).items():
        rule = rule_of(item)
        if narrow and key in narrow:
            rule = Rule(rule.kind, choices=narrow[key])
        if rule.kind == "rest":
            closed = False
            continue
        properties[key] = _describe_rule(rule)
        if is_needed(item):
            required.append(key)
    title = (kind.__doc__ or "").strip().split("\n", maxsplit=1)[0]
    return {
        "description": title,
        "type": "object",
        "additionalProperties": not closed,
        "required": required,
        "properties": properties,
    }


def _describe_rule(rule: Rule) -> dict[str, Any]:
    if rule.kind == "record":
        assert rule.record is not None  # noqa: S101 - a record rule has its class
        return describe(rule.record, rule.narrow)
    if rule.kind == "records":
        assert rule.record is not None  # noqa: S101 - the same
        return {"type": "array", "items": describe(rule.record)}
    if rule.kind == "texts":
        one = _describe_rule(Rule("text", rule.choices, rule.pattern))
        many = {"type": "array", "uniqueItems": True, "items": one}
        return {"anyOf": [one, many]} if rule.single else many
    types = {"text": "string", "integer": "integer", "flag": "boolean", "date": "string"}
    schema: dict[str, Any] = {"type": types[rule.kind]}
    if rule.choices:
        schema["enum"] = list(rule.choices)
    elif rule.kind == "integer":
        schema |= {"minimum": rule.low, "maximum": rule.high}
    elif rule.kind == "text":
        schema |= {"minLength": 1} | ({"maxLength": rule.longest} if rule.longest else {})
    if rule.kind == "date":
        schema["format"] = "date"
    if rule.pattern:
        schema["pattern"] = f"^(?:{rule.pattern})$"
    return schema
