"""The firewall over the API: rules that are advised, read back, judged, and tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconshield.web.call import Site

Make = Callable[..., Any]
RULES = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -s 10.8.0.0/24 -p tcp -m tcp --dport 110 -j ACCEPT
COMMIT
"""


def test_rules_are_advised_and_evaluated_as_they_are_meant(program: Make) -> None:
    viewer = program("viewer")
    (advice,) = viewer.post("/firewall/advise", {"ports": ["110"], "allow": ["10.8.0.0/24"]}).json()
    assert (advice["platform"], advice["allow"], advice["public"]) == ("nftables", ["10.8.0.0/24"], False)
    assert viewer.post("/firewall/advise", {}).status_code == 422
    assert viewer.post("/firewall/advise", {"ports": ["110"], "platform": "papyrus"}).status_code == 422
    assert viewer.post("/firewall/advise", {"run": "latest"}).status_code == 422
    asked = {"rules": RULES, "ports": "110", "sources": ["10.8.0.0/24", "192.0.2.0/24"]}
    lines = viewer.post("/firewall/evaluate", asked).json()
    answers = {(line["zone"], line["family"]): line["answer"] for line in lines if line["type"] == "ruling"}
    assert (answers["10.8.0.0/24", 4], answers["192.0.2.0/24", 4]) == ("allow", "deny")
    assert lines[0] | {"file": "rules"} == lines[0]


def test_a_change_of_rules_is_told_as_its_differences(program: Make) -> None:
    viewer = program("viewer")
    changed = {"rules": RULES.replace("10.8.0.0/24", "10.8.0.0/16"), "against": RULES, "ports": "110"}
    rulings = [line for line in viewer.post("/firewall/evaluate", changed).json() if line["type"] == "ruling"]
    assert {(line["before"], line["answer"]) for line in rulings} == {("deny", "allow")}
    flows = "source,destination,port,transport\n192.0.2.9,10.1.1.1,110,tcp\n"
    lost = viewer.post("/firewall/evaluate", {"rules": RULES, "flows": flows}).json()
    assert [line["answer"] for line in lost if line["type"] == "ruling"] == ["deny"]
    for text in ("/etc/passwd", "-", "nonsense"):
        assert viewer.post("/firewall/evaluate", {"rules": text}).status_code == 422
    assert viewer.post("/firewall/evaluate", {"rules": RULES, "zones": True}).status_code == 422


def test_rules_are_proved_or_it_is_said_why_not(program: Make) -> None:
    operator = program("operator")
    proof = operator.post("/firewall/prove", {"ports": ["110"], "platform": "kubernetes"}).json()
    assert proof["outcome"].startswith("evaluated") or proof["notes"]
    assert proof["wrong"] == 0
    assert operator.post("/firewall/prove", {"ports": []}).status_code == 422
    assert program("viewer").post("/firewall/prove", {"ports": ["110"]}).status_code == 403


def test_a_service_is_retired_in_stages(program: Make) -> None:
    viewer = program("viewer")
    plan = viewer.ask("POST", "/firewall/retire", data={"name": "pop3"}).json()
    assert (plan["name"], plan["users_known"]) == ("POP3", False)
    assert plan["stages"][0]["title"] == "watch"
    assert viewer.ask("POST", "/firewall/retire", data={"name": "no-such-service"}).status_code == 422


def test_the_server_itself_is_explained_in_its_own_workspace_only(program: Make, site: Site) -> None:
    told = program("admin").get("/firewall/explain/9")
    assert (told.status_code, told.json()[0]["port"]) == (200, 9)
    assert program("admin", "other").get("/firewall/explain/9").status_code == 403
    assert program("admin", "other").get("/doctor").status_code == 403
    assert program("operator").get("/firewall/explain/9").status_code == 403
