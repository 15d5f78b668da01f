"""A run to hand on, the policy's verdicts on it, and results of other tools."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

from reconshield.report.formats import FORMATS
from web.api.test_policy import save

Make = Callable[..., Any]
POLICY = """version = 1

[[zone]]
name = "lab"
targets = ["192.0.2.0/24"]

[[closed]]
on = ["lab"]
ports = "1-65535"
severity = "high"
reason = "nothing is open here"
"""
NMAP = b"""<?xml version="1.0"?>
<nmaprun scanner="nmap" args="nmap 192.0.2.7" start="1700000000" version="7.94" xmloutputversion="1.05">
<scaninfo type="syn" protocol="tcp" numservices="2" services="22,110"/>
<host starttime="1700000000" endtime="1700000010">
<status state="up" reason="syn-ack"/><address addr="192.0.2.7" addrtype="ipv4"/>
<ports><port protocol="tcp" portid="22"><state state="closed" reason="reset"/></port>
<port protocol="tcp" portid="110"><state state="open" reason="syn-ack"/>
<service name="pop3" product="Dovecot" method="probed" conf="10"/></port></ports></host>
<runstats><finished time="1700000010" exit="success"/><hosts up="1" down="0" total="1"/></runstats></nmaprun>"""


def take_in(program: Any, name: str = "../../scan.xml", **more: Any) -> Any:
    return program.ask("POST", "/imports", files={"file": (name, NMAP)}, **more)


def test_what_nmap_found_becomes_a_run(program: Make) -> None:
    operator, key = program("operator"), {"idempotency-key": "import-1"}
    made = take_in(operator, data={"vantage": "dmz"}, headers=key)
    assert (made.status_code, made.json()["input"]["file"]) == (201, "scan.xml")
    assert (made.json()["run"]["vantage"], made.json()["summary"]["open"]) == ("dmz", 1)
    assert take_in(operator, data={"vantage": "dmz"}, headers=key).json() == made.json()
    assert take_in(operator, data={"vantage": "lan"}, headers=key).status_code == 422
    assert take_in(operator, "other.xml", data={"vantage": "dmz"}, headers=key).status_code == 422
    assert len(operator.all("/scans")) == 1
    (service,) = operator.all(f"{made.headers['location']}/services")
    assert (service["ip"], service["port"], service["product"]) == ("192.0.2.7", 110, "Dovecot")


def test_a_file_that_is_no_result_is_said_to_be_none(program: Make) -> None:
    operator = program("operator")
    answer = operator.ask("POST", "/imports", files={"file": ("x.txt", b"nothing of the kind")})
    assert answer.status_code == 422
    assert answer.json()["where"] == "x.txt"
    assert operator.ask("POST", "/imports", data={"vantage": "x"}).status_code == 422
    assert operator.ask("POST", "/imports", json={"file": "/etc/passwd"}).status_code == 422
    assert operator.all("/scans") == []


def test_a_run_comes_in_every_format(program: Make) -> None:
    operator = program("operator")
    run = take_in(operator).json()["run"]["id"]
    for name in FORMATS:
        answer = operator.get(f"/scans/{run}/report", params={"format": name})
        assert answer.status_code == 200
        assert "192.0.2.7" in answer.text or name.startswith("tickets")  # there is no finding to make a ticket of
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="reconshield-{run}.')
        if name == "jsonl":
            assert json.loads(answer.text.splitlines()[0])["type"] == "run"


def test_the_policy_judges_a_run(program: Make) -> None:
    admin = program("admin")
    run = take_in(admin).json()["run"]["id"]
    assert admin.get(f"/scans/{run}/judgement").status_code == 422
    assert "192.0.2.7" in admin.get(f"/scans/{run}/proposal").text
    save(admin, POLICY)
    judgement = admin.get(f"/scans/{run}/judgement").json()
    assert judgement["verdicts"]["forbidden"] == 1
    first = admin.all(f"/scans/{run}/verdicts", limit=1)
    assert (first[0]["verdict"], first[0]["fails"], first[0]["port"]) == ("forbidden", True, 110)
    assert {row["verdict"] for row in admin.all(f"/scans/{run}/verdicts", kind="forbidden")} == {"forbidden"}
    junit = ET.fromstring(admin.get(f"/scans/{run}/check", params={"format": "junit"}).text)
    assert junit.tag == "testsuites"
    sarif = admin.get(f"/scans/{run}/check", params={"format": "sarif"})
    assert (sarif.headers["content-type"], sarif.json()["version"]) == ("application/sarif+json", "2.1.0")
    (closed,) = admin.get(f"/scans/{run}/closed").json()
    assert (closed["port"], closed["closed"], closed["after"]) == (110, False, None)
    assert admin.post("/checks", {"ports": "110"}).status_code == 403
    (exposure,) = admin.all("/exposures")
    assert exposure["verdict"] == "forbidden"
    assert program("admin", "other").get(f"/scans/{run}/report").status_code == 404
