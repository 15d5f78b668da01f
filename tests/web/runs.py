"""Scans of a server that says hostile things, begun in the app: what the tests of the pages of a run share."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from listeners import HOST, Listener, listening
from reconshield.addresses import AddressSet, PortSet
from reconshield.jobs.grants import add_grant
from reconshield.scan.plan import make_plan
from reconshield.store.runs import create_run
from reconshield.web.call import Site

EVIL = '<script>alert(1)</script>\u202e\'" onx="\x1b[31m'
ABSENT = "20260101-000000-beef"
Person = Any
Make = Callable[..., Any]


def hostile(connection: socket.socket) -> None:
    """Speaks POP3 well enough to be believed, and puts markup wherever it can."""
    connection.sendall(f"+OK Dovecot {EVIL} ready.\r\n".encode())
    while asked := connection.recv(4096):
        if asked.strip().upper() == b"CAPA":
            connection.sendall(f"+OK\r\nUSER\r\nSASL PLAIN\r\nIMPLEMENTATION {EVIL}\r\n.\r\n".encode())
        else:
            connection.sendall(b"-ERR <img src=x onerror=alert(2)>\r\n")


@pytest.fixture
def pop3() -> Iterator[Listener]:
    with listening(hostile) as listener:
        yield listener


@pytest.fixture
def granted(site: Site) -> Site:
    add_grant(site.store, [HOST], by="Ada Example", now=time.time(), level=4, actor="tests")
    return site


def until_ended(site: Site, run: str, workspace: str = "main") -> None:
    version, deadline = 0, time.monotonic() + 30
    while time.monotonic() < deadline:
        state = site.live.wait(workspace, run, version, 1)
        if state and state.phase == "ended":
            return
        version = state.version if state else version
    raise AssertionError(site.live.state(workspace, run))


def start(somebody: Person, ports: str, **more: str) -> str:
    answer = somebody.post("/scans", {"targets": HOST, "ports": ports, "engine": "connect", **more})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removeprefix("/scans/")


@pytest.fixture
def ended(granted: Site, pop3: Listener, person: Make) -> str:
    run = start(person("operator"), f"{pop3.endpoint.port},1-40", level="3")
    until_ended(granted, run)
    return run


def harmless(text: str) -> None:
    """Nothing that a stranger sent is markup, moves a cursor or turns text round."""
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert ' onx="' not in text


def running_elsewhere(site: Site, workspace: str = "main") -> str:
    """A run that another process measures, or did until it was killed."""
    plan = make_plan(AddressSet.of(HOST), PortSet(tcp=((1, 500),)), rate=1000, seed=1)
    options = {"targets": [HOST], "exclude": [], "shard": [0, 1], "dropped": []}
    store = replace(site.store, workspace=workspace)
    made = create_run(
        store, plan=plan.to_json(), engine="connect", vantage="local", grants=["g1"], level=2, now=time.time(), options=options
    )
    return made.id
