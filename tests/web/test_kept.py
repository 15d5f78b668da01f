"""What is kept ready is given only while it is true: every change shows at once, whoever made it; and it packs what it may."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from reconshield.jobs import accounts
from reconshield.jobs.grants import add_grant, revoke_grant
from reconshield.store.db import open_store
from reconshield.web import port_page, port_panel
from reconshield.web.app import make_app
from reconshield.web.call import Site
from reconshield.web.door import COOKIE

Make = Callable[..., Any]
PAGE = "/ports/110"
NONE, ALLOWED = "Nobody has allowed a scan yet", "Not measured"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports whose pages were made anew, in order."""
    found: list[int] = []
    panel = port_panel.panel_html

    def seen(call: Any, port: int) -> str:
        found.append(port)
        return panel(call, port)

    monkeypatch.setattr(port_page, "panel_html", seen)
    return found


def test_a_page_is_made_once_until_something_changes(site: Site, person: Make, made: list[int]) -> None:
    viewer = person("viewer")
    texts = {viewer.get(PAGE).text for _ in range(4)}
    assert (len(texts), made) == (1, [110])
    viewer.get("/ports/22")
    assert made == [110, 22]


def test_a_grant_shows_at_once_and_so_does_its_end(site: Site, person: Make, made: list[int]) -> None:
    viewer = person("viewer")
    assert NONE in viewer.get(PAGE).text
    grant = add_grant(site.store, ["192.0.2.7"], by="Ada", now=time.time(), level=3).grant
    assert ALLOWED in viewer.get(PAGE).text
    path = site.store.path
    assert path is not None
    with open_store(str(path)) as elsewhere:  # as another process does
        revoke_grant(elsewhere, grant.id, time.time())
    assert NONE in viewer.get(PAGE).text
    assert NONE in viewer.get(PAGE).text
    assert len(made) == 3


def test_a_grant_ends_by_the_clock_to_the_moment(site: Site, person: Make) -> None:
    now = time.time()
    add_grant(site.store, ["192.0.2.7"], by="Ada", now=now, level=3, until=now + 5)
    cookie = person("viewer").client.cookies[COOKIE]
    clock = [now]
    with TestClient(make_app(replace(site, clock=lambda: clock[0])), base_url="http://127.0.0.1:8110") as visitor:
        visitor.cookies.set(COOKIE, cookie)
        for at, text in ((1, ALLOWED), (4.9, ALLOWED), (5.1, NONE), (6, NONE), (2, ALLOWED)):
            clock[0] = now + at
            assert text in visitor.get(PAGE).text, at


def test_a_change_of_the_policy_shows_at_once(site: Site, person: Make) -> None:
    viewer = person("viewer")
    add_grant(site.store, ["192.0.2.7"], by="Ada", now=time.time(), level=3)
    assert "The policy is not used" not in viewer.get(PAGE).text
    site.policy_path("main").write_text("nonsense = 1\n")
    assert "The policy is not used" in viewer.get(PAGE).text
    site.policy_path("main").unlink()
    assert "The policy is not used" not in viewer.get(PAGE).text


def test_what_ends_a_session_ends_it_for_kept_pages_too(site: Site, person: Make) -> None:
    admin, viewer = person("admin"), person("viewer")
    boss = accounts.find_session(site.store, admin.client.cookies[COOKIE], time.time())
    assert boss is not None

    def gone(somebody: Any) -> bool:
        answer = somebody.get(PAGE)
        return bool(answer.status_code == 303 and answer.headers["location"] == "/login")

    assert not gone(viewer)
    accounts.log_out(site.store, viewer.client.cookies[COOKIE], time.time())
    assert gone(viewer)
    viewer = person("viewer")
    assert not gone(viewer)
    accounts.remove_member(replace(site.store, workspace="main"), boss, viewer.name, time.time())
    assert gone(viewer)
    other = person("operator")
    assert not gone(other)
    accounts.disable_account(site.store, other.name, time.time(), actor="tests")
    assert gone(other)


def test_a_session_ends_by_the_clock_although_nothing_changed(site: Site, person: Make) -> None:
    now, cookie = time.time(), person("viewer").client.cookies[COOKIE]
    assert accounts.find_session(site.store, cookie, now) is not None
    assert accounts.recall_session(site.store, cookie, now + 30) is not None
    assert accounts.recall_session(site.store, cookie, now + 61) is None, "its use has to be written down"
    assert accounts.find_session(site.store, cookie, now + 40 * 86400) is None


def test_a_lower_role_is_seen_on_the_next_page(site: Site, person: Make) -> None:
    admin, operator = person("admin"), person("operator")
    add_grant(site.store, ["192.0.2.7"], by="Ada", now=time.time(), level=3)
    assert "Analyze infrastructure" in operator.get(PAGE).text
    assert admin.post(f"/settings/members/{operator.name}/role", {"role": "viewer"}).status_code == 303
    assert "Analyze infrastructure" not in operator.get(PAGE).text
    assert operator.post(f"{PAGE}/analyze").status_code == 403


def test_nobody_gets_the_page_of_somebody_else(app: FastAPI, site: Site, person: Make) -> None:
    add_grant(site.store, ["192.0.2.7"], by="Ada", now=time.time(), level=3)
    people = [person("viewer"), person("operator"), person("admin"), person("admin", "other")]
    for _ in range(2):
        for somebody in people:
            text = somebody.get(PAGE).text
            assert f"<summary>{somebody.name}</summary>" in text
            assert [other.name for other in people if other.csrf in text] == [somebody.name]
    people[1].client.cookies.set("theme", "dark")
    assert 'data-theme="dark"' in people[1].get(PAGE).text
    assert "data-theme" not in people[0].get(PAGE).text


def test_packed_and_plain_are_the_same_and_the_private_part_is_not_packed(site: Site, person: Make) -> None:
    viewer = person("viewer")
    plain = viewer.client.get(PAGE, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with viewer.client.stream("GET", PAGE, headers={"accept-encoding": "br, gzip;q=0.5"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "accept-encoding"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < 0.6 * len(plain.content)
    assert viewer.csrf.encode() in raw, "the token against forgery is stored, not packed"
    assert "content-encoding" not in viewer.client.get(PAGE, headers={"accept-encoding": "gzip;q=0"}).headers
    style = viewer.client.get("/static/reconshield.css", headers={"accept-encoding": "gzip"})
    assert style.headers["content-encoding"] == "gzip"
    assert style.content == viewer.client.get("/static/reconshield.css", headers={"accept-encoding": "identity"}).content
    assert "content-encoding" not in viewer.client.get("/grants", headers={"accept-encoding": "gzip"}).headers
