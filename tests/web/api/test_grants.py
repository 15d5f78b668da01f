"""Grants and the audit log over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cli import inside
from reconshield.store import idempotency
from reconshield.web.call import Site

Make = Callable[..., Any]
WISH = {"targets": ["192.0.2.0/28"], "by": "Ada", "reason": "ticket 7"}


def test_a_grant_is_added_read_and_revoked(program: Make) -> None:
    admin = program("admin")
    made = admin.post("/grants", WISH | {"level": 2, "until": "30d"})
    assert made.status_code == 201
    assert made.headers["location"] == "/api/v1/grants/g1"
    assert made.json() | {"level": 2, "by": "Ada", "state": "valid"} == made.json()
    assert admin.get("/grants/g1").json()["targets"] == [{"text": "192.0.2.0/28", "name": None, "addresses": ["192.0.2.0/28"]}]
    revoked = admin.post("/grants/g1/revoke").json()
    assert revoked["state"] != "valid"
    assert revoked["revoked_at"]
    assert admin.post("/grants/g1/revoke").status_code == 422
    audit = admin.all("/audit", limit=1)
    assert [(row["event"], row["actor"]) for row in audit][:2] == [
        ("grant-revoked", "account:admin-main"),
        ("grant-added", "account:admin-main"),
    ]
    chain = admin.get("/audit/verification").json()
    assert chain == {"whole": True, "broken_at": None, "entries": len(audit), "newest_hash": audit[0]["hash"]}


def test_a_grant_is_the_same_as_on_the_command_line(program: Make, site: Site) -> None:
    admin = program("admin")
    admin.post("/grants", WISH)
    done = inside.run(site.settings.home, "grant", "list", "--json")
    assert json.loads(done.out) == admin.get("/grants").json()["items"]


def test_lists_come_in_pages_that_nothing_shifts(program: Make) -> None:
    admin = program("admin")
    for number in range(5):
        admin.post("/grants", WISH | {"targets": [f"192.0.2.{number}"]})
    first = admin.get("/grants", params={"limit": 2})
    assert [row["id"] for row in first.json()["items"]] == ["g5", "g4"]
    assert first.headers["link"] == f'</api/v1/grants?limit=2&cursor={first.json()["next"]}>; rel="next"'
    admin.post("/grants", WISH)
    second = admin.get("/grants", params={"limit": 2, "cursor": first.json()["next"]}).json()
    assert [row["id"] for row in second["items"]] == ["g3", "g2"]
    assert [row["id"] for row in admin.all("/grants", limit=4)] == ["g6", "g5", "g4", "g3", "g2", "g1"]
    for cursor in ("x", "W10", "WyJhIl0", "bnVsbA", "=" * 40, "[1]"):
        assert admin.get("/grants", params={"cursor": cursor}).status_code == 422, cursor
    assert admin.get("/grants", params={"limit": 0}).status_code == 422
    assert admin.get("/grants", params={"limit": 1001}).status_code == 422


def test_what_has_not_changed_is_not_sent_again_and_what_has_is_not_overwritten(program: Make) -> None:
    admin = program("admin")
    admin.post("/grants", WISH)
    seen = admin.get("/grants/g1")
    tag = seen.headers["etag"]
    again = admin.get("/grants/g1", headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert admin.post("/grants/g1/revoke", headers={"if-match": '"of another version"'}).status_code == 412
    assert admin.get("/grants/g1").json() == seen.json()
    assert admin.post("/grants/g1/revoke", headers={"if-match": tag}).status_code == 200
    assert admin.get("/grants/g1", headers={"if-none-match": tag}).status_code == 200


def test_under_one_key_a_grant_is_made_once(program: Make) -> None:
    admin, key = program("admin"), {"idempotency-key": "made-once"}
    first = admin.post("/grants", WISH, headers=key)
    second = admin.post("/grants", WISH, headers=key)
    assert (second.status_code, second.json(), second.headers["location"]) == (201, first.json(), first.headers["location"])
    assert second.headers["idempotency-replayed"] == "true"
    assert len(admin.all("/grants")) == 1
    assert admin.post("/grants", WISH | {"by": "Eve"}, headers=key).status_code == 422
    assert admin.post("/grants", WISH | {"targets": ["224.0.0.1"]}, headers={"idempotency-key": "failed"}).status_code == 422
    assert admin.post("/grants", WISH, headers={"idempotency-key": "failed"}).status_code == 201
    assert admin.post("/grants", WISH, headers={"idempotency-key": "x" * 256}).status_code == 422
    assert program("admin", "other").post("/grants", WISH, headers=key).json()["id"] == "g1"


def test_of_two_requests_at_once_under_one_key_one_is_done(program: Make) -> None:
    admin, other = program("admin"), program("admin")
    with ThreadPoolExecutor(2) as pool:
        sent = [pool.submit(each.post, "/grants", WISH, headers={"idempotency-key": "twice"}) for each in (admin, other)]
    answers = [each.result() for each in sent]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len(admin.all("/grants")) == 1
    assert admin.post("/grants", WISH, headers={"idempotency-key": "twice"}).json()["id"] == "g1"


def test_a_key_is_forgotten_after_a_day_and_the_oldest_of_too_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MOST", 20)
    assert idempotency.claim(site.store, "ada", "k", "r", 1000.0) is None
    found = idempotency.claim(site.store, "ada", "k", "r", 1001.0)
    assert found is not None
    assert found.status is None
    assert idempotency.claim(site.store, "ada", "k", "r", 1000.0 + 86_401) is None
    for number in range(idempotency.MOST):
        assert idempotency.claim(site.store, "ada", f"k{number}", "r", 100_000.0 + number) is None
    assert idempotency.claim(site.store, "ada", "k", "r", 102_000.0) is None


def test_targets_are_targets_and_not_files_of_the_server(program: Make) -> None:
    admin = program("admin")
    for text in ("@/etc/passwd", "-", "@-", " @x", ""):
        answer = admin.post("/grants", WISH | {"targets": [text]})
        assert answer.status_code == 422
        assert "targets" in answer.json()["where"]
        assert admin.post("/grants", WISH | {"exclude": [text]}).status_code == 422
