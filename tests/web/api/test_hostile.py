"""What a hostile or broken program sends: it gets a problem in words, and the server stays up."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

from reconshield.web.call import Site
from reconshield.web.limits import Allowance, Limits

Make = Callable[..., Any]
GRANT = {"targets": ["192.0.2.1"], "by": "Ada"}


BROKEN = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"targets":' * 50_000,
    b'{"targets": ["192.0.2.1"], "by": "Ada", "level": "3"}',
    b'{"targets": ["192.0.2.1"], "by": "Ada", "level": 3.5}',
    b'{"targets": ["192.0.2.1"], "by": "Ada", "level": 1e400}',
    b'{"targets": ["192.0.2.1"], "by": "Ada", "level": 99999999999999999999999999}',
    b'{"targets": ["192.0.2.1"], "by": "Ada", "unknown": 1}',
    b'{"targets": "192.0.2.1", "by": "Ada"}',
    b'{"targets": [["192.0.2.1"]], "by": "Ada"}',
    b'{"targets": [], "by": "Ada"}',
    b'{"targets": ["192.0.2.1"], "by": "a\\u0000b"}',
    b'{"targets": ["192.0.2.1"], "by": "\\ud800"}',
    b'{"targets": ["192.0.2.1"], "by": "Ada", "until": "never"}',
    b'{"targets": ["192.0.2.1"], "by": "Ada", "until": "99999-01-01"}',
)


def test_a_document_that_cannot_be_read_is_said_to_be_one(program: Make) -> None:
    admin = program("admin")
    for body in BROKEN:
        answer = admin.ask("POST", "/grants", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, (body[:80], answer.text)
        assert answer.json()["detail"]
    assert admin.all("/grants") == []


def test_documents_of_other_kinds_and_sizes_are_refused(program: Make) -> None:
    admin = program("admin")
    assert admin.ask("POST", "/grants", content=b"<x/>", headers={"content-type": "text/xml"}).status_code == 415
    assert admin.ask("POST", "/grants", data={"by": "Ada"}).status_code == 415
    large = admin.ask("POST", "/grants", content=b" " * 3_000_000, headers={"content-type": "application/json"})
    assert (large.status_code, large.headers["content-type"]) == (413, "application/problem+json")


NOT_THERE = (
    "/ports/65536",
    "/ports/99999999999999999999",
    "/ports/no-such-service-xyz",
    "/grants/g-1",
    "/grants/G1",
    "/scans/latest",
    "/scans/20261123",
    "/scans/20261123-130402-9C1F",
    "/scans/%00",
    "/scans/..%2f..",
    "/alerts/a0",
    "/alerts/81",
    "/alerts/a99999999999999999999",
    "/members/%ff",
    "/nothing",
    "/grants/g1/x",
)


def test_what_is_not_there_is_missing_whatever_it_is_called(program: Make) -> None:
    viewer = program("viewer")
    for path in NOT_THERE:
        answer = viewer.get(path)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


SENSELESS = (
    "/history/nonsense",
    "/history/1.2.3.4.5",
    "/history/127.0.0.1?port=70000",
    "/exposures?rating=awful",
    "/exposures?ratign=high",
    "/version?x=1",
    "/scans/20261123-130402-9c1f/services?sort=risk",
    "/findings?least=awful",
    "/history/127.0.0.1?transport=tcp",
    "/ports?risk=x",
    "/alerts?everything=perhaps",
)


def test_a_question_that_makes_no_sense_is_told_so(program: Make) -> None:
    viewer = program("viewer")
    for path in SENSELESS:
        assert viewer.get(path).status_code == 422, path


FORGED = (
    "[99999999999999999999999]",
    "[-99999999999999999999999]",
    '["\\ud800"]',
    '["\\u0000"]',
    "[NaN]",
    "[1e999]",
    '["x", 1, "tcp"]',
    '["4:7f000001", 99999999, "tcp"]',
    '[99999999, "tcp", "x"]',
    '["x", 1, "tcp", "y"]',
    '["x", 1, "tcp", "y", "z"]',
    '[true, "\\ud800"]',
    "{}",
)


def test_a_cursor_that_nobody_gave_is_no_bug(program: Make) -> None:
    viewer = program("viewer")
    for path in (
        "/audit",
        "/scans",
        "/exposures",
        "/assets",
        "/findings",
        "/grants",
        "/alerts",
        "/silences",
        "/members",
        "/tokens",
        "/deliveries",
        "/history/127.0.0.1",
    ):
        for text in FORGED:
            cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
            answer = viewer.get(path, params={"cursor": cursor})
            assert answer.status_code in {200, 422}, (path, text, answer.text)


def test_a_lost_database_is_told_and_not_traced(program: Make, site: Site) -> None:
    viewer = program("viewer")
    path = site.store.path
    assert path is not None
    site.store.engine.dispose()
    path.rename(path.with_suffix(".gone"))
    path.write_bytes(b"this is no database" * 100)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    answer = viewer.get("/grants")
    assert answer.status_code == 503, answer.text
    assert answer.json()["title"] == "Service Unavailable"
    assert "Traceback" not in answer.text


def test_who_asks_too_much_is_told_when_to_ask_again(program: Make, generous: FastAPI) -> None:
    viewer = program("viewer")
    now = 1000.0
    generous.state.limits = Limits(Allowance("visitor", 3, 0.5), Allowance("address", 2, 1.0), clock=lambda: now)
    left = [viewer.get("/me").headers["ratelimit"] for _ in range(3)]
    assert left == ['"visitor";r=2;t=2', '"visitor";r=1;t=4', '"visitor";r=0;t=6']
    answer = viewer.get("/me")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
    assert answer.headers["ratelimit-policy"] == '"visitor";q=3;w=6'
    now += 2
    assert viewer.get("/me").status_code == 200
    assert [viewer.client.get("/api/v1/me", headers={"authorization": "Bearer x"}).status_code for _ in range(3)] == [
        401,
        401,
        429,
    ]
