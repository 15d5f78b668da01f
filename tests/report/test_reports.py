"""The same run in every format: the table at several widths, JSON Lines against the published schema, CSV without traps."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from example_run import RESULT, rated
from reconshield.model import Confidence, Endpoint, Observation, Reason, State, Tls, Turn
from reconshield.report.answer import product_text, tls_text
from reconshield.report.lines import dump_lines, result_document, result_lines
from reconshield.report.listing import Seen, sighting_rows
from reconshield.report.result import Summary
from reconshield.report.schema import jsonl_schema
from reconshield.report.sheet import csv_text
from reconshield.report.table import plain, risk_sum, run_table
from reconshield.report.tickets import tickets_csv, tickets_json
from reconshield.text import width_of

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "jsonl-1.schema.json"

AT_80 = """\
20261123-094612-k3fd  10.77.0.2 · 1,000 TCP ports · connect · from lab-1 · grant
                      g3

  RISK          PORT       SERVICE  PRODUCT                  TLS       FINDINGS
  100 critical  6379/tcp   redis    Redis 7.0.15             none             1
   44 medium    22/tcp     ssh      OpenSSH 9.2p1            own              0
   44 medium    110/tcp    pop3     Dovecot pop3d            starttls         1
   27 low       8443/tcp   unknown  14 bytes kept            none             0
   16 low       443/tcp    https    guess: port number only                   0

✗ critical  Redis answers without a password                  10.77.0.2:6379/tcp
  seen      PING got +PONG before any AUTH (confirmed); risk 100 = 85 base + 15
            proven open
  fix       redis.conf: `bind 127.0.0.1` and a password, then restart

! medium    Password can travel in clear text                  10.77.0.2:110/tcp
  seen      CAPA offers USER, SASL PLAIN before TLS (confirmed); risk 44 = 44
            base
  fix       Dovecot: `ssl = required`, then `doveadm reload`

do  22/tcp     sshd_config: `PasswordAuthentication no`

held back  9100/tcp (print): the state was measured, no byte was sent

