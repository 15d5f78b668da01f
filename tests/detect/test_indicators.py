"""Indicator files of every format with known content, and the conversations that they must hit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detect.captures import zeek_row
from detect.test_match import DAY, judge, points
from reconshield.detect.feeds import read_feed
from reconshield.detect.flows import Naming
from reconshield.detect.indicators import Indicators, parse_indicator
from reconshield.errors import UserError
from reconshield.jobs.indicators import FeedRead, read_indicators

NOW = DAY + 86_400.0
KEYS = ("Event", "response", "Attribute", "Object", "type", "value", "to_ids", "objects", "pattern", "valid_until", "revoked")
BAD_HOST = "203.0.113.35"


def stix(*patterns: str, **more: object) -> str:
    objects = [
        {"type": "indicator", "id": f"indicator--{number}", "name": "C2", "pattern": pattern, "pattern_type": "stix"} | more
        for number, pattern in enumerate(patterns)
    ]
    return json.dumps({"type": "bundle", "objects": [{"type": "identity"}, *objects]})


def misp(*attributes: dict[str, object]) -> str:
    return json.dumps({"Event": {"info": "campaign", "Attribute": [{"to_ids": True} | each for each in attributes]}})


def read(tmp_path: Path, text: str) -> tuple[FeedRead, Indicators]:
    path = tmp_path / "feed"
    path.write_text(text)
    [feed], known = read_indicators([path], NOW)
    return feed, known


def counts(feed: FeedRead) -> tuple[str, int, int, int, int]:
    return feed.format, feed.used, feed.expired, feed.unused, feed.bad


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"# list\n{BAD_HOST}\n198.51.100.0/24 # C2\n[2001:db8::1]:443\nevil.example\n", ("lines", 4, 0, 0, 0)),
        (f"{BAD_HOST}:110\n300.1.1.1\n0.0.0.0/0\n127.0.0.1\n", ("lines", 1, 0, 0, 3)),
        ("203[.]0[.]113[.]35\n", ("lines", 1, 0, 0, 0)),
        (f'#"first_seen","dst_ip","dst_port","malware"\n"2026","{BAD_HOST}","110","X"\n', ("csv", 1, 0, 0, 0)),
        (f"indicator,expires\n{BAD_HOST},2020-01-01\n198.51.100.1,2100-01-01\n1.2.3.4\n", ("csv", 1, 1, 0, 1)),
        (stix(f"[ipv4-addr:value = '{BAD_HOST}']", "[file:name = 'x']"), ("stix", 1, 0, 1, 0)),
        (stix(f"[ipv4-addr:value = '{BAD_HOST}']", valid_until="2020-01-01T00:00:00Z"), ("stix", 0, 1, 0, 0)),
        (stix(f"[ipv4-addr:value = '{BAD_HOST}']", revoked=True), ("stix", 0, 0, 1, 0)),
        (stix(f"[ipv4-addr:value = '{BAD_HOST}' OR domain-name:value = 'evil.example']"), ("stix", 2, 0, 0, 0)),
        (stix(f"[ipv4-addr:value = '{BAD_HOST}'] OR [ipv6-addr:value = '2001:db8::1']"), ("stix", 2, 0, 0, 0)),
        (stix("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", "[ipv4-addr:value ="), ("stix", 1, 0, 0, 1)),
        (stix("[network-traffic:dst_port = 110]"), ("stix", 0, 0, 1, 0)),
        (stix(f"[ipv4-addr:value = '{BAD_HOST}'] FOLLOWEDBY [a:b = 'x']", "[url:value = 'http://a/']"), ("stix", 1, 0, 0, 1)),
        (misp({"type": "ip-dst", "value": BAD_HOST}, {"type": "md5", "value": "0" * 32}), ("misp", 1, 0, 1, 0)),
        (f"indicator,expires\n{BAD_HOST},1790000000000\n198.51.100.1,1990000000\n", ("csv", 1, 0, 0, 1)),
        ("http://evil.example/a#b # C2\n", ("lines", 1, 0, 0, 0)),
        (stix("[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:protocols[0] = 'icmp']"), ("stix", 0, 0, 1, 0)),
        (json.dumps({"Event": {"Attribute": {"value": BAD_HOST}, "Object": [{"Attribute": [5]}]}}), ("misp", 0, 0, 1, 1)),
        (misp({"type": "ip-dst|port", "value": f"{BAD_HOST}|110"}), ("misp", 1, 0, 0, 0)),
        (misp({"type": "ip-dst", "to_ids": False}, {"type": "domain", "value": "e.example"}), ("misp", 1, 0, 1, 0)),
    ],
)  # fmt: skip
def test_what_files_say(tmp_path: Path, text: str, wanted: tuple[str, int, int, int, int]) -> None:
    assert counts(read(tmp_path, text)[0]) == wanted


@pytest.mark.parametrize("text", ["", "nonsense here\n", '{"a": 1}', "[1]", "{", '{"Event": {}}', "\0\1\2"])
def test_a_file_without_an_indicator_is_a_mistake(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError):
        read(tmp_path, text)


anything: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=20,
)


@given(anything.map(json.dumps) | st.text(max_size=200))
def test_no_file_of_indicators_breaks_it(text: str) -> None:
    """Records, bad ones, or a ValueError that says why; nothing else."""
    try:
        format_, records = read_feed(text)
    except ValueError:
        return
    assert format_
    assert all(record.where for record in records)


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        (BAD_HOST, True),
        ("203.0.113.0/24", True),
        (f"{BAD_HOST}:110", True),
        (f"{BAD_HOST}:110/udp", False),
        (f"{BAD_HOST}:443", False),
        ("10.1.2.3", True),
        ("10.1.2.3:110", False),
        ("203.0.113.36", False),
        (stix(f"[network-traffic:dst_ref.value = '{BAD_HOST}' AND network-traffic:dst_port = 110]"), True),
        (stix(f"[network-traffic:dst_ref.value = '{BAD_HOST}' AND network-traffic:dst_port IN (1, 2)]"), False),
        (stix(f"[(ipv4-addr:value = '{BAD_HOST}') AND (network-traffic:dst_port IN (1, 110))]"), True),
    ],
)
def test_what_is_hit(tmp_path: Path, text: str, *, hit: bool) -> None:
    known = read(tmp_path, text)[1]
    matches = judge([zeek_row(DAY, "10.1.2.3", BAD_HOST, 110)], indicators=known.find)
    found = [points(detection).get("indicator") for detection in matches.detections]
    assert found == ([40] if hit else [])


def test_the_reason_names_the_source(tmp_path: Path) -> None:
    known = read(tmp_path, "value,expires,malware\n203.0.113.35,2100-01-01,Example RAT\n")[1]
    [found] = judge([zeek_row(DAY, "10.1.2.3", BAD_HOST, 110)], indicators=known.find).detections
    assert found.evidence[0].because == "203.0.113.35 (Example RAT) is listed in feed, line 2, until 2100-01-01"
    assert found.grade.rating == "medium"


def test_a_name_that_was_asked_for_hits_its_conversation() -> None:
    known = Indicators([parse_indicator("evil.example")])
    known.hear(Naming(DAY, "10.1.2.3", BAD_HOST, 443, "domain", "Evil.Example."))
    known.hear(Naming(DAY, "10.1.2.4", BAD_HOST, 443, "domain", "good.example"))
    rows = [zeek_row(DAY, src, BAD_HOST, 443, service="ssl") for src in ("10.1.2.3", "10.1.2.4")]
    assert [found.src for found in judge(rows, indicators=known.find).detections] == ["10.1.2.3"]
