"""Every route of the pages × every role × a stranger × another workspace, with the ids of what really is there; forged changes;
and odd things in every address.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from sqlalchemy import select

from reconshield.access import Role
from reconshield.jobs.policy_edit import digest
from reconshield.store import audit
from reconshield.store.db import Store
from reconshield.store.tables import METADATA
from reconshield.web.call import Site
from reconshield.web.door import Door
from reconshield.web.pages import ROUTERS
from web.conftest import Person
from web.world import ADDRESS, LINE, MARK, World, faults_of, make_world

Make = Callable[..., Any]
FIELDS = {
    "reason": "x",
    "owner": "x",
    "expires": "2027-03-01",
    "lasting": "1h",
    "role": "admin",
    "workspace": "main",
    "targets": "127.77.0.9",
    "ports": "110",
    "text": "version = 1\n",
    "etag": "",
    "by": "x",
    "level": "3",
    "name": "x",
    "scope": "read",
    "password": "another long sentence",
}
OWN = {"/logout", "/theme", "/login", "/setup/{code}", "/me"}
"""Changes of one's own browser, or for who has no account."""
OPEN = [(method, path) for path in ("/setup/{code}", "/login", "/me") for method in ("GET", "POST")]
CHANGES = {
    "/logout": "viewer",
    "/theme": "viewer",
    "/ports/{port}/analyze": "operator",
    "/scans/targets": "operator",
    "/scans/plan": "operator",
    "/scans": "operator",
    "/scans/{run_id}/stop": "operator",
    "/scans/{run_id}/pause": "operator",
    "/scans/{run_id}/resume": "operator",
    "/scans/{run_id}/rejudge": "operator",
    "/findings/{finding}/accept": "analyst",
    "/findings/{finding}/verify": "operator",
    "/alerts/{alert}/ack": "analyst",
    "/alerts/{alert}/silence": "analyst",
    "/alerts/silences/{number}/end": "analyst",
    "/alerts/outbox/retry": "analyst",
    "/settings/channels/{name}/test": "admin",
    "/firewall": "viewer",
    "/firewall/prove": "operator",
    "/firewall/evaluate": "viewer",
    "/detections": "analyst",
    "/grants": "admin",
    "/grants/{grant}/revoke": "admin",
    "/grants/{grant}/refresh": "admin",
    "/policy/check": "admin",
    "/policy": "admin",
    "/account/password": "viewer",
    "/account/totp": "viewer",
    "/account/totp/confirm": "viewer",
    "/account/totp/end": "viewer",
    "/account/sessions/end": "viewer",
    "/account/sessions/{name}/end": "viewer",
    "/account/tokens": "viewer",
    "/account/tokens/{token}/revoke": "viewer",
    "/account/workspace": "viewer",
    "/settings/invite": "admin",
    "/settings/links/{link}/withdraw": "admin",
    "/settings/members/{name}/role": "admin",
    "/settings/members/{name}/remove": "admin",
}
"""Who may change what; the account's own things are anybody's."""
FLEETING = {"seen_at", "used_at", "last_used_at"}
"""Columns that a look changes."""


@pytest.fixture
def world(site: Site, person: Make) -> World:
    return make_world(site, person)


def routes() -> Iterator[tuple[str, APIRoute, Role | None]]:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            door = next(each.call for each in route.dependant.dependencies if isinstance(each.call, Door))
            yield next(iter(route.methods or ())), route, door.role


def ask(somebody: Any, method: str, path: str, fields: dict[str, str] | None = None) -> Any:
    return somebody.get(path) if method == "GET" else somebody.post(path, fields)


def everything(store: Store) -> dict[str, list[str]]:
    """All rows of the workspace main, and all accounts."""
    found = {}
    with store.read() as connection:
        for table in METADATA.sorted_tables:
            columns = [column for column in table.columns if column.name not in FLEETING]
            query = select(*columns)
            if "workspace" in table.columns:
                query = query.where(table.c.workspace == "main")
            elif table.name != "accounts":
                continue
            found[table.name] = sorted(repr(tuple(row)) for row in connection.execute(query))
    return found


def test_every_route_wants_the_role_that_it_should() -> None:
    """Said here once more, so that a door is not made lower by accident. Who reads is a viewer, with these exceptions."""
    analyst, operator, admin = Role.ANALYST, Role.OPERATOR, Role.ADMIN
    wanted: dict[tuple[str, str], Role | None] = dict.fromkeys(OPEN)
    wanted |= {("GET", "/scans/new"): operator, ("GET", "/scans/{run_id}/rejudge"): analyst, ("GET", "/settings"): admin}
    for path, least in CHANGES.items():
        wanted["POST", path] = Role(least)
    for method, route, role in routes():
        assert (method, route.path) in wanted or method == "GET", f"say who may POST to {route.path}"
        assert role == wanted.get((method, route.path), Role.VIEWER), (method, route.path)


def test_the_world_fills_every_place_of_every_route(world: World) -> None:
    for _, route, _ in routes():
        assert "{" not in world.fill(route.path), f"say in world.py what stands in {route.path}"


