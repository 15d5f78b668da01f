"""The page of detections: parsed strictly, attacked with hostile text, its charts as numbers, its states as a table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import html5lib
import numpy as np
import pytest

from detect.captures import zeek_conn, zeek_row
from detect.test_match import CELL, DAY, beacon, policy_of
from reconshield.detect.flows import Flows
from reconshield.detect.match import Matches, match
from reconshield.detect.picture import MOST_BEATS, PARTS, draw
from reconshield.detect.readers import recognise
from reconshield.detect.tally import MOMENT, Tally
from reconshield.jobs.detect import make_setting
from reconshield.report.detected import PICTURED, DetectionReport
from reconshield.report.html import detections_text, style_sheet
from reconshield.report.html.detections import DETAILED, sentence_of
from reconshield.report.html.graph import EDGES, chart_graph, shorten
from reconshield.report.html.traffic_charts import TIMELINES, chart_rhythm, chart_timeline
from report.detected import REPORT
from report.test_html import LANDMARKS, Page


def judged(rows: Iterable[dict[str, object]]) -> Matches:
    data = zeek_conn(rows)
    reader = recognise(data)
    assert reader is not None
    with Tally() as tally:
        for item in reader.read([data]):
            if isinstance(item, Flows):
                tally.add(item)
        return match(tally, make_setting(policy_of(CELL), DAY + 86_400.0), pictured=PICTURED)


def report_of(rows: Iterable[dict[str, object]]) -> DetectionReport:
    found = judged(rows)
    return replace(
        REPORT,
        detections=found.detections,
        own=found.own,
        allowed=found.allowed,
        conversations=found.conversations,
        noted=found.noted,
        span=found.span,
    )


SCAN = [zeek_row(DAY + at * 7, "10.20.4.7", f"10.20.5.{at}", 3389) for at in range(80)]
WHOLE = report_of(
    [
        *beacon("10.20.4.9", "203.0.113.35", 110, service="http"),
        *(zeek_row(DAY + at * 300, "10.20.4.7", "2001:db8:85a3:1:2:8a2e:370:7334", 5888, conn_state="REJ") for at in range(60)),
        *(zeek_row(DAY + at * 400, "10.30.0.9", "10.20.4.9", 22, service="ssh") for at in range(50)),
    ]
)
EVERY_STATE = {
    "whole": WHOLE,
    "many": report_of(SCAN),
    "hostile and timeless": REPORT,
    "nothing": replace(REPORT, detections=(), feeds=(), policy="", span=None),
    "cut": replace(WHOLE, left_out=12),
}


def page(report: DetectionReport) -> Page:
    return Page("".join(detections_text(report)))


@pytest.mark.parametrize("report", EVERY_STATE.values(), ids=EVERY_STATE)
def test_the_page_is_strict_html_and_reaches_nothing(report: DetectionReport) -> None:
    shown = page(report)
    html5lib.HTMLParser(strict=True).parse(shown.source)
    assert shown.open == []
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [name for _, a in shown.tags if "aria-labelledby" in a for name in a["aria-labelledby"].split()]
    jumps = [a["href"][1:] for a in shown.named("a") if a["href"].startswith("#")]
    assert set(named) | set(jumps) <= set(ids)
    assert {tag for tag, _ in shown.tags} >= LANDMARKS
    assert shown.named("script", "link", "img", "iframe", "object", "embed", "form", "base", "use", "image") == []
    assert not [key for _, a in shown.tags for key in a if key.startswith("on") or key in {"src", "style", "srcset"}]
    levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_every_class_that_the_page_uses_is_styled() -> None:
    css = style_sheet()
    used = {name for report in EVERY_STATE.values() for _, a in page(report).tags for name in a.get("class", "").split()}
    loose = {name for name in used if f".{name}" not in css}
    assert loose <= {"what", "context"}


def test_hostile_text_is_shown_and_does_nothing() -> None:
    shown = page(REPORT)
    assert "<script>alert" not in shown.source
    assert "&lt;script&gt;alert" in shown.source
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", shown.source)


ORDER = (
    "1 critical and 1 high detections in 3 conversations",
    "When each was active",
    "10.20.4.9 → 203.0.113.35:110/tcp · 100 critical",
    "Who talks to whom",
    "2 detections, the worst first",
    "60 policy + 25 protocol + 20 rhythm + 10 direction = 115, cut at 100: critical (85 to 100)",
    "protocol 25 http was spoken, not pop3 [T1571]",
    "Some of its flows The first and the last of 720 seconds",
    "Next on 10.20.4.9: ss -tnp dst 203.0.113.35",
    "Confirmed by a process on 10.20.4.9 behind it that whoever runs that host does not know, or http in the first bytes",
    "Refuted by a greeting of pop3 in a capture",
    "T1071 Application Layer Protocol, T1571 Non-Standard Port",
    "Rhythm: median 60 s, median deviation 0 s, 239 of 719 gaps drawn",
    "Score 1.00 = (gaps 1.00 + sizes 1.00 + hours 1.00 + duration 1.00) ÷ 4; strong from 0.80, weak from 0.60",
    "Each row sums up a twelfth of the time",
    "conn.log zeek-conn 1,284,003 2",
    "Allowed by the policy, else rated: 1 conversation",
)


def test_the_page_says_it_in_this_order() -> None:
    text, at = page(WHOLE).text, 0
    for part in ORDER:
        found = text.find(part, at)
        assert found >= 0, part
        at = found + 1


PAIRS = report_of(zeek_row(DAY + at * 7, f"10.20.6.{at}", f"203.0.113.{at}", 4000 + at) for at in range(60))


def test_what_is_not_drawn_is_counted() -> None:
    text = page(PAIRS).text
    assert len(PAIRS.detections) == 60
    assert f"The worst {EDGES} lines are drawn; {60 - EDGES} more detections are not." in text
    assert f"The worst {TIMELINES} are drawn, {60 - TIMELINES} more are not." in text
    assert f"The worst {DETAILED} of 60." in text


def test_many_alike_are_one_line() -> None:
    scan = chart_graph(EVERY_STATE["many"].detections)
    [edge] = scan.edges
    assert ([node.name for node in scan.targets], len(edge.detections), scan.left_out) == (["80 hosts:3389/tcp"], 80, 0)
    assert edge.target.startswith("10.20.5.0:3389/tcp, 10.20.5.1:3389/tcp, ")
    assert edge.target.endswith(" and 72 more")
    herd = [zeek_row(DAY + at * 7, f"10.20.6.{at}", "203.0.113.35", 110) for at in range(9)]
    alone = [zeek_row(DAY + at * 7, "10.20.7.1", f"203.0.113.{at + 40}", 110) for at in range(4)]
    graph = chart_graph(report_of([*herd, *alone]).detections)
    assert [node.name for node in graph.sources] == ["9 sources", "10.20.7.1"]
    assert [node.about for node in graph.sources] == ["10.20.6.0, …", "4 endpoints"]
    assert sorted(len(edge.detections) for edge in graph.edges) == [1, 1, 1, 1, 9]


def test_a_scan_is_one_row_of_the_timeline() -> None:
    many = EVERY_STATE["many"].detections
    timeline = chart_timeline(many)
    assert timeline is not None
    [row] = timeline.rows
    assert (row.name, row.number, timeline.left_out) == ("10.20.4.7 → 80 hosts:3389/tcp", 80, 0)
    assert (row.first, row.last, sum(bar.height > 0 for bar in row.bars)) == (DAY, DAY + 79 * 7 + 1, row.active)
    half = chart_timeline([replace(each, picture=each.picture if at < 40 else None) for at, each in enumerate(many)])
    assert half is not None
    assert (half.rows[0].number, half.left_out) == (40, 40)


def test_other_sources_are_another_end_however_many_they_are() -> None:
    def herd(net: int, peer: str, port: int) -> list[dict[str, object]]:
        return [zeek_row(DAY + at * 7, f"10.20.{net}.{at}", peer, port) for at in range(9)]

    rows = [*herd(6, "203.0.113.35", 110), *herd(6, "203.0.113.36", 143), *herd(7, "203.0.113.37", 995)]
    graph = chart_graph(report_of(rows).detections)
    assert [node.name for node in graph.sources] == ["9 sources", "9 sources"]
    assert len({edge.y1 for edge in graph.edges}) == 2
    assert len({edge.y2 for edge in graph.edges}) == 3


def test_the_same_flows_give_the_same_page() -> None:
    assert page(WHOLE).source == page(replace(WHOLE)).source
    assert chart_graph(WHOLE.detections) == chart_graph(WHOLE.detections)


def test_sources_stand_by_their_worst_and_lines_lead_to_their_ends() -> None:
    graph = chart_graph(WHOLE.detections)
    assert [node.name for node in graph.sources] == ["10.20.4.9", "10.20.4.7"]
    heights = {node.name: node.y for node in (*graph.sources, *graph.targets)}
    for edge in graph.edges:
        assert (edge.y1, edge.y2) == (heights[edge.source], heights[shorten(edge.target)])
    assert max(heights.values()) < graph.height
    assert graph.edges[-1].worst.grade.rating == "critical"  # drawn last, so on top


def test_a_timeline_is_as_high_as_its_busiest_part() -> None:
    timeline = chart_timeline(WHOLE.detections)
    assert timeline is not None
    first = timeline.rows[0]
    assert first.active == PARTS
    assert sum(first.worst.picture.parts if first.worst.picture else ()) == 720
    assert max(bar.height for bar in first.bars) == 14
    assert max(bar.x + bar.width for bar in first.bars) <= 100.01


def test_a_rhythm_has_its_band_at_the_median_and_shows_what_is_beyond() -> None:
    moments = np.zeros(50, MOMENT)
    moments["second"] = np.cumsum([DAY, *([60, 70] * 24), 9000])
    picture = draw(moments, (float(moments["second"][0]), float(moments["second"][-1])))
    assert (picture.median, picture.spread, picture.longest, picture.count) == (70.0, 10.0, 9000.0, 50)
    chart = chart_rhythm(picture)
    assert chart is not None
    assert (chart.over, len(chart.dots)) == (1, 49)
    assert chart.band[0] <= chart.middle <= chart.band[0] + chart.band[1]
    assert [w.beats for w in picture.windows][4:] == [0, 0, 0, 0, 0, 0, 0, 1]
    assert sum(w.beats for w in picture.windows) == 50
    assert picture.windows[-1].longest == 9000
    assert sum(picture.parts) == 50


def test_a_picture_is_bounded_and_keeps_both_ends() -> None:
    moments = np.zeros(10_000, MOMENT)
    moments["second"], moments["sent"] = DAY + np.arange(10_000) * 5, 7
    picture = draw(moments, (float(DAY), DAY + 50_000.0))
    assert len(picture.beats) == MOST_BEATS
    assert (picture.beats[0].at, picture.beats[-1].at) == (DAY, DAY + 49_995)
    assert [beat.gap for beat in picture.sample] == [None, 5, 5, 5, 5, 5]
    few = draw(moments[:2], (float(DAY), DAY + 5.0))
    assert (few.median, few.windows, len(few.sample)) == (None, (), 2)
    assert chart_rhythm(few) is None


def test_long_names_are_cut_in_their_middle() -> None:
    assert shorten("203.0.113.35:110/tcp") == "203.0.113.35:110/tcp"
    assert shorten("[2001:db8:85a3::8a2e:370:7334]:5888/tcp") == "[2001:…7334]:5888/tcp"


def test_the_sentence_counts_what_is_suppressed_apart() -> None:
    assert sentence_of(REPORT).startswith("1 critical and 1 medium detections in 9,114 conversations. 1 more is suppressed")
    assert sentence_of(EVERY_STATE["nothing"]) == "Nothing rated Low or above in 9,114 conversations."
