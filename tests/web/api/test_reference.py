"""The document and its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jsonschema

from reconshield.report.schema import jsonl_schema
from reconshield.web.api.openapi import make_document

Make = Callable[..., Any]


def test_the_document_is_for_who_is_signed_in(program: Make, nobody: Any, person: Make) -> None:
    assert nobody.client.get("/api/openapi.json").status_code == 401
    answer = program("viewer").client.get("/api/openapi.json")
    assert answer.json()["openapi"].startswith("3.1")
    assert answer.json() == make_document()
    assert nobody.client.get("/api").headers["location"] == "/login"
    page = person("viewer").get("/api").text
    for path, methods in make_document()["paths"].items():
        for entry in methods.values():
            assert f'id="{entry["operationId"]}"' in page, path
    for name in make_document()["components"]["schemas"]:
        assert f'id="{name}"' in page
    assert not set(re.findall(r'href="#([^"]+)"', page)) - set(re.findall(r'id="([^"]+)"', page))


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = make_document()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found: Any = document
                for part in value["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
                assert found
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(document)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_lines_have_the_schema_that_is_published() -> None:
    published = {row["title"]: set(row["properties"]) for row in jsonl_schema()["oneOf"]}
    told = make_document()["components"]["schemas"]
    for name in ("RunLine", "ObservationLine", "ServiceLine", "FindingLine", "ExposureLine", "AlertLine", "ChangeLine"):
        assert set(told[name]["properties"]) == published[name]