def test_a_stranger_gets_nowhere_and_changes_nothing(site: Site, world: World, stranger: Any) -> None:
    before = everything(site.store)
    for method, route, role in routes():
        if role is None:
            continue
        answer = ask(stranger, method, world.fill(route.path), FIELDS)
        assert answer.status_code == 303, (method, route.path)
        assert answer.headers["location"] == "/login"
        assert ADDRESS not in answer.text
    assert everything(site.store) == before


def test_a_role_gets_exactly_as_far_as_it_reaches(site: Site, world: World, person: Make) -> None:
    people = {role: person(role.value) for role in Role}
    before = everything(site.store)
    for method, route, least in routes():
        for role, somebody in people.items():
            if least is None or role.covers(least):
                continue
            answer = ask(somebody, method, world.fill(route.path), FIELDS)
            assert answer.status_code == 403, (role, method, route.path)
            assert f"this takes the role {least}" in answer.text.lower()
    assert everything(site.store) == before, "what was refused changed nothing"
    for method, route, least in routes():
        if least is None or route.path in OWN:
            continue
        answer = ask(people[least], method, world.fill(route.path), {})
        assert answer.status_code < 500, (method, route.path, answer.text)
        assert "this takes the role" not in answer.text.lower(), (method, route.path)


def test_another_workspace_finds_nothing_and_changes_nothing(site: Site, world: World, person: Make) -> None:
    foreigner = person("admin", "other")
    before, policy = everything(site.store), site.policy_path("main").read_bytes()
    for method, route, role in routes():
        if role is None or route.path in OWN:
            continue
        path = world.fill(route.path)
        answer = ask(foreigner, method, path, FIELDS if "{" in route.path else {"etag": "x" * 64})
        assert answer.status_code < 500, (method, path, answer.text)
        said = re.sub(re.escape(path.rpartition("/evidence/")[2]) + r"(/tcp)?", "", answer.text)
        for mark in (MARK, "box-of-main", ADDRESS) if "workspace" not in path else ():
            assert mark not in said, (method, path, mark)
        if "{" in route.path and not route.path.startswith(("/ports/", "/services/", "/clusters/")):
            assert answer.status_code in {404, 422}, (method, path, answer.status_code)
    assert everything(site.store) == before
    assert site.policy_path("main").read_bytes() == policy


def test_nothing_is_changed_without_the_token_of_a_page(site: Site, world: World, person: Make) -> None:
    admin = person("admin")
    before = everything(site.store)
    bad: tuple[tuple[dict[str, str], dict[str, str]], ...] = (
        ({}, {}),
        ({"csrf": "x" * 43}, {}),
        ({"csrf": admin.csrf}, {"origin": "https://evil.example"}),
        ({"csrf": admin.csrf}, {"sec-fetch-site": "same-site"}),
        ({}, {"content-type": "text/plain"}),
    )
    for method, route, role in routes():
        if method == "GET":
            continue
        for fields, headers in bad if role is not None else bad[2:4]:
            path = world.fill(route.path)
            content = {"content": "csrf=" + admin.csrf} if "content-type" in headers else {"data": FIELDS | fields}
            answer = admin.client.post(path, headers=headers, **content)
            assert answer.status_code == 403, (path, fields, headers)
    assert everything(site.store) == before
    assert admin.get("/grants").status_code == 200


def test_no_page_takes_another_method(world: World, person: Make, stranger: Any) -> None:
    admin = person("admin")
    for path in sorted({world.fill(route.path) for _, route, _ in routes()} | {"/healthz", "/static/app.js", "/nowhere"}):
        for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"):
            answer = admin.client.request(method, path)
            assert answer.status_code in {404, 405}, (method, path)
            assert answer.status_code == 404 or answer.headers["allow"], (method, path)
            assert admin.csrf not in answer.headers.get("location", "")


def test_a_head_is_that_of_the_page_without_its_body(world: World, person: Make, stranger: Any) -> None:
    viewer = person("viewer")
    for path in ("/", "/ports/110", "/grants", f"/scans/{world.run}", "/static/app.js", "/healthz"):
        head, page = viewer.client.head(path), viewer.get(path)
        assert (head.status_code, head.headers["content-type"]) == (page.status_code, page.headers["content-type"]), path
        assert "content-security-policy" in head.headers
    assert stranger.client.head("/grants").status_code == 303
    assert viewer.client.head(f"/scans/{world.run}/events").status_code == 405


@pytest.mark.parametrize("odd", [LINE, "x\r\nset-cookie: evil=1", "\x00\x01", "%", "\ufffd\u202e", "a" * 5000, "../" * 9])
def test_odd_things_in_any_address_are_a_page_that_says_so(world: World, person: Make, odd: str) -> None:
    """In every place of every path, and in every parameter: no markup, no header of their own, no bug, no JSON."""
    admin = person("admin")
    text = quote(odd, safe="")
    for method, route, role in routes():
        if role is None and method == "POST":
            continue
        asked = dict.fromkeys((field.alias for field in route.dependant.query_params), text)
        paths = [world.fill(route.path)] if asked else []
        paths += [re.sub(r"\{[^}]*\}", text, route.path)] if "{" in route.path else []
        for path in paths:
            query = "?" + "&".join(f"{name}={value}" for name, value in asked.items()) if method == "GET" and asked else ""
            answer = ask(admin, method, path + query, {})
            assert answer.status_code < 500, (method, path, query)
            assert "evil" not in answer.headers.get("set-cookie", ""), path
            if "json" in answer.headers.get("content-type", ""):
                assert "attachment" in answer.headers.get("content-disposition", ""), path
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert not faults_of(answer.text), (method, path + query)


