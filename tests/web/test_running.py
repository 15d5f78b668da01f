"""Scans that are still measured, here or elsewhere, and runs that are none of ours: imports, and this machine alone."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from listeners import HOST, Listener
from reconshield.jobs.coverage import import_plan
from reconshield.jobs.imports import import_file
from reconshield.jobs.scan import prepare_scan, run_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.store.runs import create_run, finish_run, get_run
from reconshield.web.call import Site
from web.runs import Make, Person, harmless, running_elsewhere, start, until_ended


def test_a_running_scan_can_be_watched_stopped_and_resumed(granted: Site, person: Make) -> None:
    operator, viewer = person("operator"), person("viewer")
    run = start(operator, "1-3000", level="2")  # no more than 1,000 a second to one host, so it takes three
    page = operator.get(f"/scans/{run}").text
    assert "Closing this page does not stop the scan." in page
    assert f'sse-connect="/scans/{run}/events"' in page
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
    assert f'action="/scans/{run}/pause"' in page
    assert f'action="/scans/{run}/stop"' not in viewer.get(f"/scans/{run}").text
    assert "running" in viewer.get("/scans").text
    assert run in viewer.get("/scans?state=running").text
    assert operator.post(f"/scans/{run}/pause").status_code == 303
    until_ended(granted, run)
    kept = get_run(granted.store, run)
    assert kept is not None
    assert kept.state == "partial"
    page = operator.get(f"/scans/{run}").text
    assert "paused" in page
    assert "of the others nothing is said here" in page
    assert "http-equiv" not in page
    assert viewer.post(f"/scans/{run}/resume").status_code == 403
    assert operator.post(f"/scans/{run}/resume").status_code == 303
    again = operator.post(f"/scans/{run}/resume")
    assert again.status_code == 422
    assert "being measured" in again.text
    until_ended(granted, run)
    done = get_run(granted.store, run)
    assert done is not None
    assert done.state == "complete"
    assert operator.post(f"/scans/{run}/resume").status_code == 422


def test_what_waits_for_its_turn_says_why(granted: Site, person: Make) -> None:
    operator = person("operator")
    runs = [start(operator, "1-9000", level="2") for _ in range(3)]
    page = operator.get(f"/scans/{runs[2]}").text
    assert "Waiting: 2 scans of this workspace at a time; waits for its turn." in page
    assert "waiting" in operator.get("/scans").text
    for run in reversed(runs):
        assert operator.post(f"/scans/{run}/stop").status_code == 303
    for run in runs:
        until_ended(granted, run)
    assert "0 of 9,000 endpoints are measured" in operator.get(f"/scans/{runs[2]}").text
    assert "Nothing was measured, so nothing is known yet." in operator.get(f"/scans/{runs[2]}").text


def test_an_account_watches_so_many_scans_and_no_more(granted: Site, person: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconshield.web import heavy

    operator, run = person("operator"), running_elsewhere(granted)
    monkeypatch.setitem(heavy.WATCHING, ("main", "operator-main"), heavy.WATCHED)
    refused = operator.get(f"/scans/{run}/events")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    monkeypatch.delitem(heavy.WATCHING, ("main", "operator-main"))
    assert operator.post(f"/scans/{run}/resume").status_code == 303
    assert read_events(operator, run)[-1][0] == "ended"
    assert not heavy.WATCHING


def read_events(somebody: Person, run: str) -> list[tuple[str, str]]:
    """Every event of a stream, to its end."""
    found = []
    with somebody.client.stream("GET", f"/scans/{run}/events") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        for block in "".join(answer.iter_text()).split("\n\n"):
            if block:
                lines = block.split("\n")
                found.append((lines[0].removeprefix("event: "), "\n".join(line.removeprefix("data: ") for line in lines[1:])))
    return found


def test_the_stream_tells_progress_then_the_end(granted: Site, pop3: Listener, person: Make) -> None:
    operator = person("operator")
    run = start(operator, f"1-2000,{pop3.endpoint.port}", level="3")
    events = read_events(operator, run)
    assert [name for name, _ in events][-1] == "ended"
    assert {name for name, _ in events} == {"progress", "ended"}
    assert len(events) >= 3
    for _, part in events:
        harmless(part)
    assert any("loss 0 %" in part for _, part in events)
    last = events[-2][1]
    assert f"{HOST}:{pop3.endpoint.port}/tcp" in last
    assert "pop3" in last
    assert operator.get(f"/scans/{run}/part").text.lstrip().startswith('<div id="run"')
    assert [name for name, _ in read_events(operator, run)][-1] == "ended"


def test_a_stream_ends_when_its_session_does(granted: Site, person: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconshield.web import stream

    monkeypatch.setattr(stream, "ASK_AGAIN", 0.0)
    monkeypatch.setattr(stream, "LOOK_EVERY", 0.01)
    operator = person("operator")
    run = running_elsewhere(granted)
    looks = []

    def signs_out(call: Any) -> bool:
        looks.append(call)
        return len(looks) < 3

    monkeypatch.setattr(stream, "still_allowed", signs_out)
    assert [name for name, _ in read_events(operator, run)] == ["progress", "progress", "gone"]


def test_a_run_of_another_process_is_shown_as_far_as_it_is_saved(granted: Site, person: Make) -> None:
    run = running_elsewhere(granted)
    page = person("operator").get(f"/scans/{run}").text
    assert "Another process measures this run" in page
    assert "0 of 500" in page
    assert f'action="/scans/{run}/stop"' not in page
    assert "Resume here" in page
    assert "running elsewhere" in person("viewer").get("/scans").text
    assert "running elsewhere" in person("viewer").get("/scans/running").text
    assert person("operator").post(f"/scans/{run}/resume").status_code == 303
    until_ended(granted, run)
    assert "500 of 500" in person("viewer").get(f"/scans/{run}").text
    assert "No scan is being measured any more" in person("viewer").get("/scans/running").text


def test_an_import_that_was_not_finished_shows_no_result(granted: Site, person: Make) -> None:
    said = {"ports": "", "endpoints": 0, "addresses": 0}
    options = {"targets": ["192.0.2.1"], "exclude": [], "dropped": [], "imported": said}
    run = create_run(
        granted.store,
        plan=import_plan(None),
        engine="nmap",
        vantage="x",
        grants=[],
        level=2,
        now=time.time(),
        options=options,
    )
    finish_run(granted.store, run.id, "failed", None, time.time())
    page = person("viewer").get(f"/scans/{run.id}")
    assert page.status_code == 200
    assert "This import was not finished." in page.text
    assert "failed" in person("viewer").get("/scans?state=failed").text


def test_an_import_says_that_it_is_one_and_offers_no_measurement(granted: Site, person: Make, tmp_path: Any) -> None:
    path = tmp_path / "x.xml"
    path.write_text(
        '<nmaprun scanner="nmap" args="nmap x" start="1795000000" version="7.95"><scaninfo type="syn" protocol="tcp"'
        ' numservices="1" services="25"/><host><status state="up"/><address addr="192.0.2.7" addrtype="ipv4"/><ports>'
        '<port protocol="tcp" portid="25"><state state="open" reason="syn-ack"/><service name="smtp"'
        ' product="&lt;script&gt;alert(3)&lt;/script&gt;" method="probed" conf="10"/></port></ports></host>'
        '<runstats><finished time="1795000009" exit="success"/></runstats></nmaprun>'
    )
    run = import_file(granted.store, path).run.id
    operator = person("operator")
    for page in (operator.get(f"/scans/{run}").text, operator.get("/scans").text):
        harmless(page)
        assert "imported, nmap" in page
    page = operator.get(f"/scans/{run}").text
    assert "192.0.2.7:25/tcp" in page
    assert "Measure again" not in page
    assert "Resume" not in page
    harmless(operator.get(f"/scans/{run}/evidence/192.0.2.7:25/tcp").text)


def test_what_only_this_machine_reaches_is_one_line_and_not_rated(site: Site, person: Make) -> None:
    """As the command line measures it at the first start, without a grant."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        request = ScanRequest(("localhost",), ports=f"{port},9", level=2)
        events = run_scan(
            site.store, prepare_scan(site.store, site.settings, request, time.time(), policy=None), time.time, threading.Event()
        )
        run = next(event.head.id for event in list(events) if hasattr(event, "head"))
    page = person("viewer").get(f"/scans/{run}").text
    assert "No endpoint is open to other hosts; 1 endpoint open of " in page
    assert "1 of them reachable from this machine alone" in page
    assert f'This machine only, not rated: <span class="mono">{port}/tcp' in page
    assert "No endpoint here is open to other hosts." in page
    assert 'id="findings"' not in page
    assert "not needed" in page
