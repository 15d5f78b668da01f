"""The real app over a real database, and people of every role who are signed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.testclient import TestClient

from engines import new_store
from reconshield.access import Role
from reconshield.jobs import accounts
from reconshield.jobs.accounts import passwords
from reconshield.jobs.live import LiveScans
from reconshield.settings import load_settings
from reconshield.store.db import Store
from reconshield.web.app import make_app
from reconshield.web.call import Site
from reconshield.web.door import COOKIE
from web.runs import ended, granted, pop3

__all__ = ["ended", "granted", "pop3"]

PASSWORD = "a long enough sentence"


class Person:
    """Somebody with a browser: keeps the cookie, sends the token against forgery with every change."""

    def __init__(self, app: FastAPI, name: str = "", token: str = "", csrf: str = "") -> None:
        self.client = TestClient(app, base_url="http://127.0.0.1:8110", follow_redirects=False, raise_server_exceptions=False)
        self.name, self.csrf = name, csrf
        if token:
            self.client.cookies.set(COOKIE, token)

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def post(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> Any:
        return self.client.post(path, data={"csrf": self.csrf, **(fields or {})}, **more)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    settings = load_settings({"home": str(tmp_path)}, {})
    with new_store(settings.db) as store:
        made = Site(settings=settings, store=store, live=LiveScans())
        yield made
        made.live.close(5)


@pytest.fixture
def app(site: Site) -> FastAPI:
    return make_app(site)


@pytest.fixture
def stranger(app: FastAPI) -> Person:
    return Person(app)


@pytest.fixture
def person(app: FastAPI, site: Site) -> Callable[..., Person]:
    """Makes somebody of a role in a workspace; the first one of a workspace sets it up and is its admin."""

    def make(role: str = "viewer", workspace: str = "main") -> Person:
        return sign_in(app, site, role, workspace)

    return make


def sign_in(app: FastAPI, site: Site, role: str, workspace: str) -> Person:
    store: Store = replace(site.store, workspace=workspace)
    now = time.time()
    admin = f"admin-{workspace}"
    if accounts.list_members(store):
        boss = accounts.log_in(store, admin, PASSWORD, "", now, client="127.0.0.1", agent="test")
    else:
        code = accounts.setup_link(store, now)
        boss = accounts.finish_setup(store, code, admin, PASSWORD, now, client="127.0.0.1", agent="test")
    if role == "admin":
        return Person(app, admin, boss.token, boss.visitor.csrf)
    name = f"{role}-{workspace}"
    if any(member.account == name for member in accounts.list_members(store)):
        again = accounts.log_in(store, name, PASSWORD, "", now, client="127.0.0.1", agent="test")
        return Person(app, name, again.token, again.visitor.csrf)
    code = accounts.invite(store, boss.visitor, Role(role), now)
    new = accounts.finish_setup(store, code, name, PASSWORD, now, client="127.0.0.1", agent="test")
    return Person(app, name, new.token, new.visitor.csrf)
