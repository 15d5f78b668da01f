"""Zeek's logs besides conn.log as TSV: known answers, and every fault named with its line."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from detect.captures import zeek_row
from detect.reading import faults_in, flows_in, read_all
from reconshield.detect.flows import Item, Listening, Mark, Naming

AT = 1_760_000_000.125
Write = Callable[..., bytes]


def lines(*entries: object) -> bytes:
    return b"".join(json.dumps(found).encode() + b"\n" for found in entries)


def conn(**more: object) -> dict[str, object]:
    return zeek_row(AT, "10.0.0.5", "203.0.113.7", 995) | {"ts": AT, "duration": 2.5} | more


def entry(**more: object) -> dict[str, object]:
    ends: dict[str, object] = {"id.orig_h": "10.0.0.5", "id.orig_p": 40_000, "id.resp_h": "203.0.113.7", "id.resp_p": 443}
    return {"ts": AT, "uid": "C1"} | ends | more


def table(*entries: dict[str, object]) -> bytes:
    """The same entries as TSV."""
    names = list(dict.fromkeys(name for found in entries for name in found))
    rows = ["\t".join(str(found.get(name, "-")) for name in names) for found in entries]
    return "\n".join(["#separator \\x09", "#path\tx", "\t".join(["#fields", *names]), *rows, "#close\tx"]).encode() + b"\n"


def test_json_conn_is_read_like_tsv() -> None:
    ping = conn(proto="icmp", conn_state="OTH", **{"id.orig_p": 8, "id.resp_p": 0, "missed_bytes": 9})
    del ping["orig_bytes"]
    moment = conn(ts="2025-10-09T08:53:20.125000Z", conn_state="REJ")
    flows = flows_in(read_all(lines(conn(service="ssl,smtp", orig_pkts=3), ping, moment), size=61))
    assert [(flow["ends"], flow["app"], flow["state"], flow["octets"], flow["start"]) for flow in flows] == [
        ((50_000, 995), "tls,smtp", "established", (200, 400), AT),
        ((0, 0), "", "unknown", (-1, 400), AT),
        ((50_000, 995), "", "refused", (200, 400), AT),
    ]
    assert flows[0]["packets"] == (3, -1)
    assert flows[1]["marks"] == Mark.UNSURE | Mark.LOSSY


def test_json_conn_names_what_it_cannot_use() -> None:
    broken = [conn(ts="soon"), conn(proto="x"), conn(**{"id.resp_p": 70_000}), conn(**{"id.orig_p": "80"})]
    items = read_all(lines(conn(), *broken, conn(**{"id.orig_h": "10.0.0.999"}), conn()))
    assert [flow["record"] for flow in flows_in(items)] == [1, 7]
    assert sorted(faults_in(items)) == [
        "line 2: ts is none",
        "line 3: proto is none",
        "line 4: id.resp_p is none",
        "line 5: id.orig_p is none",
        "line 6: '10.0.0.999' is no address",
    ]


def names_in(items: list[Item]) -> list[tuple[str, str]]:
    return [(item.kind, item.value) for item in items if isinstance(item, Naming)]


@pytest.mark.parametrize("write", [lines, table])
@pytest.mark.parametrize("size", [1 << 20, 7])
def test_names_that_clients_asked_for(write: Write, size: int) -> None:
    tls = entry(server_name="mail.example", ja3="a" * 32, cert_chain_fps="b" * 64)
    assert names_in(read_all(write(tls), size)) == [("domain", "mail.example"), ("ja3", "a" * 32), ("certificate", "b" * 64)]
    web = entry(host="www.example", uri="/x?y", user_agent="curl/8")
    found = [("user-agent", "curl/8"), ("domain", "www.example"), ("url", "http://www.example/x?y")]
    assert names_in(read_all(write(web), size)) == found
    proxied = entry(host="www.example:8080", uri="http://www.example:8080/x", trans_depth=1, request_body_len=0)
    assert names_in(read_all(write(proxied), size)) == [("domain", "www.example"), ("url", "http://www.example:8080/x")]
    (item,) = read_all(write(entry(query="a.example")), size)
    assert item == Naming(AT, "10.0.0.5", "203.0.113.7", 443, "domain", "a.example")


@pytest.mark.parametrize("write", [lines, table])
def test_known_services_are_listeners(write: Write) -> None:
    found: dict[str, object] = {"ts": AT, "host": "10.0.0.9", "port_num": 993, "port_proto": "tcp", "service": "SSL,IMAP"}
    items = read_all(write(found, found | {"port_num": 99_999}, found | {"host": "me"}, found | {"port_proto": "x"}))
    assert [item for item in items if isinstance(item, Listening)] == [
        Listening("10.0.0.9", 993, "tcp", None, app="tls,imap", at=AT)
    ]
    assert [fault.partition(": ")[2] for fault in faults_in(items)] == [
        "port_num is none",
        "host is none",
        "port_proto is none",
    ]


def test_names_each_fault() -> None:
    good = entry(query="a.example")
    items = read_all(table(good, good | {"id.orig_h": "x"}, good | {"id.resp_p": "x"}, good | {"ts": "x"}) + b"few\n")
    assert len(names_in(items)) == 1
    assert [fault.partition(": ")[2] for fault in faults_in(items)] == [
        *("id.orig_h is none", "id.resp_p is none", "ts is none", "not 7 fields"),
    ]


def test_json_logs_may_be_mixed_and_what_is_not_read_is_passed_over() -> None:
    mixed = [
        {"_path": "files", "ts": AT, "fuid": "F1"},
        conn(_path="conn"),
        entry(_path="dns", rcode=0),
        entry(_path="ssl", server_name="mail.example"),
        entry(established=True, resumed=False),
        {"ts": AT, "what": "ever"},
    ]
    items = read_all(lines(*mixed), 61)
    assert [flow["record"] for flow in flows_in(items)] == [2]
    assert names_in(items) == [("domain", "mail.example")]
    assert faults_in(items) == ["line 6: no entry of a conn, ssl, quic, dns, http or known_services log"]


def test_tsv_logs_may_stand_one_behind_the_other_but_not_with_conn() -> None:
    both = table(entry(query="a.example")) + table(entry(server_name="b.example", ja3="c" * 32))
    assert names_in(read_all(both)) == [("domain", "a.example"), ("domain", "b.example"), ("ja3", "c" * 32)]
    items = read_all(both + table(conn()))
    assert len(names_in(items)) == 3
    assert faults_in(items) == ["line 13: #fields is not that of an ssl, quic, dns, http or known_services log"]
