"""The tables in docs/catalogue.md, made from the records, the risk model and the list of ports that get no byte.

`make fix` renews them; a test fails when they are stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from reconshield.knowledge.ports import HELD_BACK
from reconshield.knowledge.records import STEPS, ServiceEntry
from reconshield.knowledge.risk import CONTEXT
from reconshield.toml import schema

BEGIN, END = "<!-- generated: {} -->", "<!-- end -->"


def generated_blocks() -> dict[str, list[str]]:
    """The generated parts of docs/catalogue.md by name, as lines of Markdown."""
    return {
        "fields": ["| table | key | takes | needed |", "|---|---|---|---|", *_field_rows(ServiceEntry, "")],
        "factors": ["| factor | points |", "|---|---|", *(f"| {name} | {_joined(steps)} |" for name, steps in STEPS.items())],
        "context": [
            "| context | points | sentence | source |",
            "|---|--:|---|---|",
            *(f"| {name} | {rule.points:+} | {rule.template} | {rule.source} |" for name, rule in CONTEXT.items()),
        ],
        "held-back": ["| ports | transports | kind | reason | source |", "|---|---|---|---|---|", *_held_back_rows()],
    }


def _joined(values: tuple[Any, ...]) -> str:
    return " ".join(str(value) for value in values)


def _field_rows(kind: type[Any], table: str) -> Iterator[str]:
    """One row a key; the tables inside a table follow it."""
    inner: list[tuple[type[Any], str]] = []
    for item in fields(kind):
        rule = schema.rule_of(item)
        name = f"{table}.{item.name}".lstrip(".")
        if rule.record is not None:
            shared = rule.record in {kind for kind, _ in inner}
            inner += [] if shared else [(rule.record, f"[[{name}]]" if rule.kind == "records" else name)]
        allowed = rule.allowed().replace("|", "\\|")
        needed = "yes" if item.default is MISSING else f"no ({item.default})" if isinstance(item.default, str) else "no"
        yield f"| {table or 'top'} | {item.name} | {allowed} | {needed} |"
    for record, name in inner:
        yield from _field_rows(record, name.replace("[[", "").replace("]]", ""))


def _held_back_rows() -> Iterator[str]:
    import tomllib

    for row in tomllib.loads(HELD_BACK.read_text(encoding="utf-8"))["held_back"]:
        yield f"| {row['ports']} | {_joined(row['transports'])} | {row['kind']} | {row['reason']} | {row['source']} |"


def fill_blocks(text: str) -> str:
    """The document with every generated block renewed."""
    for name, lines in generated_blocks().items():
        begin = BEGIN.format(name)
        head, found, rest = text.partition(begin)
        if found:
            tail = rest.partition(END)[2]
            text = head + begin + "\n" + "\n".join(lines) + "\n" + END + tail
    return text
