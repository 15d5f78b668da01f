"""The overview: its empty states, what is new since somebody looked, what nobody measured, and hostile text in all of it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from listeners import HOST, Listener, listening
from reconshield.jobs.dashboard import HeatMap, TrendDay
from reconshield.jobs.grants import add_grant
from reconshield.jobs.scan import prepare_scan, run_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.web.app import make_app
from reconshield.web.call import Site
from reconshield.web.last_look import COOKIE
from reconshield.web.overview_charts import BASE, HEIGHT, draw_heat, draw_trend
from web.conftest import sign_in

EVIL = "<script>alert(1)</script>\u202e\x1b[31m"
HOUR, DAY = 3600.0, 86_400.0
Make = Callable[..., Any]


def hostile(connection: socket.socket) -> None:
    connection.sendall(f"220 {EVIL} ESMTP Postfix {EVIL}\r\n".encode())
    while connection.recv(4096):
        connection.sendall(f"250-{EVIL}\r\n250 8BITMIME\r\n".encode())


@pytest.fixture
def smtp() -> Iterator[Listener]:
    with listening(hostile) as listener:
        yield listener


def measure(site: Site, ports: str, workspace: str = "main", level: int = 3) -> str:
    """A scan in front, under the grant of the workspace."""
    import threading

    store = site.store_of(workspace)
    request = ScanRequest((HOST,), ports=ports, level=level, engine="connect", exempt_own=False, actor="account:tests")
    prepared = prepare_scan(store, site.settings_of(workspace), request, time.time(), policy=None)
    run = ""
    for event in run_scan(store, prepared, time.time, threading.Event()):
        run = getattr(getattr(event, "head", None), "id", run)
    return run


@pytest.fixture
def granted(site: Site) -> Site:
    add_grant(site.store, ["127.77.0.0/29"], by="Ada", now=time.time(), level=4, actor="tests")
    return site


def test_without_a_grant_it_says_that_nobody_allowed_a_scan_and_who_can(person: Make) -> None:
    for role, offered in (("admin", True), ("viewer", False)):
        page = person(role).get("/").text
        assert "Nobody has allowed a scan yet." in page
        assert ('href="/grants">Add a grant' in page) is offered


def test_with_a_grant_and_no_scan_it_offers_one(granted: Site, person: Make) -> None:
    assert "No scan yet." in person("operator").get("/").text
    assert 'href="/scans/new"' in person("operator").get("/").text
    assert 'href="/scans/new"' not in person("viewer").get("/").text


def test_the_answer_then_changes_zones_hosts_and_the_month(granted: Site, smtp: Listener, person: Make) -> None:
    port = smtp.endpoint.port
    run = measure(granted, f"{port},1-5")
    page = person("viewer").get("/").text
    answer = re.findall(r'<p class="answer">(.*?)</p>', page)
    assert answer == ["1 endpoint is open; no policy says which of them are expected; 7 of 8 addresses not measured."]
    parts = [page.index(f'id="{name}"') for name in ("news", "zones", "heat", "trend")]
    assert parts == sorted(parts)
    assert "All good" not in page
    assert "29 days without a measurement are hatched" in page
    assert page.count("t-not-measured") == 29
    later = measure(granted, f"{port},1-6")
    page = person("viewer").get("/").text
    assert run != later
    for text in (page, person("viewer").get("/?since=30d").text, person("viewer").get("/?since=nonsense").text):
        assert "<script>alert" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert " style=" not in text


def test_what_is_against_the_policy_stands_first(granted: Site, smtp: Listener, person: Make, tmp_path: Path) -> None:
    port = smtp.endpoint.port
    (granted.settings.home / "reconshield.toml").write_text(
        f'''version = 1
[[zone]]
name = "lab"
targets = ["127.77.0.0/29"]
owner = "lab team"
[[zone]]
name = "office"
targets = ["192.0.2.0/24"]
[[closed]]
on = ["lab"]
ports = "{port}"
reason = "must not answer"
[[schedule]]
name = "often"
targets = ["lab"]
every = "1h"
fresh = "1s"
''',
        encoding="utf-8",
    )
    add_grant(granted.store, ["192.0.2.0/28"], by="Ada", now=time.time(), level=3, actor="tests")
    measure(granted, "1-5")
    measure(granted, f"{port},1-5")
    time.sleep(1.1)
    page = person("operator").get("/").text
    assert "1 of 1 open endpoint is not as the policy wants, 1 of them new; " in page
    zones = page[page.index('id="zones"') :]
    lab = zones.index('href="/exposures?zone=lab"')
    assert lab < zones.index('href="/exposures?zone=office"')
    assert "16 of 16" in zones
    assert "it should not be older than 1.0 s (schedule often)" in zones
    assert "Nobody has measured <strong>office</strong>" in zones
    (granted.settings.home / "reconshield.toml").write_text("version = [", encoding="utf-8")
    assert "The policy is not used" in person("operator").get("/").text


def test_what_is_new_depends_on_when_this_visitor_looked_last(granted: Site, smtp: Listener) -> None:
    """Within a visit the same things stay new; after half an hour without a look they are not."""
    measure(granted, "1-5")
    now = [time.time()]
    app = make_app(replace(granted, clock=lambda: now[0]))
    ada = sign_in(app, granted, "viewer", "main")
    assert "Changes of the last 7 days" in ada.get("/").text
    kept = ada.client.cookies[COOKIE]
    assert "HttpOnly" in str(ada.get("/").headers.get_list("set-cookie"))
    now[0] += 2 * HOUR
    first = ada.get("/").text
    assert "Since you last looked" in first
    now[0] += 60
    assert looked(ada.get("/").text) == looked(first)
    now[0] += HOUR
    assert looked(ada.get("/").text) > looked(first)
    assert "Changes of the last 24 hours" in ada.get("/?since=1d").text
    other = sign_in(app, granted, "analyst", "main")
    other.client.cookies.set(COOKIE, kept)
    assert "Changes of the last 7 days" in other.get("/").text


def looked(page: str) -> str:
    return str(re.findall(r'Since you last looked, <time datetime="([^"]+)"', page)[0])


def test_a_cookie_that_is_not_ours_changes_nothing(granted: Site, person: Make) -> None:
    viewer = person("viewer")
    session = viewer.client.cookies["rs_session"]
    for value in ("", "x", "1-2", "9999999999999-1-x", "-1--2-x", "1" * 5000, "nan-inf-x", "%u202e", "0-0-"):
        viewer.client.headers["cookie"] = f"{COOKIE}={value}; rs_session={session}"
        assert viewer.get("/").status_code == 200, value


def test_another_workspace_sees_none_of_it(granted: Site, smtp: Listener, person: Make) -> None:
    measure(granted, f"{smtp.endpoint.port}")
    foreign = person("admin", "other").get("/").text
    assert HOST not in foreign
    assert "Nobody has allowed a scan yet." in foreign


def test_the_charts_are_drawn_from_their_numbers() -> None:
    heat = draw_heat(HeatMap((("192.0.2.1", ("mx",)), ("192.0.2.2", ())), ("redis", "ssh"), ((100, None), (None, 20)), 3))
    assert [name for _, name in heat.heads] == ["redis", "ssh"]
    assert [label for _, label, _ in heat.rows] == ["mx", "192.0.2.2"]
    assert [(cell.score, cell.rating) for _, _, cells in heat.rows for cell in cells] == [
        (100, "critical"),
        (None, ""),
        (None, ""),
        (20, "low"),
    ]
    days = [TrendDay(float(number), number, number % 2 == 0) for number in range(30)]
    trend = draw_trend(days)
    assert trend.most == 29
    assert max(day.height for day in trend.days) == HEIGHT
    assert all(day.top + day.height == pytest.approx(BASE) for day in trend.days)
    assert trend.days[0].height == 0
    assert draw_trend([]).days == ()
    assert all(day.height == 0 for day in draw_trend([TrendDay(0.0, 0, False)]).days)