def test_hostile_text_is_text_on_every_page(app: FastAPI, world: World, person: Make, stranger: Any) -> None:
    seen = set()
    for somebody in (person("admin"), stranger):
        for method, route, _ in routes():
            if method != "GET":
                continue
            answer = somebody.get(world.fill(route.path))
            assert answer.headers["x-content-type-options"] == "nosniff"
            if not answer.headers.get("content-type", "").startswith("text/html"):
                continue
            if "attachment" in answer.headers.get("content-disposition", ""):
                assert f"<{MARK}" not in answer.text
                continue
            assert not faults_of(answer.text), route.path
            seen |= {route.path} if MARK in answer.text else set()
    wanted = {"/", "/ports/{port}", "/scans/{run_id}", "/exposures", "/assets", "/findings", "/findings/{finding}", "/alerts"}
    wanted |= {"/grants", "/grants/audit", "/policy", "/account", "/alerts/{alert}", "/scans/{run_id}/evidence/{endpoint:path}"}
    assert not wanted - seen, "these have the hostile text, or this test looks at nothing"


def test_hostile_text_in_forms_comes_back_as_text(world: World, person: Make) -> None:
    admin = person("admin")
    for method, route, role in routes():
        if method != "POST" or role is None or route.path in OWN:
            continue
        for part in ({}, {"hx-request": "true"}):
            names = (*FIELDS, "exclude", "ask", "rules", "until", "platform", "old", "new", "again", "code")
            fields = dict.fromkeys(names, LINE)
            answer = admin.client.post(world.fill(route.path), data=fields | {"csrf": admin.csrf}, headers=part)
            assert answer.status_code < 500, route.path
            if answer.headers.get("content-type", "").startswith("text/html"):
                assert not faults_of(answer.text), route.path


def test_two_who_change_the_same_get_words(world: World, person: Make) -> None:
    """The second one of two is told what happened; nothing is an error of the app."""
    admin, other = person("admin"), person("admin")
    for path in (
        f"/grants/{world.grant}/revoke",
        f"/account/tokens/{world.token}/revoke",
        f"/account/sessions/{world.session}/end",
        f"/settings/links/{world.link}/withdraw",
        f"/settings/members/{world.member}/remove",
        f"/alerts/silences/{world.silence}/end",
    ):
        first, second = admin.post(path), other.post(path)
        assert first.status_code == 303, (path, first.text)
        assert second.status_code == 422, (path, second.text)
        assert 'role="alert"' in second.text
    assert admin.post(f"/alerts/{world.alert}/ack").status_code == 303
    assert other.post(f"/alerts/{world.alert}/ack").status_code in {303, 422}


def test_many_who_change_the_same_at_once_are_told_apart(site: Site, world: World, person: Make, app: FastAPI) -> None:
    """Six at the same moment: one does it, the others are told so, and the log has it once."""
    crowd = [person("admin") for _ in range(6)]

    def all_at_once(path: str, fields: dict[str, str] | None = None) -> Counter[int]:
        with ThreadPoolExecutor(len(crowd)) as pool:
            return Counter(pool.map(lambda somebody: somebody.post(path, fields).status_code, crowd))

    assert all_at_once(f"/grants/{world.grant}/revoke") == {303: 1, 422: 5}
    assert all_at_once(f"/settings/links/{world.link}/withdraw") == {303: 1, 422: 5}
    assert all_at_once(f"/account/sessions/{world.session}/end") == {303: 1, 422: 5}
    assert set(all_at_once(f"/alerts/silences/{world.silence}/end")) <= {303, 422}, "who asked a moment earlier ends it earlier"
    text = site.policy_path("main").read_text(encoding="utf-8")
    assert all_at_once("/policy", {"text": text + "# mine\n", "etag": digest(text)}) == {303: 1, 409: 5}
    wish = {"name": "newcomer", "password": "a long enough sentence", "again": "a long enough sentence"}
    shown = crowd[0].post("/settings/invite", {"role": "viewer", "lasting": "3d"}).text
    code = shown.partition("/setup/")[2].partition("<")[0]
    crowd = [Person(app) for _ in range(6)]
    counted = all_at_once(f"/setup/{code}", wish)
    assert counted[303] == 1, counted
    assert not [status for status in counted if status >= 500]
    events = Counter(entry.event for entry in audit.entries(site.store_of("main")))
    assert (events["grant-revoked"], events["link-withdrawn"], events["policy-saved"]) == (1, 1, 1)
