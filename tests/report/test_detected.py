"""Detections in the formats of others: read back by their rules, attacked with hostile text, held to golden files.

RECONSHIELD_GOLDEN=write writes the golden files anew; look at the difference before it is committed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from reconshield.detect.evidence import RATINGS, grade
from reconshield.detection import Evidence
from reconshield.report import cef, detected, ecs, misp, ocsf, stix
from reconshield.report.detected import THRESHOLDS, DetectionReport
from reconshield.text import cef_line
from report.detected import AT, BEACON, HOSTILE, REPORT

stix2: Any = import_module("stix2")  # it has no types
GOLDEN = Path(__file__).parent / "golden"
TEXTS: dict[str, Callable[[DetectionReport], Iterator[str]]] = {
    "stix.json": stix.stix_text,
    "ocsf.jsonl": ocsf.ocsf_text,
    "ecs.jsonl": ecs.ecs_text,
    "cef.txt": cef.cef_text,
    "misp.json": misp.misp_text,
}
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_that_of_the_golden_file(name: str) -> None:
    text = "".join(TEXTS[name](REPORT))
    if os.environ.get("RECONSHIELD_GOLDEN") == "write":
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_text(text, encoding="utf-8", newline="")
    assert text == (GOLDEN / name).read_bytes().decode()


@pytest.mark.parametrize("name", TEXTS)
def test_the_same_flows_give_the_same_text_and_nothing_that_a_terminal_obeys(name: str) -> None:
    text = "".join(TEXTS[name](REPORT))
    assert text == "".join(TEXTS[name](REPORT))
    assert not UNSEEN.search(text)
    assert text.endswith("\n")


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_found_is_still_a_document(name: str) -> None:
    text = "".join(TEXTS[name](replace(REPORT, detections=())))
    if name.endswith(".json"):
        json.loads(text)
    else:
        assert text == ""


def test_the_words_for_thresholds_are_those_that_decide() -> None:
    assert tuple(reversed(THRESHOLDS)) == RATINGS
    for rating, words in THRESHOLDS.items():
        low, high = map(int, words.split(" to "))
        for score in (low, high):
            strong = (Evidence("policy", 60, ""), Evidence("protocol", 25, ""), Evidence("duration", score - 85, ""))
            assert grade(strong).rating == rating
    assert grade((Evidence("policy", 19, ""),)).rating == "noted"


def test_the_sum_says_what_was_added_cut_and_held() -> None:
    assert detected.sum_text(BEACON) == "60 policy + 25 protocol + 20 rhythm + 10 direction = 115, cut at 100"
    held, minus = (detected.sum_text(each) for each in REPORT.detections[1:])
    assert held == "72 volume = 72; held at low: nothing here is more than unusual"
    assert minus == "48 indicator − 10 one-sided capture = 38"


# STIX


def stix_objects(report: DetectionReport = REPORT) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads("".join(stix.stix_text(report)))["objects"]
    return found


def test_the_bundle_is_stix_without_anything_of_our_own() -> None:
    bundle = stix2.parse("".join(stix.stix_text(REPORT)), allow_custom=False, version="2.1")
    kinds = [each["type"] for each in bundle.objects]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "identity": 1,
        "ipv4-addr": 4,
        "ipv6-addr": 2,
        "network-traffic": 3,
        "observed-data": 3,
        "indicator": 3,
        "sighting": 3,
        "relationship": 5,
        "attack-pattern": 2,
    }


def test_ids_of_observables_are_those_that_the_standard_gives() -> None:
    for each in stix_objects():
        if each["type"] in {"ipv4-addr", "ipv6-addr", "network-traffic"}:
            given = {name: value for name, value in each.items() if name not in {"type", "id", "spec_version"}}
            made = stix2.v21.OBJ_MAP_OBSERVABLE[each["type"]](**given)
            assert made.id == each["id"]


def test_every_reference_leads_to_an_object_of_the_bundle() -> None:
    objects = stix_objects()
    ids = [each["id"] for each in objects]
    assert len(ids) == len(set(ids))
    for each in objects:
        for name, value in each.items():
            if name.endswith("_ref"):
                assert value in ids
            elif name.endswith("_refs"):
                assert set(value) <= set(ids)


def test_more_flows_are_a_newer_version_of_the_same_objects() -> None:
    more = replace(REPORT, detections=(replace(BEACON, last=BEACON.last + 60, flows=720),))
    before, after = ({each["id"]: each for each in stix_objects(r)} for r in (replace(REPORT, detections=(BEACON,)), more))
    same = [name for name in before if name in after and "modified" in before[name] and not name.startswith("identity")]
    assert {name.partition("--")[0] for name in same} == {
        "observed-data",
        "indicator",
        "sighting",
        "relationship",
        "attack-pattern",
    }
    assert all(before[name]["created"] == after[name]["created"] for name in same)
    assert all(before[name]["modified"] <= after[name]["modified"] for name in same)


# OCSF


def words(text: str) -> set[str]:
    return set(text.split())


EVENT: dict[str, Any] = {
    "required": words("activity_id category_uid class_uid type_uid time severity_id metadata finding_info evidences"),
    "const": {"activity_id": 1, "category_uid": 2, "class_uid": 2004, "type_uid": 200_401},
    "known": words(
        "activity_id activity_name category_uid category_name class_uid class_name type_uid type_name time "
        "start_time end_time count severity_id severity status_id status status_detail is_alert confidence_id "
        "confidence risk_score risk_level_id risk_level message metadata finding_info evidences remediation "
        "observables"
    ),
    "finding_info": words("uid title desc types created_time first_seen_time last_seen_time data_sources analytic attacks"),
    "evidences": words("src_endpoint dst_endpoint connection_info data"),
    "connection_info": words("direction_id direction protocol_ver_id protocol_name protocol_num"),
}
"""What OCSF 1.8 requires of a Detection Finding, and the attributes of it that are used here."""


def test_events_are_detection_findings() -> None:
    events = [json.loads(line) for line in ocsf.ocsf_text(REPORT)]
    for event, found in zip(events, REPORT.detections, strict=True):
        assert EVENT["required"] <= set(event) <= EVENT["known"]
        assert {name: event[name] for name in EVENT["const"]} == EVENT["const"]
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
        assert event["start_time"] <= event["end_time"] <= event["time"]
        assert all(isinstance(event[name], int) for name in ("time", "severity_id", "risk_score", "count", "status_id"))
        assert {"uid", "title"} <= set(event["finding_info"]) <= EVENT["finding_info"]
        [evidence] = event["evidences"]
        assert set(evidence) == EVENT["evidences"]
        assert "direction_id" in evidence["connection_info"]
        assert set(evidence["connection_info"]) <= EVENT["connection_info"]
        assert evidence["dst_endpoint"].get("port", 0) == found.port
        assert sum(entry["points"] for entry in evidence["data"]["evidence"]) == sum(e.points for e in found.evidence)
    assert [event["severity_id"] for event in events] == [5, 2, 3]
    assert [(event["status_id"], event["is_alert"]) for event in events] == [(1, True), (3, False), (1, True)]
    assert [event["evidences"][0]["connection_info"]["direction_id"] for event in events] == [2, 3, 1]
    assert events[2]["evidences"][0]["connection_info"]["protocol_num"] == 47


# ECS

ECS_FIELDS = words(
    "@timestamp ecs.version message event.kind event.category event.type event.module event.dataset "
    "event.provider event.id event.created event.start event.end event.risk_score event.severity "
    "event.reason source.ip source.bytes destination.ip destination.bytes destination.port network.type "
    "network.transport network.bytes network.iana_number network.direction network.protocol related.ip "
    "rule.id rule.name rule.ruleset observer.vendor observer.product observer.version observer.type "
    "threat.framework threat.technique.id threat.technique.name"
)
ECS_VALUES = {
    "event.kind": {"alert", "event"},
    "event.category": {"network", "intrusion_detection"},
    "event.type": {"info"},
    "network.direction": {"inbound", "outbound", "internal", "external"},
    "network.type": {"ipv4", "ipv6"},
}


def flat(value: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, part in value.items():
        if isinstance(part, dict):
            yield from flat(part, f"{before}{name}.")
        else:
            yield f"{before}{name}", part


def test_documents_hold_fields_of_the_schema_and_our_own_apart() -> None:
    for line in ecs.ecs_text(REPORT):
        for name, value in flat(json.loads(line)):
            if not name.startswith("reconshield."):
                assert name in ECS_FIELDS
                assert value not in (None, "", [])
            if name in ECS_VALUES:
                assert set(value if isinstance(value, list) else [value]) <= ECS_VALUES[name]


# CEF


def read_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """A line as the format has it: seven parts between bars that are not escaped, then pairs."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line, maxsplit=7)
    assert len(parts) == 8
    found = re.findall(r"(?:^| )(\w+)=((?:[^=\\]|\\.)*?)(?=(?: \w+=)|$)", parts[7])
    assert "".join(f" {name}={value}" for name, value in found) == f" {parts[7]}"
    backwards = {"\\n": "\n", "\\=": "=", "\\\\": "\\"}
    return [re.sub(r"\\([|\\])", r"\1", part) for part in parts[:7]], {
        name: re.sub(r"\\.", lambda each: backwards[each[0]], value) for name, value in found
    }


