"""A scan over the API, from the plan to the report, of listeners that this test opens itself."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from cli import inside
from reconshield.web.call import Site
from web.api.test_policy import save
from web.api.test_reports import POLICY, take_in

Make = Callable[..., Any]


@pytest.fixture
def listener() -> Iterator[int]:
    with greeter() as port:
        yield port


@contextmanager
def greeter() -> Iterator[int]:
    """A port of loopback that greets as an FTP server does."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=greet, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def greet(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with closing(connection):
            connection.settimeout(2)
            try:
                connection.sendall(b"220 (vsFTPd 3.0.5)\r\n")
                while connection.recv(200):
                    connection.sendall(b"530 Please login with USER and PASS.\r\n")
            except OSError:
                continue


def finish(program: Any, run: str) -> Any:
    """Wait for the end of a scan."""
    for _ in range(300):
        found = program.get(f"/scans/{run}").json()
        if found["state"]["phase"] == "ended":
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def scan(program: Any, *ports: int, level: int = 2) -> str:
    wish = {"targets": ["127.0.0.1"], "ports": ",".join(map(str, ports)), "engine": "connect", "level": level}
    started = program.post("/scans", wish)
    assert started.status_code == 202, started.text
    run: str = started.json()["run"]
    assert started.headers["location"] == f"/api/v1/scans/{run}"
    finish(program, run)
    return run


def allow(program: Make, workspace: str = "main") -> Any:
    admin = program("admin", workspace)
    assert admin.post("/grants", {"targets": ["127.0.0.1"], "by": "Ada"}).status_code == 201
    return admin


def test_without_a_grant_nothing_is_sent_not_even_to_this_machine(program: Make) -> None:
    operator = program("operator")
    wish = {"targets": ["127.0.0.1"], "ports": "9"}
    for path in ("/scans/plan", "/scans"):
        refused = operator.post(path, wish)
        assert refused.status_code == 403
        assert "grant" in refused.text
    assert operator.all("/scans") == []
    assert {row["event"] for row in operator.all("/audit")} >= {"refused"}


def test_a_scan_from_its_plan_to_its_results(program: Make, listener: int) -> None:
    allow(program)
    operator = program("operator")
    wish = {"targets": ["127.0.0.1"], "ports": f"{listener},9", "engine": "connect", "seed": 7}
    plan = operator.post("/scans/plan", wish).json()
    assert (plan["endpoints"], plan["seed"], plan["grant"]) == (2, 7, "g1")
    run = operator.post("/scans", wish).json()["run"]
    ended = finish(operator, run)
    assert ended["state"]["outcome"] == "complete"
    assert (ended["summary"]["open"], ended["summary"]["closed"]) == (1, 1)
    assert [row["id"] for row in operator.all("/scans")] == [run]
    opened = operator.all(f"/scans/{run}/observations")
    assert [(row["ip"], row["port"], row["state"]) for row in opened] == [("127.0.0.1", listener, "open")]
    assert {row["state"] for row in operator.all(f"/scans/{run}/observations", states="answered", limit=1)} == {
        "open",
        "closed",
    }
    (service,) = operator.all(f"/scans/{run}/services")
    assert service["service"] == "ftp"
    findings = operator.all(f"/scans/{run}/findings", limit=1)
    assert findings
    kinds = [row["type"] for row in operator.get(f"/scans/{run}/evidence/127.0.0.1:{listener}").json()]
    assert kinds[:2] == ["observation", "service"]
    assert operator.get(f"/scans/{run}/evidence/127.0.0.1:1").status_code == 404
    assert [row["port"] for row in operator.all("/exposures")] == [listener]
    assert operator.all("/exposures", port=9) == []
    assert {row["check"] for row in operator.all("/findings")} == {row["check"] for row in findings}
    assert [row["asset"] for row in operator.all("/assets")] == ["127.0.0.1"]
    seen = operator.all("/history/127.0.0.1", limit=1)
    assert {row["observation"]["port"] for row in seen} == {listener, 9}
    assert operator.post(f"/scans/{run}/rejudge", {}).json() == []