1,000 of 1,000 TCP ports measured in 1.9 s: 5 open, 993 closed, 2 filtered; loss
not measured
"""


def table(width: int, result: object = RESULT) -> list[str]:
    return [plain(row).rstrip() for row in run_table(result, width)]  # type: ignore[arg-type]


def test_table_at_80_columns() -> None:
    assert "\n".join(table(80)) + "\n" == AT_80


@pytest.mark.parametrize("width", [40, 59, 60, 72, 80, 100, 120, 200])
def test_no_line_runs_over_the_width(width: int) -> None:
    assert max(width_of(line) for line in table(width)) <= width


def test_wide_tables_show_the_evidence() -> None:
    head = next(line for line in table(120) if "SERVICE" in line)
    assert head.split() == ["RISK", "PORT", "SERVICE", "PRODUCT", "TLS", "FINDINGS", "EVIDENCE"]


def test_several_hosts_are_told_apart() -> None:
    other = replace(RESULT.services[0].service, endpoint=replace(RESULT.services[0].endpoint, ip="2001:db8::2"), name="mx1")
    result = replace(RESULT, services=(*RESULT.services, replace(RESULT.services[0], service=other)))
    narrow = table(80, result)
    assert [line for line in narrow if line.startswith("asset ")] == ["asset 10.77.0.2", "asset mx1 (2001:db8::2)"]
    wide = next(line for line in table(120, result) if "2001:db8::2" in line)
    assert wide.split()[:4] == ["44", "medium", "[2001:db8::2]:110/tcp", "pop3"]


def test_many_endpoints_are_cut_to_the_worst() -> None:
    services = tuple(
        replace(s, service=replace(s.service, endpoint=replace(s.endpoint, port=1000 + n)))
        for n, s in enumerate(RESULT.services * 10)
    )
    lines = table(80, replace(RESULT, services=services))
    assert "  30 more: reconshield report 20261123-094612-k3fd" in lines
    assert sum("/tcp" in line and line.startswith(" ") and "more" not in line for line in lines) == 20
    # The report that is named there has them all.
    full = [row for row in map(plain, run_table(replace(RESULT, services=services), 80, every=True)) if "/tcp" in row]
    assert sum(row.startswith(" ") for row in full) == 50


def test_the_same_finding_on_many_endpoints_is_told_once() -> None:
    [first, *_] = [f for f in RESULT.findings if f.check == "redis-no-auth"]
    ports = (6379, 7000, 7001)
    alike = tuple(replace(first, endpoint=replace(first.endpoint, port=port)) for port in ports)
    elsewhere = replace(first, endpoint=replace(first.endpoint, ip="2001:db8::2"))
    services = tuple(
        replace(RESULT.services[0], service=replace(RESULT.services[0].service, endpoint=finding.endpoint))
        for finding in (*alike, elsewhere)
    )
    lines = table(80, replace(RESULT, services=services, findings=(*alike, elsewhere)))
    assert sum("Redis answers without a password" in line for line in lines) == 1
    told = " ".join(line.strip() for line in lines[lines.index(next(n for n in lines if "also on" in n)) :][:2])
    assert "also on   7000/tcp (100 critical), 7001/tcp (100 critical), [2001:db8::2]:6379/tcp" in told


def test_the_history_of_a_host_tells_what_was_shut_in_one_line() -> None:
    seen = [
        Seen("20261123-094612-k3fd", "lab-1", Observation(Endpoint("10.77.0.2", port), state, reason, at=1795427172.0))
        for port, state, reason in (
            (22, State.OPEN, Reason.SYN_ACK),
            (23, State.CLOSED, Reason.RESET),
            (24, State.CLOSED, Reason.RESET),
            (25, State.FILTERED, Reason.NO_RESPONSE),
        )
    ]
    told = [plain(row)[len("2026-11-23 09:46 UTC  ") :].partition(" · ")[0] for row in sighting_rows(seen, 120)]
    assert told == ["22/tcp     open (syn-ack)", "2 ports    closed (reset)", "25/tcp     filtered (no-response)"]


def test_nothing_open_says_so() -> None:
    summary = Summary("complete", 65535, 65535, 0, 65535, 0, 0, 0, 0, 3.4)
    lines = table(80, replace(RESULT, services=(), findings=(), held_back=(), summary=summary))
    assert lines[-1] == "Nothing listens here: 65,535 of 65,535 TCP ports closed, measured in 3.4 s."


KNOWN: list[tuple[dict[str, object], str, str]] = [
    ({}, "guess: port number only", "not measured"),
    ({"note": "held back: print port"}, "not asked, held back", "not measured"),
    ({"note": "49 probes not tried", "evidence": (Turn("http", b"GET / HTTP/1.1", b""),)}, "says nothing", "none"),
    ({"note": "held back: print port", "evidence": (Turn("listen", b"", b"x"),)}, "1 byte kept", "none"),
    ({"facts": {"tls": {"version": "TLSv1.3"}}, "tls": Tls.IMPLICIT}, "says nothing", "implicit"),
]


@pytest.mark.parametrize(("seen", "product", "tls"), KNOWN)
def test_an_unknown_service_says_what_was_done_about_it(seen: dict[str, object], product: str, tls: str) -> None:
    found = rated(8443, "unknown", 27, "low", confidence=Confidence.GUESS, **seen)
    assert (product_text(found), tls_text(found)) == (product, tls)
    row = next(line for line in table(80, replace(RESULT, services=(found,))) if "8443/tcp" in line)
    assert product in row
    assert ("implicit" in row) is (tls == "implicit")


def test_a_banner_cannot_move_the_cursor() -> None:
    hostile = replace(RESULT.services[0].service, product="\x1b[2J\u202eevil", version="1\r\n9")
    text = "\n".join(table(120, replace(RESULT, services=(replace(RESULT.services[0], service=hostile),))))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\x1b[2J\\u202eevil 1\\x0d\\x0a9" in text


def test_arithmetic_is_shown() -> None:
    assert [risk_sum(f) for f in RESULT.findings] == ["44 = 44 base", "100 = 85 base + 15 proven open"]


def test_lines_are_valid_and_in_order() -> None:
    lines = [json.loads(line) for line in dump_lines(result_lines(RESULT))]
    validator = jsonschema.Draft202012Validator(jsonl_schema())
    for line in lines:
        validator.validate(line)
    kinds = ["run", *["observation"] * 2, "held-back", *["service"] * 5, *["finding"] * 2, "summary"]
    assert [line["type"] for line in lines] == kinds
    assert lines[1]["rtt_ms"] == 0.123
    assert lines[2]["rtt_ms"] is None
    assert lines[8]["evidence"][0]["received"] == "\\x1b[31mhello\\r\\n\\x00\\x00"


def test_the_published_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == jsonl_schema(), "run: make fix"


def test_the_document_holds_the_same_objects() -> None:
    document = json.loads(result_document(RESULT))
    assert document["run"]["id"] == RESULT.head.id
    assert [len(document[key]) for key in ("observations", "services", "findings", "held_back")] == [2, 5, 2, 1]


def test_csv_disarms_formulas() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(csv_text(RESULT)))))
    assert rows[0]["name"] == "'=cmd|' /C calc'!A0"
    assert (rows[0]["port"], rows[0]["state"], rows[0]["risk_score"], rows[0]["checks"]) == (
        "110",
        "open",
        "44",
        "pop3-cleartext-login",
    )
    assert (rows[1]["state"], rows[1]["reason"], rows[1]["service"]) == ("closed", "conn-refused", "")


def test_tickets_have_the_finding_for_their_number_and_end_by_a_scan() -> None:
    rows = json.loads(tickets_json(RESULT))
    assert [row["id"] for row in rows] == [
        f.id for f in sorted(RESULT.findings, key=lambda f: -(f.risk.score if f.risk else 0))
    ]
    assert rows[0]["summary"] == "Redis answers without a password on 10.77.0.2 (10.77.0.2:6379/tcp)"
    assert rows[0]["done_when"] == "reconshield scan 10.77.0.2 -p 6379 no longer finds it"
    table = list(csv.DictReader(io.StringIO("".join(tickets_csv(RESULT)))))
    assert [row["id"] for row in table] == [row["id"] for row in rows]
    assert json.loads(table[0]["evidence"]) == rows[0]["evidence"]
    hostile = replace(RESULT, findings=(replace(RESULT.findings[0], title="=cmd|' /C calc'!A0"),))
    assert next(csv.DictReader(io.StringIO("".join(tickets_csv(hostile)))))["summary"].startswith("'=cmd")