def test_a_line_has_seven_fields_and_known_pairs() -> None:
    for line, found in zip(cef.cef_text(REPORT), REPORT.detections, strict=True):
        assert line.count("\n") == 1
        head, pairs = read_cef(line.rstrip("\n"))
        assert head[:2] == ["CEF:0", "ReconShield"]
        assert head[6] == {"critical": "10", "low": "3", "medium": "5"}[found.grade.rating]
        assert (pairs.get("src") or pairs["c6a2"], pairs.get("dst") or pairs["c6a3"]) == (found.src, found.dst)
        assert {f"{name}Label" for name in pairs if re.fullmatch(r"(cs|cn|c6a)\d", name)} <= pairs.keys()
        assert int(pairs["start"]) <= int(pairs["end"])


def test_no_text_begins_a_field_or_a_line_of_its_own() -> None:
    line = cef_line(("a|b\\c\nd",), {"msg": "x=1 act=allowed\nCEF:0|y \\ \x1b", "none": None})
    assert line == "CEF:0|a\\|b\\\\c d|msg=x\\=1 act\\=allowed\\nCEF:0|y \\\\ \\\\x1b"
    *_, last = cef.cef_text(REPORT)
    assert read_cef(last.rstrip("\n"))[1]["app"].startswith("a|b=c\\d\nCEF:0|x|<script>")