def test_pages_say_what_the_command_line_says(program: Make, site: Site, listener: int) -> None:
    operator = allow(program)
    with greeter() as other, greeter() as third:
        run = scan(operator, listener, other, third, 9, level=3)
    nobody = program("viewer", "other").get(f"/ports/{listener}/exposure").json()
    assert (nobody["state"], nobody["addresses"], nobody["worst"]) == ("no-grants", 0, [])
    here = operator.get(f"/ports/{listener}/exposure").json()
    assert (here["addresses"], here["measured"], here["open"], here["grants"]) == (1, 1, 1, ["g1"])
    assert here["worst"] == operator.all("/exposures", port=listener)
    declared = '\n[[asset]]\nname = "desk"\naddresses = ["127.0.0.1"]\n\n[[asset]]\nname = "shelf"\naddresses = ["192.0.2.9"]\n'
    save(operator, POLICY.replace("192.0.2.0/24", "127.0.0.0/8") + declared)
    exposures = inside.run(site.settings.home, "exposures", "--json").lines
    assert len(exposures) == 3
    assert operator.all("/exposures", limit=1) == operator.all("/exposures") == exposures
    assert operator.all("/exposures", verdict="forbidden", port=listener) == [
        row for row in exposures if row["port"] == listener
    ]
    assert operator.all("/exposures", failing=True, limit=2) == exposures
    assert operator.all("/exposures", q="ftp") == [row for row in exposures if row["service"]["service"] == "ftp"]
    assert operator.all("/exposures", rating="critical", zone="nowhere") == []
    take_in(operator)
    by_name = lambda row: (not row["declared"], row["asset"])  # noqa: E731
    assets = sorted(inside.run(site.settings.home, "assets", "--json").lines, key=by_name)
    assert [row["asset"] for row in assets] == ["desk", "shelf", "192.0.2.7"]
    assert operator.all("/assets", limit=1) == operator.all("/assets") == assets
    assert [row["asset"] for row in operator.all("/assets", zone="wan", limit=1)] == ["shelf", "192.0.2.7"]
    report = inside.run(site.settings.home, "report", run, "--json").lines
    for kind, path in (("service", "services"), ("observation", "observations")):
        told = sorted((row for row in report if row["type"] == kind), key=lambda row: row["port"])
        assert operator.all(f"/scans/{run}/{path}", limit=1) == told
    findings = operator.all("/findings", limit=1)
    assert findings == operator.all("/findings") == [row for row in report if row["type"] == "finding"]
    assert {row["id"] for row in operator.all(f"/scans/{run}/findings", limit=1)} == {row["id"] for row in findings}
    worst = max(row["severity"] for row in findings)
    assert operator.all("/findings", least=worst, check=findings[0]["check"], zone="lab", limit=1)
    for path in ("/exposures", "/findings", f"/scans/{run}/services", f"/scans/{run}/observations", f"/scans/{run}/findings"):
        for cursor in ("WzFd", "WyJ4IiwxLCJ0Y3AiXQ", "WyIwMCIsOTk5OTk5LCJ0Y3AiXQ", "WyJ6eiIsMSwidGNwIiwieCJd"):
            assert operator.get(path, params={"cursor": cursor}).status_code == 422, (path, cursor)


def test_two_runs_are_compared(program: Make, listener: int) -> None:
    operator = allow(program)
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        before = scan(operator, listener, port)
    after = scan(operator, listener, port)
    changes = operator.all(f"/scans/{after}/diff/{before}")
    assert [(row["change"], row["port"]) for row in changes] == [("closed", port)]
    assert operator.get(f"/scans/{after}/diff/latest").status_code == 404
    assert [row["id"] for row in operator.all("/scans", limit=1)] == [after, before]


def test_progress_comes_as_events_to_the_end(program: Make, listener: int) -> None:
    operator = allow(program)
    run = operator.post("/scans", {"targets": ["127.0.0.1"], "ports": str(listener), "engine": "connect"}).json()["run"]
    answer = operator.get(f"/scans/{run}/events")
    assert answer.headers["cache-control"] == "no-store"
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in answer.text.split("\n\n") if block]
    assert {block["event"] for block in blocks} == {"state"}
    versions = [int(block["id"]) for block in blocks]
    assert versions == sorted(versions)
    last = json.loads(blocks[-1]["data"])
    assert (last["run"], last["phase"], last["outcome"]) == (run, "ended", "complete")
    again = operator.get(f"/scans/{run}/events", headers={"last-event-id": str(versions[-1] - 1)})
    assert [line for line in again.text.splitlines() if line.startswith("id")] == [f"id: {versions[-1]}"]
    known = operator.get(f"/scans/{run}/events", headers={"last-event-id": str(versions[-1])})
    assert known.text == answer.text.split("\n\n")[-2] + "\n\n"


def test_a_scan_is_stopped_resumed_and_removed(program: Make, listener: int) -> None:
    admin = allow(program)
    wish = {"targets": ["127.0.0.1"], "ports": f"{listener},20000-40000", "engine": "connect", "rate": 500}
    run = admin.post("/scans", wish, headers={"idempotency-key": "one"}).json()["run"]
    assert admin.post("/scans", wish, headers={"idempotency-key": "one"}).json()["run"] == run
    assert admin.delete(f"/scans/{run}").status_code == 409
    assert admin.post(f"/scans/{run}/resume", {}).status_code == 409
    assert admin.post(f"/scans/{run}/pause").status_code == 202
    ended = finish(admin, run)
    assert (ended["state"]["ending"], ended["state"]["outcome"]) == ("paused", "partial")
    assert admin.post(f"/scans/{run}/stop").status_code == 409
    resumed = admin.post(f"/scans/{run}/resume", {"rate": 500})
    assert (resumed.status_code, resumed.json()["run"]) == (202, run)
    assert admin.post(f"/scans/{run}/stop").status_code == 202
    finish(admin, run)
    assert admin.delete(f"/scans/{run}").status_code == 204
    assert admin.get(f"/scans/{run}").status_code == 404
    assert admin.all("/audit")[0]["event"] == "run-removed"
    assert admin.post("/scans/prune", {"older": "1h"}).json()["removed"]["runs"] == 0
