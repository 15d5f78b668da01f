"""The page of a run that ended: what it says first, its endpoints, evidence, files and comparisons, whatever servers said."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from xml.etree import ElementTree as ET

import pytest

from listeners import HOST, Listener
from reconshield.report.formats import FORMATS
from reconshield.web.call import Site
from web.runs import EVIL, Make, harmless, start, until_ended


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
