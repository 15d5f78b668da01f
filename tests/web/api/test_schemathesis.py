"""Documents, paths and questions that schemathesis makes from the document: every answer is an announced one, none a crash.

Targets are put in by hand: a made-up name would be looked up outside of this machine. Nothing is measured, because there is no
grant for what is asked; proofs are left out, because each makes a network of its own. Every other question is about something
that is there, else most would end at the first 404.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    use_after_free,
)

from web.api.test_alerts import raise_some
from web.api.test_policy import save
from web.api.test_reports import POLICY, take_in

pytestmark = pytest.mark.system
Make = Callable[..., Any]
EXAMPLES = 10
LEFT_OUT = {"prove_rules", "examine_server", "explain_open_port", "watch_scan"}
TARGETS = ("targets", "exclude", "on", "allow", "deny", "sources")
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    use_after_free,
)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
def test_whatever_is_asked_is_answered_as_announced(program: Make, generous: FastAPI, site: Any, mode: GenerationMode) -> None:
    admin = program("admin")
    known = {"run": take_in(admin).json()["run"]["id"], "port": "pop3", "address": "192.0.2.7", "alert": "a2"}
    known |= {"before": known["run"], "endpoint": "192.0.2.7:110", "account": "admin-main"}
    save(admin, POLICY)
    raise_some(site, 3)
    auth = {"Authorization": f"Bearer {admin.token}"}
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", generous, headers=auth)
    asked = 0
    for operation in operations(schema):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            keep_inside(case)
            if asked % 2 and case.method != "DELETE":
                point_at(case, known)
            case.call_and_validate(headers=auth, checks=CHECKS)

        ask()
    assert asked > 100


def operations(schema: Any) -> Iterator[Any]:
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.definition.raw["operationId"] not in LEFT_OUT:
            yield operation


def point_at(case: Any, known: dict[str, str]) -> None:
    """Ask for things that are there, and change what was read."""
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known.get(name, case.path_parameters[name])
    if case.method == "PUT":
        case.headers["If-Match"] = "*"


def keep_inside(case: Any) -> None:
    """Put an address for documentation where targets are asked for."""
    if isinstance(case.body, dict):
        for name in TARGETS:
            if isinstance(case.body.get(name), list):
                case.body[name] = ["192.0.2.1"] if case.body[name] else []
