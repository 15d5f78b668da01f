"""The format of the catalogue, published: JSON Schema and the tables in docs/catalogue.md, made from `records`.

`python -m reconshield.knowledge.describe docs` rewrites both; a test fails when they are stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from reconshield.knowledge import schema
from reconshield.knowledge.ports import HELD_BACK
from reconshield.knowledge.records import STEPS, ServiceEntry
from reconshield.knowledge.risk import CONTEXT

BEGIN, END = "<!-- generated: {} -->", "<!-- end -->"


def service_schema() -> str:
    """The JSON Schema of a service file, as text."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ReconShield catalogue: service"}
    return json.dumps(head | schema.describe(ServiceEntry), indent=1, ensure_ascii=False) + "\n"


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


def main() -> None:
    docs = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    (docs / "schema").mkdir(exist_ok=True)
    (docs / "schema" / "service.schema.json").write_text(service_schema(), encoding="utf-8")
    page = docs / "catalogue.md"
    page.write_text(fill_blocks(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
