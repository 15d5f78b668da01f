"""One-time links in the browser: a new account, a new password, and the second factor of who has one."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reconshield.access import Role, read_totp_secret, totp_code
from reconshield.jobs import accounts
from reconshield.web.call import Site
from reconshield.web.door import COOKIE

NEW = "another long enough sentence"


def test_a_link_makes_an_account_once(site: Site, person: Callable[..., Any], stranger: Any) -> None:
    boss = accounts.find_session(site.store, person("admin").client.cookies[COOKIE], time.time())
    assert boss is not None
    code = accounts.invite(site.store, boss, Role.ANALYST, time.time())
    assert "invited as analyst" in stranger.get(f"/setup/{code}").text
    fields = {"name": "bob", "password": NEW, "again": NEW}
    wrong = stranger.post(f"/setup/{code}", fields | {"again": "other"})
    assert wrong.status_code == 422
    assert NEW not in wrong.text
    made = stranger.post(f"/setup/{code}", fields)
    assert made.status_code == 303
    assert "httponly" in made.headers["set-cookie"].lower()
    assert stranger.get("/account").status_code == 200
    assert stranger.get(f"/setup/{code}").status_code == 404


def test_a_new_password_still_takes_the_second_factor(site: Site, person: Callable[..., Any], stranger: Any) -> None:
    somebody = person("viewer")
    now = time.time()
    visitor = accounts.find_session(site.store, somebody.client.cookies[COOKIE], now)
    assert visitor is not None
    secret = accounts.begin_totp(site.store, visitor)
    key = read_totp_secret(secret)
    accounts.confirm_totp(site.store, visitor, secret, totp_code(key, int(now // 30) - 1), now)
    code = accounts.signin_link(replace(site.store, workspace="main"), somebody.name, now)
    assert 'name="code"' not in stranger.get(f"/setup/{code}").text
    asked = stranger.post(f"/setup/{code}", {"password": NEW, "again": NEW})
    assert asked.status_code == 422
    assert 'name="code"' in asked.text
    refused = stranger.post(f"/setup/{code}", {"password": NEW, "again": NEW, "code": "12345x"})
    assert refused.status_code == 422
    assert 'name="code"' in refused.text
    fresh = totp_code(key, int(time.time() // 30))
    assert stranger.post(f"/setup/{code}", {"password": NEW, "again": NEW, "code": fresh}).status_code == 303
    assert somebody.get("/account").status_code == 303
