"""What somebody may try against the app: files as targets, guessed passwords, stolen cookies, other names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from reconshield.access import Role
from reconshield.cli.serve import names_of
from reconshield.errors import UserError
from reconshield.jobs import accounts
from reconshield.jobs.grants import add_grant, list_grants
from reconshield.scope import Grant
from reconshield.store import audit
from reconshield.store.db import Store
from reconshield.store.runs import list_runs
from reconshield.web.app import make_app
from reconshield.web.call import Site
from reconshield.web.client import read_proxies
from reconshield.web.door import COOKIE
from reconshield.web.pages import me

Make = Callable[..., Any]
SENTENCE = "a long enough sentence"


# What is measured -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "@/etc/passwd",
        "-iL /etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "169.254.169.254",
        "fd00:ec2::254",
        "127.0.0.1",
        "::1",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "0.0.0.0/0",
        "127.77.0.9,169.254.169.254",
    ],
)
def test_nothing_is_measured_that_no_grant_covers(site: Site, person: Make, target: str) -> None:
    add_grant(site.store, ["127.77.0.9"], by="Ada", now=time.time(), level=4)
    operator = person("operator")
    for path in ("/scans/plan", "/scans"):
        answer = operator.post(path, {"targets": target, "ports": "80", "engine": "connect"})
        assert answer.status_code in {403, 422}, (path, answer.status_code)
        assert "root:" not in answer.text
    assert "root:" not in operator.post("/scans/targets", {"targets": target}).text
    assert not list_runs(site.store)
    assert not [entry for entry in audit.entries(site.store) if entry.event == "used"]


# Who one is -----------------------------------------------------------------------------------------------------------------


def test_guessing_is_slowed_down_in_every_place_and_says_for_how_long(site: Site, person: Make, stranger: Any) -> None:
    viewer = person("viewer")
    boss = accounts.find_session(site.store, person("admin").client.cookies[COOKIE], time.time())
    assert boss is not None
    code = accounts.invite(site.store_of("main"), boss, Role.VIEWER, time.time())
    wrong = {"password": "not this sentence", "again": "not this sentence"}
    places = (
        (viewer, "/account/password", {"old": "not this", "new": "a new long sentence", "again": "a new long sentence"}),
        (viewer, "/account/totp/end", wrong),
        (stranger, f"/setup/{code}", wrong | {"name": viewer.name}),
        (stranger, "/login", wrong | {"name": "admin-main"}),
    )
    for somebody, path, fields in places:
        for _ in range(40):
            answer = somebody.post(path, fields)
            if answer.status_code == 429:
                break
        assert answer.status_code == 429, path
        assert int(answer.headers["retry-after"]) >= 1, path
        assert "too many attempts" in answer.text.lower()
    assert viewer.get("/account").status_code == 200, "nobody is signed out by guessing"


def test_signing_in_never_takes_over_a_cookie_that_came_along(person: Make, stranger: Any) -> None:
    viewer = person("viewer")
    stranger.client.cookies.set(COOKIE, "chosen-by-somebody-else")
    fields = {"name": viewer.name, "password": SENTENCE}
    first = stranger.post("/login", fields).cookies[COOKIE]
    assert first not in {"chosen-by-somebody-else", viewer.client.cookies[COOKIE]}
    assert len(first) >= 32
    stranger.client.cookies.clear()
    second = stranger.post("/login", fields).cookies[COOKIE]
    assert second != first


def test_a_new_password_gives_a_new_cookie_and_ends_the_old_ones(app: Any, person: Make) -> None:
    viewer, elsewhere = person("viewer"), person("viewer")
    old = viewer.client.cookies[COOKIE]
    new = "quite another sentence"
    answer = viewer.post("/account/password", {"old": SENTENCE, "new": new, "again": new})
    assert answer.status_code == 303
    assert answer.cookies[COOKIE] != old
    assert viewer.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 303
    with TestClient(app, base_url="http://127.0.0.1:8110", follow_redirects=False) as thief:
        thief.cookies.set(COOKIE, old)
        assert thief.get("/account").status_code == 303


def test_over_tls_every_cookie_says_so_and_browsers_stay_with_it(site: Site, person: Make) -> None:
    name = person("viewer").name
    with TestClient(make_app(replace(site, secure=True)), base_url="https://app.example", follow_redirects=False) as visitor:
        answers = [visitor.get("/grants"), visitor.post("/login", data={"name": name, "password": SENTENCE})]
        csrf = visitor.get("/account").text.partition('name="csrf" value="')[2].partition('"')[0]
        answers += [visitor.post("/theme", data={"theme": "dark", "csrf": csrf}), visitor.get("/")]
        said = [cookie for answer in answers for cookie in answer.headers.get_list("set-cookie")]
    given = [cookie for cookie in said if "max-age=0" not in cookie.lower()]
    assert {cookie.partition("=")[0] for cookie in given} >= {COOKIE, "rs_next", "theme"}
    for cookie in given:
        flags = {part.strip().lower() for part in cookie.split(";")}
        assert {"secure", "httponly"} <= flags, cookie
        assert {"samesite=lax", "samesite=strict"} & flags, cookie
    assert all("max-age" in answer.headers["strict-transport-security"] for answer in answers)


@pytest.mark.parametrize(
    "place",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "javascript:alert(1)", "/%0d%0ax"],
)
def test_signing_in_leads_nowhere_else(person: Make, stranger: Any, place: str) -> None:
    name = person("viewer").name
    stranger.client.cookies.set("rs_next", place, path="/login")
    answer = stranger.post("/login", {"name": name, "password": SENTENCE})
    where = answer.headers["location"]
    assert where.startswith("/")
    assert not where.startswith(("//", "/\\", "/\t"))


def test_private_pages_are_kept_by_nobody_and_framed_by_nobody(person: Make) -> None:
    admin = person("admin")
    for path in ("/", "/ports/110", "/grants", "/grants/audit", "/policy", "/account", "/settings", "/scans", "/exposures"):
        answer = admin.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "no-store", path
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


# Single things of the account ------------------------------------------------------------------------------------------------


def test_one_session_is_ended_and_the_others_stay(person: Make) -> None:
    here, there = person("viewer"), person("viewer")
    text = here.get("/account").text
    ends = [part.partition('"')[0] for part in text.split('action="/account/sessions/')[1:]]
    single = [each for each in ends if each != "end"]
    assert len(single) == text.count('<button class="button risky">End</button>') >= 1
    for each in single:
        assert here.post(f"/account/sessions/{each}").status_code == 303
    assert there.get("/account").status_code == 303
    assert here.get("/account").status_code == 200
    assert "no session of that id" in here.post("/account/sessions/0123456789abcdef/end").text


def test_nobody_ends_the_session_of_somebody_else(site: Site, person: Make) -> None:
    viewer, operator = person("viewer"), person("operator")
    visitor = accounts.find_session(site.store, operator.client.cookies[COOKIE], time.time())
    assert visitor is not None
    assert viewer.post(f"/account/sessions/{visitor.session}/end").status_code == 422
    assert operator.get("/account").status_code == 200


def test_an_invitation_is_seen_and_taken_back(person: Make, stranger: Any) -> None:
    admin = person("admin")
    shown = admin.post("/settings/invite", {"role": "operator", "lasting": "3d"}).text
    code = shown.partition("/setup/")[2].partition("<")[0]
    assert stranger.get(f"/setup/{code}").status_code == 200
    text = admin.get("/settings").text
    assert "somebody as operator" in text
    assert code not in text, "a link is shown once"
    link = text.partition('action="/settings/links/')[2].partition("/")[0]
    assert admin.post(f"/settings/links/{link}/withdraw").status_code == 303
    assert "somebody as operator" not in admin.get("/settings").text
    assert stranger.get(f"/setup/{code}").status_code == 404


def test_a_bug_is_a_page_with_all_its_headers_and_without_data(person: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconshield.jobs import grants

    def broken(*_: object) -> None:
        raise RuntimeError("the password of the database is 12345")

    monkeypatch.setattr(grants, "list_grants", broken)
    answer = person("viewer").get("/grants")
    assert answer.status_code == 500
    assert "RuntimeError" in answer.text
    assert "12345" not in answer.text
    assert "content-security-policy" in answer.headers
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("127.0.0.1:8110", True),
        ("localhost:9000", True),
        ("LOCALHOST.", True),
        ("[::1]:8110", True),
        ("evil.example", False),
        ("evil.example:8110", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("[::2]", False),
    ],
)
def test_on_loopback_no_other_name_leads_to_the_app(site: Site, host: str, taken: bool) -> None:
    names = names_of("127.0.0.1", served=False)
    with TestClient(make_app(replace(site, names=names)), base_url="http://127.0.0.1:8110") as visitor:
        answer = visitor.get("/login", headers={"host": host})
        assert answer.status_code == (200 if taken else 421)
        assert "content-security-policy" in answer.headers
        assert visitor.get("/api/v1/ports", headers={"host": host}).status_code == (401 if taken else 421)


def test_elsewhere_or_behind_a_proxy_every_name_leads_to_the_app() -> None:
    assert names_of("192.0.2.10", served=False) is None
    assert names_of("127.0.0.1", served=True) is None
    assert names_of("127.0.0.5", served=False) == frozenset({"127.0.0.5", "127.0.0.1", "localhost", "::1"})


@pytest.mark.parametrize("path", ["/scans/%E6%97%A5%E6%9C%AC", "/scans/%C3%A9", "/scans/%E2%80%A8", "/scans/%FF"])
def test_an_address_in_any_script_leads_to_signing_in(stranger: Any, path: str) -> None:
    answer = stranger.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "idna", "undefined", "rot13", "utf-16"])
def test_a_form_in_an_odd_encoding_is_no_bug(stranger: Any, charset: str) -> None:
    body = b'--x\r\ncontent-disposition: form-data; name="name"\r\n\r\n+2AA-\\ud800..\xff\r\n--x--\r\n'
    kind = f"multipart/form-data; boundary=x; charset={charset}"
    answer = stranger.client.post("/login", content=body, headers={"content-type": kind})
    assert answer.status_code in {401, 422}, answer.text


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
def test_only_files_may_be_as_large_as_uploads(person: Make, kind: str) -> None:
    """What is no file is held in memory as a whole."""
    viewer = person("viewer")
    told = {"content-type": kind, "x-csrf-token": viewer.csrf}
    answer = viewer.client.post("/api/v1/firewall/retire", content=b"x" * 3_000_000, headers=told)
    assert answer.status_code == 413


def test_behind_a_proxy_with_tls_an_invitation_is_a_link_of_https(site: Site, person: Make) -> None:
    admin = person("admin")
    behind = make_app(replace(site, proxies=read_proxies("127.0.0.1")))
    for client, scheme in (("127.0.0.1", "https"), ("192.0.2.9", "http")):
        browser = TestClient(behind, base_url="http://shield.example", client=(client, 5000))
        browser.cookies.set(COOKIE, admin.client.cookies[COOKIE])
        fields = {"csrf": admin.csrf, "role": "viewer", "lasting": "3d"}
        text = browser.post("/settings/invite", data=fields, headers={"x-forwarded-proto": "https"}).text
        assert f">{scheme}://shield.example/setup/" in text


def test_a_household_of_addresses_counts_as_one_stranger(site: Site) -> None:
    app = make_app(site)
    answers = [TestClient(app, client=(f"2001:db8::{number:x}", 5000)).get("/api/v1/me") for number in range(1, 40)]
    assert [answer.status_code for answer in answers[:20]] == [401] * 20
    assert answers[-1].status_code == 429


def test_of_two_visitors_at_one_address_one_is_measured(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise UserError("nothing is sent by this test")

    def slowly(store: Store) -> tuple[Grant, ...]:
        found = list_grants(store)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(me, "prepare_scan", refused)
    monkeypatch.setattr("reconshield.jobs.grants.list_grants", slowly)
    visitor = TestClient(make_app(replace(site, scan_me=True)), client=("192.0.2.77", 5000))
    proof = visitor.get("/me").text.partition('name="proof" value="')[2].partition('"')[0]
    asking = [threading.Thread(target=visitor.post, args=("/me",), kwargs={"data": {"proof": proof}}) for _ in range(4)]
    for each in asking:
        each.start()
    for each in asking:
        each.join()
    assert [entry.event for entry in audit.entries(site.store)].count("grant-added") == 1
