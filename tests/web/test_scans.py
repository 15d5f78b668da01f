"""Scans in the app: from the form over its plan to the run, live and ended; who may what, and hostile text in every place."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from listeners import HOST, Listener, listening
from reconshield.jobs.coverage import import_plan
from reconshield.jobs.grants import add_grant
from reconshield.report.formats import FORMATS
from reconshield.store import audit
from reconshield.store.runs import create_run, get_run
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


# Empty states ---------------------------------------------------------------------------------------------------------------


def test_without_a_grant_the_pages_say_that_nobody_has_allowed_a_scan(person: Make) -> None:
    admin, viewer = person("admin"), person("viewer")
    for page in (admin.get("/scans"), admin.get("/scans/new")):
        assert "Nobody has allowed a scan yet." in page.text
        assert "Add a grant" in page.text
    seen = viewer.get("/scans").text
    assert "Nobody has allowed a scan yet." in seen
    assert "Add a grant" not in seen


def test_without_a_scan_the_list_says_so_and_offers_one_to_who_may(granted: Site, person: Make) -> None:
    assert "No scan yet." in person("operator").get("/scans").text
    assert "/scans/new" in person("operator").get("/scans").text
    assert "/scans/new" not in person("analyst").get("/scans").text


# The form -------------------------------------------------------------------------------------------------------------------


def test_the_plan_is_shown_before_anything_is_sent(granted: Site, pop3: Listener, person: Make) -> None:
    fields = {"targets": HOST, "ports": f"{pop3.endpoint.port},9100", "engine": "connect"}
    operator = person("operator")
    part = operator.post("/scans/plan", fields, headers={"hx-request": "true"})
    whole = operator.post("/scans/plan", fields)
    for answer in (part, whole):
        assert answer.status_code == 200
        assert "2 endpoints" in answer.text
        assert "g1, level 4" in answer.text
        assert "9100" in answer.text
        assert "no byte is sent" in answer.text
        assert "Nothing was sent" in answer.text
    assert "<html" not in part.text
    assert f"{pop3.endpoint.port},9100" in whole.text
    assert "Authorised use only" in whole.text
    assert pop3.connections == 0


def test_what_no_grant_covers_is_refused_and_logged_under_the_visitors_name(granted: Site, person: Make) -> None:
    answer = person("operator").post("/scans", {"targets": "203.0.113.7", "ports": "110"})
    assert answer.status_code == 403
    assert "No grant covers 203.0.113.7" in answer.text
    assert "Nothing was sent" in answer.text
    assert "203.0.113.7</textarea>" in answer.text
    assert "--authorized-by" not in answer.text
    last = max(audit.entries(granted.store), key=lambda entry: entry.number)
    assert (last.event, last.actor) == ("refused", "account:operator-main")


@pytest.mark.parametrize("target", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_is_not_exempt_in_the_app(granted: Site, person: Make, target: str) -> None:
    assert person("operator").post("/scans", {"targets": target, "ports": "1"}).status_code == 403


@pytest.mark.parametrize("target", ["@/etc/passwd", "-", "--help", f"{HOST}\n@/etc/hostname"])
def test_files_and_options_are_no_targets(granted: Site, person: Make, target: str) -> None:
    for path in ("/scans", "/scans/plan"):
        answer = person("operator").post(path, {"targets": target, "ports": "1"})
        assert answer.status_code == 422
        assert "root:" not in answer.text
    seen = person("operator").post("/scans/targets", {"targets": target})
    assert seen.status_code == 200
    assert "root:" not in seen.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"targets": HOST, "ports": "70000"}, "70000"),
        ({"targets": HOST, "ports": "22", "top": "100"}, "not both"),
        ({"targets": HOST, "top": "x"}, "whole number"),
        ({"targets": HOST, "cluster": "nonsense"}, "no such cluster"),
        ({"targets": HOST, "manner": "fast"}, "as much as this machine can"),
        ({"targets": HOST, "level": "9"}, "no such level"),
        ({"targets": HOST, "engine": "x"}, "no such engine"),
        ({"targets": ""}, "needs a target"),
        ({"targets": "a b\\c<script>", "ports": "1"}, "&lt;script&gt;"),
    ],
)
def test_a_mistake_shows_the_form_again_with_what_was_typed(granted: Site, person: Make, fields: Any, said: str) -> None:
    answer = person("operator").post("/scans", fields)
    assert answer.status_code == 422
    assert said in answer.text
    harmless(answer.text)
    for name in ("ports", "top"):
        if fields.get(name):
            assert f'value="{fields[name]}"' in answer.text


def test_targets_are_checked_while_they_are_typed_without_a_trace(granted: Site, person: Make) -> None:
    operator, before = person("operator"), len(audit.entries(granted.store))
    text = f"{HOST}\n203.0.113.7\nno.such.host.invalid\n300.1.1.1\n"
    seen = operator.post("/scans/targets", {"targets": text}).text
    assert re.search(rf"✓</span> <span class=\"mono\">{HOST}</span>\s+1 address, level 4, grant g1", seen)
    assert "not allowed: no grant covers 203.0.113.7" in seen
    assert "no grant has this name" in seen
    assert "cannot be read" in seen
    assert len(audit.entries(granted.store)) == before


def test_another_page_can_fill_the_form(granted: Site, ended: str, pop3: Listener, person: Make) -> None:
    place = f"{HOST}:{pop3.endpoint.port}/tcp"
    seen = person("operator").get("/scans/new", params={"again": ended, "endpoint": place}).text
    assert f"{HOST}</textarea>" in seen
    assert f'value="{pop3.endpoint.port}"' in seen
    assert person("operator").get(f"/scans/new?again={ABSENT}").status_code == 404


# A run ----------------------------------------------------------------------------------------------------------------------


def test_a_run_says_its_answer_first_then_findings_endpoints_and_coverage(ended: str, pop3: Listener, person: Make) -> None:
    seen = person("viewer").get(f"/scans/{ended}").text
    place = f"{HOST}:{pop3.endpoint.port}/tcp"
    order = [
        seen.index(text) for text in ("of medium severity on 1 host; ", 'id="findings"', 'id="endpoints"', 'id="coverage"')
    ]
    assert order == sorted(order)
    assert place in seen
    assert "Password can travel in clear text" in seen
    assert "41 of 41 planned endpoints measured" in seen
    assert "Ada Example" in seen
    assert "operator-main" in seen
    assert "no policy" in seen


def test_hostile_text_is_harmless_on_every_page_of_a_run(ended: str, pop3: Listener, person: Make) -> None:
    admin, place = person("admin"), f"{HOST}:{pop3.endpoint.port}/tcp"
    paths = ["/scans", f"/scans/{ended}", f"/scans/{ended}/part", f"/scans/{ended}?q=dovecot", f"/scans/{ended}/rejudge"]
    paths += [f"/scans/{ended}/evidence/{place}", f"/scans/{ended}/evidence/{place}?form=hex", f"/scans/{ended}/diff"]
    paths += [f"/scans/{ended}/evidence/{place}?file=text", f"/scans/{ended}/export/table"]
    for path in paths:
        answer = admin.get(path)
        assert answer.status_code == 200, path
        if answer.headers["content-type"].startswith("text/html"):
            harmless(answer.text)
            assert " style=" not in answer.text
            assert "<script>" not in answer.text
        else:
            assert "\x1b" not in answer.text
            assert "\u202e" not in answer.text
    assert "&lt;script&gt;alert(1)" in admin.get(f"/scans/{ended}/evidence/{place}").text
    assert "3c 73 63 72" in admin.get(f"/scans/{ended}/evidence/{place}?form=hex").text


def test_hostile_filters_are_harmless_too(ended: str, person: Make) -> None:
    for name in ("q", "rating", "service", "zone", "verdict", "sort", "start"):
        answer = person("viewer").get(f"/scans/{ended}", params={name: EVIL})
        assert answer.status_code == 200
        harmless(answer.text)


def test_a_run_too_large_to_be_read_whole_says_the_same(
    ended: str, pop3: Listener, person: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reconshield.web import run_result

    viewer = person("viewer")

    def parts(query: str = "") -> list[str]:
        text = viewer.get(f"/scans/{ended}{query}").text
        harmless(text)
        rows = text[text.index('id="endpoints"') : text.index('id="coverage"')]
        return [re.findall(r'<p class="answer">(.*?)</p>', text)[0], *re.findall(r"<(?:td|th|caption)\b.*", rows)]

    whole = [parts(), parts("?service=pop3"), parts("?q=dovecot&sort=endpoint"), parts("?rating=critical")]
    monkeypatch.setattr(run_result, "SMALL", -1)
    assert [parts(), parts("?service=pop3"), parts("?q=dovecot&sort=endpoint"), parts("?rating=critical")] == whole
    assert parts("?after=nonsense") == whole[0]
    assert len(whole[0]) == 5


def test_of_large_runs_only_two_are_read_at_a_time(ended: str, person: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconshield.web import heavy

    viewer = person("viewer")
    monkeypatch.setattr(heavy, "PATIENCE", 0.05)
    with heavy.SLOTS, heavy.SLOTS:
        assert viewer.get(f"/scans/{ended}/export/json").status_code == 200
        monkeypatch.setattr(heavy, "LARGE", 0)
        for path in ("export/json", f"diff/{ended}"):
            busy = viewer.get(f"/scans/{ended}/{path}")
            assert busy.status_code == 429
            assert "Two large runs are being read for others" in busy.text
    for _ in range(5):
        assert viewer.get(f"/scans/{ended}/export/json").status_code == 200


def test_every_endpoint_of_a_finding_is_listed(ended: str, pop3: Listener, person: Make) -> None:
    page = person("viewer").get(f"/scans/{ended}/findings/pop3-cleartext-login")
    assert f"{HOST}:{pop3.endpoint.port}/tcp" in page.text
    assert "on 1 endpoint of 1 address" in page.text
    assert person("viewer").get(f"/scans/{ended}/findings/no-such-check").status_code == 404


def test_filters_facets_and_columns(ended: str, person: Make) -> None:
    viewer = person("viewer")
    page = viewer.get(f"/scans/{ended}").text
    assert "1 of 1 open endpoint" in page or re.search(r"(\d+) of \1 open endpoints", page)
    assert "Nothing matches" in viewer.get(f"/scans/{ended}?q=redis&zone=office").text
    assert "zone:office" in viewer.get(f"/scans/{ended}?q=redis&zone=office").text
    assert "Dovecot" in viewer.get(f"/scans/{ended}?service=pop3&sort=endpoint").text
    assert 'aria-sort="ascending"' in viewer.get(f"/scans/{ended}?sort=endpoint").text


def test_a_run_can_be_taken_away_in_every_format(ended: str, pop3: Listener, person: Make) -> None:
    viewer = person("viewer")
    found = {name: viewer.get(f"/scans/{ended}/export/{name}") for name in FORMATS}
    for answer in found.values():
        assert answer.status_code == 200
        assert f'attachment; filename="{ended}.' in answer.headers["content-disposition"]
        assert str(pop3.endpoint.port) in answer.text
    assert json.loads(found["json"].text)
    types = {json.loads(line)["type"] for line in found["jsonl"].text.splitlines()}
    assert types >= {"run", "service", "finding", "summary"}
    assert len(list(csv.reader(io.StringIO(found["csv"].text)))) >= 2
    assert ET.fromstring(found["nmap-xml"].text).tag == "nmaprun"
    assert viewer.get(f"/scans/{ended}/export/exe").status_code == 404


def test_a_page_to_pass_on_holds_what_was_answered_only_when_asked(ended: str, person: Make) -> None:
    viewer = person("viewer")
    assert "SASL PLAIN\\r\\n" not in viewer.get(f"/scans/{ended}/export/html").text
    assert "SASL PLAIN\\r\\n" in viewer.get(f"/scans/{ended}/export/html?evidence=true").text


def test_the_evidence_marks_the_turn_that_decides(ended: str, pop3: Listener, person: Make) -> None:
    place = f"{HOST}:{pop3.endpoint.port}/tcp"
    seen = person("operator").get(f"/scans/{ended}/evidence/{place}").text
    decisive = seen.split('class="decides"')[1].split("</li>")[0]
    assert "CAPA\\r\\n" in decisive
    assert "SASL PLAIN" in decisive
    assert "44 base = 44" in seen
    assert "login in clear" in seen[seen.index("The arithmetic") :]
    for words in ("pop3-cleartext-login", "Refuted if", "Not sent", "nobody&#39;s name", "Rung", "Verify by re-scan"):
        assert words in seen
    silent = person("viewer").get(f"/scans/{ended}/evidence/{HOST}:7/tcp").text
    assert "Closed (conn-refused)" in silent
    assert "Verify by re-scan" not in silent
    assert person("viewer").get(f"/scans/{ended}/evidence/{HOST}:60000/tcp").status_code == 404
    assert person("viewer").get(f"/scans/{ended}/evidence/nonsense").status_code == 404


def test_the_evidence_can_be_downloaded(ended: str, pop3: Listener, person: Make) -> None:
    place = f"{HOST}:{pop3.endpoint.port}/tcp"
    text = person("viewer").get(f"/scans/{ended}/evidence/{place}?file=text")
    assert "because" in text.text
    assert text.headers["content-disposition"].endswith(f'{HOST}_{pop3.endpoint.port}_tcp.txt"')
    lines = person("viewer").get(f"/scans/{ended}/evidence/{place}?file=json").text.splitlines()
    assert [json.loads(line)["type"] for line in lines][:2] == ["observation", "service"]


def test_judging_again_says_that_nothing_differs(ended: str, person: Make) -> None:
    assert "Nothing is judged differently" in person("analyst").get(f"/scans/{ended}/rejudge").text
    assert person("operator").post(f"/scans/{ended}/rejudge").headers["location"] == f"/scans/{ended}"


def test_two_runs_are_compared_the_earlier_one_first(granted: Site, ended: str, pop3: Listener, person: Make) -> None:
    operator = person("operator")
    port = pop3.endpoint.port
    pop3.stop_listening()
    time.sleep(1.1)  # ids of runs tell seconds apart, and the earlier one is known by its time
    later = start(operator, f"{port},1-40", level="3")
    until_ended(granted, later)
    assert ended in operator.get(f"/scans/{later}/diff").text
    chosen = operator.get(f"/scans/{later}/diff?other={ended}").headers["location"]
    for path in (chosen, f"/scans/{ended}/diff/{later}"):
        seen = operator.get(path).text
        assert "1 change" in seen
        assert re.search(r"<td[^>]*>closed</td>", seen)
        assert f"{HOST}:{port}/tcp" in seen
        assert seen.index(ended, seen.index("Before")) < seen.index(later, seen.index("Before"))
        harmless(seen)
    assert "Nothing matches" not in operator.get(f"{chosen}?kind=closed").text


# While it runs --------------------------------------------------------------------------------------------------------------


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


def running_elsewhere(site: Site, workspace: str = "main") -> str:
    """A run that another process measures, or did until it was killed."""
    from reconshield.addresses import AddressSet, PortSet
    from reconshield.scan.plan import make_plan

    plan = make_plan(AddressSet.of(HOST), PortSet(tcp=((1, 500),)), rate=1000, seed=1)
    options = {"targets": [HOST], "exclude": [], "shard": [0, 1], "dropped": []}
    store = replace(site.store, workspace=workspace)
    made = create_run(
        store, plan=plan.to_json(), engine="connect", vantage="local", grants=["g1"], level=2, now=time.time(), options=options
    )
    return made.id


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
    from reconshield.store.runs import finish_run

    finish_run(granted.store, run.id, "failed", None, time.time())
    page = person("viewer").get(f"/scans/{run.id}")
    assert page.status_code == 200
    assert "This import was not finished." in page.text
    assert "failed" in person("viewer").get("/scans?state=failed").text


def test_an_import_says_that_it_is_one_and_offers_no_measurement(granted: Site, person: Make, tmp_path: Any) -> None:
    from reconshield.jobs.imports import import_file

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
    import threading

    from reconshield.jobs.scan import prepare_scan, run_scan
    from reconshield.jobs.scan_request import ScanRequest

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


# Who may what ---------------------------------------------------------------------------------------------------------------

READS = (
    "",
    "/part",
    "/findings/pop3-cleartext-login",
    "/events",
    "/export/json",
    "/diff",
    "/diff/{run}",
    "/rejudge",
    "/evidence/127.77.0.3:1/tcp",
)
CHANGES = ("/stop", "/pause", "/resume", "/rejudge")


def test_another_workspace_finds_none_of_it(ended: str, person: Make) -> None:
    foreigner = person("admin", "other")
    for path in READS:
        answer = foreigner.get(f"/scans/{ended}{path.format(run=ended)}")
        assert answer.status_code == 404, path
        assert HOST not in answer.text.replace(f"/evidence/{HOST}", "").replace(f"{HOST}:1", ""), path
    for path in CHANGES:
        assert foreigner.post(f"/scans/{ended}{path}").status_code == 404, path
    assert ended not in foreigner.get("/scans").text
    assert foreigner.get(f"/scans?after={ended}").status_code == 404
    unknown = foreigner.get(f"/scans/{ABSENT}").text.replace(ABSENT, "RUN")
    assert unknown == foreigner.get(f"/scans/{ended}").text.replace(ended, "RUN")


@pytest.mark.parametrize("name", ["latest", "2026", "..%2f..", "20260101-000000-BEEF", "x" * 300])
def test_only_whole_ids_lead_to_a_run(ended: str, person: Make, name: str) -> None:
    assert person("viewer").get(f"/scans/{name}").status_code == 404
    assert person("viewer").get(f"/scans/{ended[:-1]}").status_code == 404


def test_viewers_read_analysts_judge_operators_measure(ended: str, person: Make) -> None:
    viewer, analyst, operator = person("viewer"), person("analyst"), person("operator")
    assert viewer.get(f"/scans/{ended}").status_code == 200
    assert viewer.get(f"/scans/{ended}/rejudge").status_code == 403
    assert analyst.get(f"/scans/{ended}/rejudge").status_code == 200
    for somebody in (viewer, analyst):
        assert somebody.get("/scans/new").status_code == 403
        for path in ("/scans", "/scans/plan", "/scans/targets", *(f"/scans/{ended}{change}" for change in CHANGES)):
            assert somebody.post(path, {"targets": HOST, "ports": "1"}).status_code == 403, path
    assert operator.get("/scans/new").status_code == 200
    assert "Measure again" in operator.get(f"/scans/{ended}").text
    assert "Measure again" not in analyst.get(f"/scans/{ended}").text


def test_the_list_is_cut_into_pages(granted: Site, person: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconshield.store.runs import finish_run
    from reconshield.web.pages import scans

    monkeypatch.setattr(scans, "A_PAGE", 2)
    made = [running_elsewhere(granted) for _ in range(5)]
    for run in made:
        finish_run(granted.store, run, "partial", None, time.time())
    viewer, path, seen = person("viewer"), "/scans", []
    while path:
        text = viewer.get(path).text
        seen += re.findall(r'<th scope="row"><a class="mono" href="/scans/([^"]+)"', text)
        older = re.search(r'rel="next" href="([^"]+)"', text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == list(reversed(made))
    assert viewer.get("/scans?state=nonsense").status_code == 404
