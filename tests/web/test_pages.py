"""The pages as people use them: what they show, what they change, and what hostile text becomes on them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from reconshield.jobs.grants import add_grant
from reconshield.store import audit
from reconshield.web.call import Site

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e'\"&"


@pytest.fixture
def banner() -> Iterator[int]:
    """A listener on loopback that greets with hostile text; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            with caller:
                caller.settimeout(2)
                try:
                    caller.sendall(b"220 " + HOSTILE.encode() + b" ESMTP\r\n")
                    caller.recv(100)
                except OSError:
                    continue

    thread = threading.Thread(target=greet, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def web_server() -> Iterator[int]:
    """A server made for development, as Python brings one along; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join(5)


def allow_loopback(site: Site) -> None:
    add_grant(site.store, ["127.0.0.1"], by="Ada", now=time.time(), level=3)


def analyze(somebody: Any, site: Site, port: int) -> str:
    """Press the button on the page of a port and wait for the scan; its id."""
    answer = somebody.post(f"/ports/{port}/analyze")
    assert answer.status_code == 303, answer.text
    run: str = answer.headers["location"].rpartition("/")[2]
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        state = site.live.state("main", run)
        if state is not None and state.phase == "ended":
            return run
        time.sleep(0.05)
    raise AssertionError("the scan did not end")


def test_the_panel_of_a_port_goes_from_not_allowed_to_measured(site: Site, person: Callable[..., Any], banner: int) -> None:
    operator = person("operator")
    assert "Nobody has allowed a scan yet" in operator.get(f"/ports/{banner}").text
    allow_loopback(site)
    before = operator.get(f"/ports/{banner}").text
    assert "Not measured" in before
    assert "this does not mean closed" in before
    assert f"Analyze infrastructure for port {banner}" in before
    analyze(operator, site, banner)
    after = operator.get(f"/ports/{banner}").text
    assert "Exposed, not expected: 1 endpoint" in after
    assert f"127.0.0.1:{banner}/tcp" in after
    entry = audit.entries(site.store, 1)[0]
    assert (entry.event, entry.actor) == ("used", "account:operator-main")


def test_a_scan_from_a_page_is_refused_without_a_grant_although_the_address_is_its_own(
    site: Site, person: Callable[..., Any]
) -> None:
    operator = person("operator")
    add_grant(site.store, ["192.0.2.1"], by="Ada", now=time.time(), level=1)
    answer = operator.post("/ports/110/analyze")
    assert answer.status_code in {403, 422}
    assert not site.live.running("main")


def test_hostile_banners_stay_text_wherever_they_appear(site: Site, person: Callable[..., Any], banner: int) -> None:
    operator = person("operator")
    allow_loopback(site)
    analyze(operator, site, banner)
    for path in (f"/ports/{banner}", "/exposures", "/findings", "/assets", "/policy/propose", f"/exposures?q={banner}"):
        text = operator.get(path).text
        assert "<script>alert" not in text, path
        assert "\x1b" not in text, path
        assert "\u202e" not in text, path


def test_a_finding_is_accepted_with_reason_owner_and_end_and_stays_in_the_list(
    site: Site, person: Callable[..., Any], web_server: int
) -> None:
    analyst, operator = person("analyst"), person("operator")
    allow_loopback(site)
    analyze(operator, site, web_server)
    listed = analyst.get("/findings").text
    found = [part.partition('"')[0] for part in listed.split('href="/findings/')[1:]]
    assert found, "a development server is a finding"
    place = f"/findings/{found[0]}"
    assert analyst.post(f"{place}/accept", {"reason": "", "owner": "Ada", "expires": "2027-03-01"}).status_code == 422
    assert analyst.post(f"{place}/accept", {"reason": "x", "owner": "Ada", "expires": "2001-01-01"}).status_code == 422
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 30 * 86400))
    assert analyst.post(f"{place}/accept", {"reason": "a test", "owner": "Ada", "expires": day}).status_code == 303
    assert "Accepted." in analyst.get(place).text
    assert found[0] in analyst.get("/findings").text
    text = site.policy_path("main").read_text()
    assert 'reason = "a test"' in text
    assert audit.entries(site.store, 1)[0].event == "policy-saved"


def test_the_policy_is_checked_compared_and_never_saved_over_another_change(site: Site, person: Callable[..., Any]) -> None:
    admin, viewer = person("admin"), person("viewer")
    good = 'version = 1\n\n[[zone]]\nname = "lan"\ntargets = ["192.0.2.0/24"]\n'
    wrong = admin.post("/policy", {"text": good + "bad = 1\n", "etag": ""})
    assert wrong.status_code == 422
    assert "unknown key bad" in wrong.text
    assert not site.policy_path("main").exists()
    assert admin.post("/policy", {"text": good, "etag": ""}).status_code == 303
    other = admin.post("/policy", {"text": good + "# mine\n", "etag": ""})
    assert other.status_code == 409
    assert "# mine" in other.text, "what was written is kept"
    assert site.policy_path("main").read_text() == good
    part = admin.post("/policy/check", {"text": good + "# more\n"}, headers={"hx-request": "true"})
    assert "+# more" in part.text
    assert "<html" not in part.text
    assert viewer.post("/policy", {"text": good, "etag": ""}).status_code == 403


def test_workspaces_have_policies_of_their_own(site: Site, person: Callable[..., Any]) -> None:
    admin, foreigner = person("admin"), person("admin", "other")
    text = 'version = 1\n\n[[zone]]\nname = "secret-lab"\ntargets = ["192.0.2.0/24"]\n'
    assert admin.post("/policy", {"text": text, "etag": ""}).status_code == 303
    assert "secret-lab" not in foreigner.get("/policy").text
    assert foreigner.post("/policy", {"text": "version = 1\n", "etag": ""}).status_code == 303
    assert "secret-lab" in admin.get("/policy").text


def test_targets_that_would_be_files_or_flags_are_refused(person: Callable[..., Any]) -> None:
    admin = person("admin")
    for target in ("@/etc/passwd", "-iL", "@-"):
        answer = admin.post("/grants", {"targets": target, "by": "Ada", "level": "3"})
        assert answer.status_code == 422
        assert "root:" not in answer.text


def test_the_firewall_studio_makes_and_evaluates_rules(person: Callable[..., Any]) -> None:
    viewer = person("viewer")
    text = viewer.post("/firewall", {"ports": "110", "allow": "10.8.0.0/24", "platform": "nftables"}).text
    assert "ip saddr" in text or "10.8.0.0/24" in text
    assert "table inet" in text
    rules = "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.8.0.0/24 -p tcp --dport 110 -j ACCEPT\nCOMMIT\n"
    text = viewer.post("/firewall/evaluate", {"rules": rules, "ask": "110"}).text
    assert "10.8.0.0/24" in text
    assert "allow" in text
    assert viewer.post("/firewall", {"ports": "nonsense-port"}).status_code == 422


def test_uploaded_traffic_is_judged_and_only_the_report_stays(site: Site, person: Callable[..., Any]) -> None:
    analyst, foreigner = person("analyst"), person("admin", "other")
    columns = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state"
    kinds = "time string addr port addr port enum string interval count count string"
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn"]
    head += ["\t".join(("#fields", *columns.split())), "\t".join(("#types", *kinds.split()))]
    rows = [
        "\t".join(f"{1700000000 + 60 * n}.0 C{n} 10.1.1.1 {40000 + n} 198.51.100.9 4444 tcp - 1 10 10 SF".split())
        for n in range(60)
    ]
    log = "\n".join([*head, *rows, ""])
    answer = analyst.post("/detections", {"since": ""}, files={"flows": ("../../conn.log", log.encode())})
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    text = analyst.get(place).text
    assert "10.1.1.1" in text
    assert "/tmp" not in text
    assert analyst.get(f"{place}/report.html").text.startswith("<!doctype html>")
    for one in ("jsonl", "stix", "ocsf", "ecs", "cef", "misp"):
        assert f'href="{place}/as/{one}"' in text
        export = analyst.get(f"{place}/as/{one}")
        assert "198.51.100.9" in export.text
        assert "/tmp" not in export.text
        assert export.headers["content-disposition"].startswith('attachment; filename="detections.')
        assert foreigner.get(f"{place}/as/{one}").status_code == 404
    assert analyst.get(f"{place}/as/table").status_code == 404
    assert foreigner.get(place).status_code == 404
    assert analyst.post("/detections", files={"flows": ("x.log", b"\x00\x01\x02 nothing")}).status_code == 422


def test_me_measures_nobody_but_the_visitor_and_is_off_unless_enabled(site: Site, stranger: Any) -> None:
    assert stranger.get("/me").status_code == 404
    assert stranger.post("/me", {"proof": "x"}).status_code == 404


def test_me_refuses_the_servers_own_addresses_and_forged_requests(site: Site, tmp_path: Any) -> None:
    from dataclasses import replace

    from starlette.testclient import TestClient

    from reconshield.web.app import make_app

    with TestClient(
        make_app(replace(site, scan_me=True)), client=("127.0.0.1", 5000), raise_server_exceptions=False
    ) as visitor:
        text = visitor.get("/me").text
        proof = text.partition('name="proof" value="')[2].partition('"')[0]
        assert visitor.post("/me", data={"proof": "0" * 32}).status_code == 422
        refused = visitor.post("/me", data={"proof": proof, "address": "192.0.2.1"}, headers={"x-forwarded-for": "192.0.2.1"})
        assert refused.status_code == 403
        assert "Nothing was sent" in refused.text
    assert not [entry for entry in audit.entries(site.store) if entry.event == "grant-added"]


def test_an_unknown_id_is_a_page_that_says_so(person: Callable[..., Any]) -> None:
    viewer = person("viewer")
    for path in ("/findings/0000000000000000", "/alerts/a999999", "/ports/70000", "/services/nope", "/detections/xyz"):
        answer = viewer.get(path)
        assert answer.status_code == 404, path
        assert "does not exist, or your role cannot see it" in answer.text


def test_a_database_that_is_gone_is_said_as_such(site: Site, person: Callable[..., Any]) -> None:
    viewer = person("viewer")
    path = site.store.path
    assert path is not None
    site.store.close()
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    answer = viewer.get("/grants")
    assert answer.status_code == 503
    assert "database" in answer.text
    path.rmdir()
    path.with_suffix(".away").rename(path)
    assert viewer.get("/grants").status_code == 200


def test_the_button_of_a_port_leaves_visitors_alone(site: Site, person: Callable[..., Any], web_server: int) -> None:
    operator = person("operator")
    allow_loopback(site)
    add_grant(site.store, ["127.0.0.9"], by="visitor at 127.0.0.9", now=time.time(), level=3, reason="asked for at /me")
    run = analyze(operator, site, web_server)
    state = site.live.state("main", run)
    assert state is not None
    assert state.total == 1


def test_only_whose_server_it_is_sees_where_its_files_lie(site: Site, person: Callable[..., Any]) -> None:
    assert str(site.settings.home) in person("admin").get("/settings").text
    assert str(site.settings.home) not in person("admin", "other").get("/settings").text