# MISP

NETFLOW = {
    "ip-src": "ip-src",
    "ip-dst": "ip-dst",
    "dst-port": "port",
    "protocol": "text",
    "direction": "text",
    "flow-count": "counter",
    "byte-count": "counter",
    "first-packet-seen": "datetime",
    "last-packet-seen": "datetime",
}
"""The parts of MISP's object template `netflow`, version 2, that are used, with their types."""


def test_the_event_is_one_that_misp_imports() -> None:
    event = json.loads("".join(misp.misp_text(REPORT)))["Event"]
    assert (event["distribution"], event["published"], event["threat_level_id"]) == ("0", False, "1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", event["date"])
    ids = [event["uuid"]]
    for each in event["Object"]:
        assert (each["name"], each["template_uuid"]) == ("netflow", "bf148c58-3e7e-414e-8de8-5d96379ca77e")
        assert {part["object_relation"]: part["type"] for part in each["Attribute"]}.items() <= NETFLOW.items()
        ids += [each["uuid"], *(part["uuid"] for part in each["Attribute"])]
    assert len(ids) == len(set(ids))
    asked = [part["value"] for each in event["Object"] for part in each["Attribute"] if part["to_ids"]]
    assert asked == ["203.0.113.35"]


def test_what_is_suppressed_or_inside_is_never_an_indicator_for_others() -> None:
    for changed in (
        replace(BEACON, suppressed=REPORT.detections[1].suppressed),
        replace(BEACON, direction="within"),
        replace(BEACON, grade=replace(BEACON.grade, rating="medium")),
    ):
        text = "".join(misp.misp_text(replace(REPORT, detections=(changed,))))
        assert '"to_ids":true' not in text


def test_a_log_without_times_takes_the_time_of_the_report() -> None:
    timeless = REPORT.detections[2]
    assert HOSTILE in timeless.evidence[0].because
    assert detected.times_of(timeless, REPORT.made) == (AT + 86_400, AT + 86_400)
