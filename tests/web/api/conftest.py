"""Programs of every role with tokens, and the promise that every answer is as the document says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from reconshield.web.api.openapi import make_document
from reconshield.web.limits import Allowance, Limits

SCOPES = {"viewer": "read", "analyst": "write", "operator": "scan", "admin": "admin"}


class Program:
    """Talks to the API with a token. Every answer is held against the document."""

    def __init__(self, app: FastAPI, token: str = "") -> None:
        self.client = TestClient(app, base_url="http://127.0.0.1:8110", follow_redirects=False, raise_server_exceptions=False)
        self.token = token
        if token:
            self.client.headers["authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self.client.request(method, path if path.startswith("/api") else f"/api/v1{path}", **more)
        hold_against_document(method, str(answer.request.url.path), answer)
        return answer

    def get(self, path: str, **more: Any) -> Any:
        return self.ask("GET", path, **more)

    def post(self, path: str, document: Any = None, **more: Any) -> Any:
        return self.ask("POST", path, **({"json": document} if document is not None else {}), **more)

    def put(self, path: str, document: Any, **more: Any) -> Any:
        return self.ask("PUT", path, json=document, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self.ask("DELETE", path, **more)

    def all(self, path: str, **query: Any) -> list[Any]:
        """Every row of a list, page by page."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            part = self.get(path, params=query | ({"cursor": cursor} if cursor else {}))
            assert part.status_code == 200, part.text
            found += part.json()["items"]
            cursor = part.json()["next"]
            if cursor is None:
                return found


def hold_against_document(method: str, path: str, answer: Any) -> None:
    """The status is announced, the kind is the announced one, the content fits its schema."""
    document = make_document()
    assert answer.status_code != 500, answer.text
    operation = find_operation(document, method, path)
    if operation is None:
        assert answer.status_code in {404, 405}
        return
    announced = operation["responses"].get(str(answer.status_code))
    assert announced is not None, f"{method} {path} is not said to give {answer.status_code}: {answer.text[:300]}"
    if "$ref" in announced:
        announced = document["components"]["responses"][announced["$ref"].rpartition("/")[2]]
    content = announced.get("content", {})
    if not content:
        assert not answer.content
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content, f"{method} {path} gives {kind}, announced are {list(content)}"
    if kind.endswith("json") and "$ref" in str(content[kind]["schema"]):
        schema = {**content[kind]["schema"], "components": document["components"]}
        faults = [fault.message for fault in Draft202012Validator(schema).iter_errors(answer.json())]
        assert not faults, (method, path, faults[:3])


def find_operation(document: dict[str, Any], method: str, path: str) -> Any:
    for template, methods in document["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in methods:
            fixed = "{" not in template or template not in document["paths"]
            if fixed or path not in document["paths"]:
                return methods[method.lower()]
    return None


@pytest.fixture
def generous(app: FastAPI) -> FastAPI:
    """The app for tests that ask more than a program may."""
    app.state.limits = Limits(Allowance("visitor", 100_000, 1000.0), Allowance("address", 100_000, 1000.0))
    return app


@pytest.fixture
def program(generous: FastAPI, person: Callable[..., Any]) -> Callable[..., Program]:
    """Makes a program that acts in a role in a workspace."""

    def make(role: str = "viewer", workspace: str = "main") -> Program:
        somebody = person(role, workspace)
        wish = {"name": f"test of {role}", "scopes": [SCOPES[role]]}
        made = somebody.client.post("/api/v1/tokens", json=wish, headers={"x-csrf-token": somebody.csrf})
        assert made.status_code == 201, made.text
        return Program(generous, made.json()["token"])

    return make


@pytest.fixture
def nobody(generous: FastAPI) -> Program:
    return Program(generous)
