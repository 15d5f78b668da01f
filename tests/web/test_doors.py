"""Who gets in: every route has a door, forged changes are refused, every answer carries its headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from reconshield.access import Role
from reconshield.web.door import Door
from reconshield.web.pages import ROUTERS as PAGES

OPEN_TO_ALL = {
    "/setup/{code}",
    "/login",
    "/healthz",
    "/static/reconshield.css",
    "/static/{name:path}",
    "/me",
}
"""What needs no account; anything else must ask for a role."""


def routes(app: FastAPI) -> Iterator[APIRoute]:
    """Every route of the app, those of its routers too."""
    waiting: list[Any] = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            yield route
        else:
            router = getattr(route, "original_router", None) or getattr(route, "app", None)
            waiting += getattr(router, "routes", [])


def door_of(route: APIRoute) -> Door | None:
    return next((found.call for found in route.dependant.dependencies if isinstance(found.call, Door)), None)


def test_every_route_has_a_door_and_only_the_known_ones_are_open(app: FastAPI) -> None:
    found = list(routes(app))
    assert len(found) > sum(len(router.routes) for router in PAGES) / 2
    for route in found:
        door = door_of(route)
        assert door is not None, f"{route.path} has no door"
        if door.role is None:
            assert route.path in OPEN_TO_ALL, f"{route.path} is open to everybody"


def test_nobody_sees_a_page_without_signing_in(app: FastAPI, stranger: Any) -> None:
    for route in routes(app):
        door = door_of(route)
        if door is None or door.role is None or "{" in route.path or "GET" not in (route.methods or ()):
            continue
        answer = stranger.get(route.path)
        assert answer.status_code in {303, 401}, route.path
        assert answer.status_code == 401 or answer.headers["location"] == "/login"


@pytest.mark.parametrize("role", ["viewer", "analyst", "operator", "admin"])
def test_a_role_gets_no_further_than_it_reaches(app: FastAPI, person: Callable[..., Any], role: str) -> None:
    somebody = person(role)
    for route in routes(app):
        door = door_of(route)
        if door is None or door.role is None or "{" in route.path:
            continue
        for method in (route.methods or set()) & {"GET", "POST"}:
            answer = somebody.get(route.path) if method == "GET" else somebody.post(route.path, {"csrf": somebody.csrf})
            if Role(role).covers(door.role):
                assert answer.status_code != 403 or "takes the role" not in answer.text, (method, route.path)
            else:
                assert answer.status_code == 403, (method, route.path)
            if route.path == "/logout":
                somebody = person(role)


def test_a_change_without_the_token_of_a_page_is_refused(person: Callable[..., Any]) -> None:
    admin = person("admin")
    grant = {"targets": "127.0.0.1", "by": "Ada", "level": "3"}
    assert admin.client.post("/grants", data=grant).status_code == 403
    assert admin.client.post("/grants", data={**grant, "csrf": "x" * 43}).status_code == 403
    assert admin.post("/grants", grant, headers={"origin": "https://evil.example"}).status_code == 403
    assert admin.post("/grants", grant, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert "Nobody has allowed a scan yet" in admin.get("/grants").text
    assert admin.post("/grants", grant).status_code == 303
    assert "127.0.0.1" in admin.get("/grants").text


def test_a_form_of_another_site_cannot_sign_anybody_in(stranger: Any) -> None:
    answer = stranger.client.post("/login", data={"name": "a", "password": "b"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_every_answer_carries_the_headers(person: Callable[..., Any], stranger: Any) -> None:
    admin = person("admin")
    for answer in (stranger.get("/login"), admin.get("/ports/110"), admin.get("/nowhere"), admin.get("/static/app.js")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert admin.get("/grants").headers["cache-control"] == "no-store"
    assert "immutable" in admin.get("/static/app.js").headers["cache-control"]


def test_pages_have_neither_inline_script_nor_inline_style(person: Callable[..., Any]) -> None:
    admin = person("admin")
    for path in (
        "/ports/110",
        "/ports/12345",
        "/grants",
        "/policy",
        "/account",
        "/settings",
        "/firewall?ports=110",
        "/findings",
    ):
        text = admin.get(path).text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick" not in text
        assert "<script>" not in text


def test_a_body_that_is_too_large_is_refused_before_it_is_read(person: Callable[..., Any]) -> None:
    admin = person("admin")
    answer = admin.post("/policy/check", {"text": "x" * 3_000_000})
    assert answer.status_code == 413
    assert "Nothing was changed" in answer.text


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/vendor/../../app.py", "/static/%2e%2e/app.py", "/static/app.css"]
)
def test_no_path_leads_out_of_the_files_that_are_served(stranger: Any, path: str) -> None:
    assert stranger.get(path).status_code == 404


def test_a_session_ends_with_signing_out(person: Callable[..., Any]) -> None:
    admin = person("admin")
    assert admin.get("/grants").status_code == 200
    assert admin.post("/logout").headers["location"] == "/login"
    assert admin.get("/grants").headers["location"] == "/login"


def test_signing_in_leads_to_the_page_that_was_wanted_and_nowhere_else(
    app: FastAPI, person: Callable[..., Any], stranger: Any
) -> None:
    person("admin")
    assert stranger.get("/grants").headers["location"] == "/login"
    fields = {"name": "admin-main", "password": "a long enough sentence"}
    assert stranger.post("/login", fields).headers["location"] == "/grants"
    stranger.client.cookies.clear()
    stranger.client.cookies.set("rs_next", "//evil.example/x", path="/login")
    assert stranger.post("/login", fields).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_name_get_the_same_words(person: Callable[..., Any], stranger: Any) -> None:
    person("admin")
    wrong = stranger.post("/login", {"name": "admin-main", "password": "not the password"})
    unknown = stranger.post("/login", {"name": "nobody-here", "password": "not the password"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("admin-main", "N") == unknown.text.replace("nobody-here", "N")


def test_another_workspace_sees_nothing_of_this_one(person: Callable[..., Any]) -> None:
    admin, foreigner = person("admin"), person("admin", "other")
    admin.post("/grants", {"targets": "192.0.2.55", "by": "Ada", "level": "3"})
    assert "192.0.2.55" in admin.get("/grants").text
    assert "192.0.2.55" not in foreigner.get("/grants").text
    assert "192.0.2.55" not in foreigner.get("/grants/audit").text
    assert foreigner.post("/grants/g1/revoke").status_code == 422
    assert "valid now" in admin.get("/grants").text
