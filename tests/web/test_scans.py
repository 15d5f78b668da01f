"""The form of a scan, the list of scans, and who may what with them."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from listeners import HOST, Listener
from reconshield.store import audit
from reconshield.store.runs import finish_run
from reconshield.web.call import Site
from web.runs import ABSENT, Make, harmless, running_elsewhere

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
