"""Every route × every role × a stranger × another workspace: nobody gets further than they may, and nothing leaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reconshield.access import Role
from reconshield.web.api.openapi import make_document

Make = Callable[..., Any]
GIVEN = {
    "run": "20261123-130402-9c1f",
    "grant": "g1",
    "alert": "a1",
    "port": "110",
    "number": "1",
    "channel": "soc",
    "before": "20261123-130402-9c1f",
    "id": "0123456789abcdef",
}
UNKNOWN = "nothing-of-this-name"


def operations() -> Iterator[tuple[str, str, str]]:
    """Method, path with something in every place, least role."""
    for path, methods in make_document()["paths"].items():
        for method, entry in methods.items():
            filled = re.sub(r"\{(\w+)\}", lambda found: GIVEN.get(found[1], UNKNOWN), path)
            yield method.upper(), filled, entry["x-role"]


def test_the_document_has_every_route() -> None:
    found = list(operations())
    assert len(found) >= 48
    assert len({entry["operationId"] for methods in make_document()["paths"].values() for entry in methods.values()}) == len(
        found
    )


def test_a_stranger_gets_nowhere(nobody: Any) -> None:
    for method, path, _ in operations():
        answer = nobody.ask(method, path, content=b'{"broken":')
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert nobody.ask(method, path, headers={"authorization": "Bearer rs_wrong"}).status_code == 401


@pytest.mark.parametrize("role", list(Role))
def test_a_role_gets_as_far_as_it_reaches(program: Make, role: str) -> None:
    program("admin")
    somebody = program(role)
    for method, path, least in operations():
        answer = somebody.ask(method, path, content=b"" if method in {"GET", "DELETE"} else b'{"nonsense": 1}')
        if Role(role).covers(Role(least)):
            assert answer.status_code != 401, (method, path)
            assert answer.status_code != 403 or "token cannot" in answer.text, (method, path, answer.text)
        else:
            assert answer.status_code == 403, (method, path)


def test_a_session_must_prove_that_a_page_of_ours_asks(person: Make) -> None:
    admin = person("admin")
    wish = {"targets": ["192.0.2.1"], "by": "Ada"}
    assert admin.client.post("/api/v1/grants", json=wish).status_code == 403
    assert admin.client.post("/api/v1/grants", json=wish, headers={"x-csrf-token": admin.csrf}).status_code == 201
    assert admin.client.get("/api/v1/grants").status_code == 200


def test_another_workspace_is_as_if_it_were_not_there(program: Make) -> None:
    admin, foreign = program("admin"), program("admin", "other")
    admin.post("/grants", {"targets": ["192.0.2.77"], "by": "Ada Secret"})
    for path in ("/grants", "/audit", "/scans", "/exposures", "/alerts", "/members", "/tokens", "/me", "/assets", "/findings"):
        assert "Secret" not in foreign.get(path).text
        assert "192.0.2.77" not in foreign.get(path).text
        assert "admin-main" not in foreign.get(path).text
    unknown = foreign.get("/grants/g99")
    foreign_one = foreign.get("/grants/g1")
    assert foreign_one.status_code == 404
    assert foreign_one.json() == unknown.json() | {"instance": "/api/v1/grants/g1"}
    assert foreign.post("/grants/g1/revoke").status_code == 404
    assert admin.get("/grants/g1").json()["state"] == "valid"
    assert foreign.put("/members/admin-main", {"role": "viewer"}).status_code == 404


def test_only_a_person_makes_keys_and_changes_members(program: Make, person: Make) -> None:
    token = program("admin")
    person("viewer")
    assert token.post("/tokens", {"name": "more", "scopes": ["read"]}).status_code == 403
    assert token.put("/members/viewer-main", {"role": "admin"}).status_code == 403
    assert token.post("/invitations", {"role": "admin"}).status_code == 403
    admin = person("admin")
    csrf = {"x-csrf-token": admin.csrf}
    seen = admin.client.get("/api/v1/members/viewer-main")
    stale = admin.client.put("/api/v1/members/viewer-main", json={"role": "operator"}, headers=csrf | {"if-match": '"x"'})
    assert stale.status_code == 412
    done = admin.client.put(
        "/api/v1/members/viewer-main", json={"role": "operator"}, headers=csrf | {"if-match": seen.headers["etag"]}
    )
    assert done.json()["role"] == "operator"
    invited = admin.client.post("/api/v1/invitations", json={"role": "viewer"}, headers=csrf)
    assert invited.json()["path"].startswith("/setup/")
    mine = admin.client.get("/api/v1/tokens").json()["items"]
    assert all("token" not in row for row in mine)
    assert admin.client.delete(f"/api/v1/tokens/{mine[0]['id']}", headers=csrf).status_code == 204
    assert token.get("/me").status_code == 401


def test_a_token_acts_as_its_scope_and_not_as_its_owner(person: Make, generous: Any) -> None:
    from web.api.conftest import Program

    admin = person("admin")
    wish = {"name": "reader", "scopes": ["read"]}
    made = admin.client.post("/api/v1/tokens", json=wish, headers={"x-csrf-token": admin.csrf}).json()
    reader = Program(generous, made["token"])
    assert reader.get("/me").json() == {
        "account": "admin-main",
        "role": "viewer",
        "workspace": "main",
        "via": "token",
        "scopes": ["read"],
    }
    assert reader.post("/grants", {"targets": ["192.0.2.1"], "by": "Ada"}).status_code == 403
