"""The nmap XML report: read back by a parser, by the rules that its readers share, and by nmap's own ndiff."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring

from big_run import big_run
from example_run import AT, IP, RESULT
from reconshield.model import Endpoint, Observation, Reason, Service, State, Tls
from reconshield.report.nmap_xml import cpe_uri, nmap_xml_text
from reconshield.report.result import RunResult

NAMED = replace(
    RESULT,
    observations=tuple(replace(o, name=None) for o in RESULT.observations),
    services=(
        replace(
            RESULT.services[0],
            service=replace(
                RESULT.services[0].service, cpe=("cpe:2.3:a:dovecot:dovecot:2.3.19:*:*:*:*:*:*:*",), name="mail.example.org"
            ),
        ),
        *RESULT.services[1:],
    ),
)


def read(result: RunResult) -> Element:
    root: Element = fromstring("".join(nmap_xml_text(result)))
    return root


def found(root: Element, path: str) -> Element:
    element = root.find(path)
    assert element is not None, path
    return element


def test_the_run() -> None:
    root = read(NAMED)
    assert root.tag == "nmaprun"
    assert root.attrib == {
        "scanner": "reconshield",
        "args": "reconshield scan 10.77.0.2 -p 1-1000 --seed 7",
        "start": "1795427172",
        "startstr": "Mon Nov 23 09:46:12 2026",
        "version": "0.1.0",
        "xmloutputversion": "1.05",
    }
    assert found(root, "scaninfo").attrib == {"type": "connect", "protocol": "tcp", "numservices": "1000", "services": "1-1000"}
    finished = found(root, "runstats/finished").attrib
    assert (finished["time"], finished["elapsed"], finished["exit"]) == ("1795427173", "1.90", "success")
    assert found(root, "runstats/hosts").attrib == {"up": "1", "down": "0", "total": "1"}


def test_the_host() -> None:
    host = found(read(NAMED), "host")
    assert found(host, "status").attrib == {"state": "up", "reason": "syn-ack", "reason_ttl": "64"}
    assert found(host, "address").attrib == {"addr": IP, "addrtype": "ipv4"}
    assert [h.attrib for h in host.iterfind("hostnames/hostname")] == [{"name": "mail.example.org", "type": "user"}]
    extra = [
        (e.get("state"), e.get("count"), found(e, "extrareasons").get("reason")) for e in host.iterfind("ports/extraports")
    ]
    assert extra == [("closed", "992", "conn-refused"), ("filtered", "2", "no-response")]


PORTS = """
22    open    syn-ack       0   ssh      OpenSSH        9.2p1   -    probed 10
110   open    syn-ack       64  pop3     Dovecot_pop3d  -       -    probed 10
111   closed  conn-refused  0
443   open    syn-ack       0   https    -              -       -    table  3
6379  open    syn-ack       0   redis    Redis          7.0.15  -    probed 10
8443  open    syn-ack       0   unknown  -              -       -    table  3
"""


def test_the_ports() -> None:
    rows = []
    for port in read(NAMED).iterfind("host/ports/port"):
        state, service = found(port, "state"), port.find("service")
        row = [port.get("portid"), state.get("state"), state.get("reason"), state.get("reason_ttl")]
        if service is not None:
            row += [
                service.get(key, "-").replace(" ", "_") for key in ("name", "product", "version", "tunnel", "method", "conf")
            ]
        rows.append(row)
    assert rows == [line.split() for line in PORTS.strip().splitlines()]


def test_findings_are_scripts() -> None:
    port = found(read(NAMED), "host/ports/port[@portid='110']")
    assert found(port, "script").attrib == {
        "id": "reconshield-pop3-cleartext-login",
        "output": (
            "Password can travel in clear text\n"
            "  severity medium, confidence confirmed, risk 44 medium\n"
            "  seen: CAPA offers USER, SASL PLAIN before TLS\n"
            "  mend: Dovecot: `ssl = required`, then `doveadm reload`\n"
            "  finding dcf9a0b5ac4d07f9"
        ),
    }
    assert found(port, "service/cpe").text == "cpe:/a:dovecot:dovecot:2.3.19"


def test_tls_from_the_first_byte_is_a_tunnel() -> None:
    service = replace(RESULT.services[0].service, tls=Tls.IMPLICIT)
    root = read(replace(RESULT, services=(replace(RESULT.services[0], service=service),), observations=()))
    assert found(root, "host/ports/port/service").get("tunnel") == "ssl"


CPES = [
    ("cpe:2.3:a:redis:redis:7.0.15:*:*:*:*:*:*:*", "cpe:/a:redis:redis:7.0.15"),
    ("cpe:2.3:a:dovecot:dovecot:*:*:*:*:*:*:*:*", "cpe:/a:dovecot:dovecot"),
    ("cpe:2.3:o:linux:linux_kernel:-:*:*:*:*:*:*:*", "cpe:/o:linux:linux_kernel"),
    ("cpe:2.3:a:x:y\\+z:*:p1:*:*:*:*:*:*", "cpe:/a:x:y+z::p1"),
    ("cpe:/a:openbsd:openssh", "cpe:/a:openbsd:openssh"),
]


@pytest.mark.parametrize(("cpe", "uri"), CPES)
def test_cpe_is_written_as_nmap_does(cpe: str, uri: str) -> None:
    assert cpe_uri(cpe) == uri


@pytest.mark.parametrize(
    ("ports", "infos"),
    [
        ("22,80,1-100", [("tcp", "100", "22,80,1-100")]),
        ("1-1024,U:53,161", [("tcp", "1024", "1-1024"), ("udp", "2", "53,161")]),
        ("T:80,U:53", [("tcp", "1", "80"), ("udp", "1", "53")]),
        ("U:53", [("udp", "1", "53")]),
    ],
)
def test_ports_are_told_by_transport(ports: str, infos: list[tuple[str, str, str]]) -> None:
    root = read(replace(RESULT, head=replace(RESULT.head, ports=ports)))
    assert [(i.get("protocol"), i.get("numservices"), i.get("services")) for i in root.iterfind("scaninfo")] == infos


HOSTILE = ("\x00\x01\x1b[2J", "</script><host/>", '"&<>]]>', "\ud800\ufffe\uffff", "\u202e\x85\r\n", "&xxe;<!DOCTYPE x>")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_the_document(text: str) -> None:
    service = replace(RESULT.services[0].service, product=text, version=text, cpe=(text,), name=text)
    finding = replace(RESULT.findings[0], title=text, evidence={"seen": text}, remedy=text)
    head = replace(RESULT.head, targets=(text,))
    root = read(replace(RESULT, head=head, services=(replace(RESULT.services[0], service=service),), findings=(finding,)))
    assert [child.tag for child in root] == ["scaninfo", "host", "runstats"]
    (shown,) = {
        found(root, f"host/ports/port/{path}").get(key) for path, key in (("service", "product"), ("service", "version"))
    }
    assert shown is not None
    assert "\\" in shown or shown == text


def test_unreachable_is_filtered_and_no_host_is_up_by_silence() -> None:
    def seen(ip: str, port: int, state: State, reason: Reason) -> Observation:
        return Observation(Endpoint(ip, port), state, reason, AT)

    observations = (
        seen("10.77.0.2", 80, State.CLOSED, Reason.RESET),
        seen("10.77.0.2", 81, State.UNREACHABLE, Reason.ADMIN_PROHIBITED),
        seen("10.77.0.3", 80, State.FILTERED, Reason.NO_RESPONSE),
    )
    head = replace(RESULT.head, addresses=2, probes=4)
    root = read(replace(RESULT, head=head, services=(), findings=(), observations=observations))
    assert [a.get("addr") for a in root.iterfind("host/address")] == ["10.77.0.2"]
    assert [s.attrib for s in root.iterfind("host/ports/port/state")] == [
        {"state": "closed", "reason": "reset", "reason_ttl": "0"},
        {"state": "filtered", "reason": "admin-prohibited", "reason_ttl": "0"},
    ]
    assert found(root, "runstats/hosts").attrib == {"up": "1", "down": "0", "total": "2"}
    assert root.find("host/ports/extraports") is None, "which host the others belong to is not known"


def test_ipv6_and_an_unfinished_run() -> None:
    service = Service(Endpoint("2001:db8::2", 53, "udp"), "dns", RESULT.services[0].service.confidence, AT)
    rated = replace(RESULT.services[0], service=service)
    summary = replace(RESULT.summary, state="partial")
    root = read(replace(RESULT, services=(rated,), findings=(), observations=(), summary=summary))
    assert found(root, "host/address").attrib == {"addr": "2001:db8::2", "addrtype": "ipv6"}
    assert found(root, "host/ports/port").attrib == {"protocol": "udp", "portid": "53"}
    assert found(root, "host/ports/port/state").get("reason") == "udp-response"
    assert found(root, "runstats/finished").get("exit") == "error"


def test_many_hosts_are_in_the_order_of_their_addresses() -> None:
    addresses = [a.get("addr") for a in read(big_run(300)).iterfind("host/address")]
    assert addresses[:3] == ["10.80.0.1", "10.80.0.2", "10.80.0.3"]
    assert len(addresses) == 300


@pytest.mark.system
@pytest.mark.skipif(shutil.which("ndiff") is None, reason="needs ndiff")
def test_ndiff_reads_both_and_tells_what_changed(tmp_path: Path) -> None:
    changed = replace(RESULT.services[1].service, version="7.2.0")
    later = replace(
        NAMED,
        services=(NAMED.services[0], replace(RESULT.services[1], service=changed), *RESULT.services[3:]),
    )
    for name, result in (("before", NAMED), ("same", NAMED), ("after", later)):
        tmp_path.joinpath(name).write_text("".join(nmap_xml_text(result)), encoding="utf-8")

    def ndiff(first: str, second: str) -> tuple[int, list[str]]:
        done = subprocess.run(["ndiff", first, second], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, [" ".join(line.split()) for line in done.stdout.splitlines() if line[:1] in "+-" and line]

    assert ndiff("before", "same") == (0, [])
    assert ndiff("before", "after") == (
        1,
        ["-22/tcp open ssh OpenSSH 9.2p1", "-6379/tcp open redis Redis 7.0.15", "+6379/tcp open redis Redis 7.2.0"],
    )
