"""Detections in the terminal as they are read there: wide, narrow, in ASCII, and what does not fit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from reconshield.detection import Detection, Evidence, Grade
from reconshield.report.detections import MOST_GROUPS, all_rows, detection_rows, low_rows, sparkline
from reconshield.report.rows import plain
from reconshield.text import width_of
from report.detected import BEACON, REPORT

WIDE = """\

100 critical  10.20.4.9 → 203.0.113.35:110/tcp
              719 flows, 2026-05-24 22:00 to 2026-05-25 09:59 UTC
    60  policy     secure zone cell-3 expects no pop3 here (line 33)
    25  protocol   http was spoken, not pop3                                       T1571
    20  rhythm     every 60 s, score 0.91   ▅▅▅▅▅▁▅▅▅▅▅█                           T1071
    10  direction  inside to the internet, not a web port
   115  cut at 100
        refuted by a greeting of pop3 in a capture, or a change record for cell-3, then
                   a [[traffic]] entry
        next       on 10.20.4.9: ss -tnp dst 203.0.113.35"""
NARROW = """\

100 critical  10.20.4.9 → 203.0.113.35:110/tcp
  719 flows, 2026-05-24 22:00 to 2026-05-25 09:59
  UTC
    60  policy     secure zone cell-3 expects no
                   pop3 here (line 33)
    25  protocol   http was spoken, not pop3 T1571
    20  rhythm     every 60 s, score 0.91
                   555550555559 T1071
    10  direction  inside to the internet, not a
                   web port
   115  cut at 100
        refuted by a greeting of pop3 in a
                   capture, or a change record for
                   cell-3, then a [[traffic]]
                   entry
        next       on 10.20.4.9: ss -tnp dst
                   203.0.113.35"""


def text(width: int, *, ascii_: bool = False) -> list[str]:
    shown = replace(BEACON, hours=(60, 60, 60, 60, 60, 0, 60, 60, 60, 60, 60, 119))
    return [plain(row).rstrip() for row in detection_rows([shown], width, ascii_=ascii_)]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_wide() -> None:
    assert "\n".join(text(88)) == WIDE


def test_extent_stands_beside_the_ends_where_there_is_room() -> None:
    assert text(101)[1] == f"{WIDE.splitlines()[1]}   {WIDE.splitlines()[2].strip()}"


def test_narrow_and_in_ascii() -> None:
    assert "\n".join(text(50, ascii_=True)) == NARROW


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_no_line_runs_over(width: int) -> None:
    for row in all_rows(REPORT.detections, REPORT.detections[1:], REPORT.detections[:1], width):
        assert width_of(plain(row)) <= width


def test_a_sparkline_sums_up_what_does_not_fit() -> None:
    assert sparkline(()) == ""
    assert sparkline((0, 1, 2, 3, 4, 5, 6, 7)) == "▁▂▃▄▅▆▇█"
    assert sparkline((0, 5, 9), ascii_=True) == "059"
    assert sparkline((1,) * 100) == "█" * 20
    assert sparkline((0, 0)) == "▁▁"


def quiet(port: int, number: int, score: int = 30) -> Detection:
    evidence = (
        Evidence("rhythm", 20, "every 60 s"),
        Evidence("direction", 10, "inside to the internet"),
        Evidence("minus", -5, ""),
    )
    return replace(BEACON, src=f"10.0.0.{number}", port=port, evidence=evidence, grade=Grade(score, "low"))


def test_low_is_summed_up_by_port_with_the_highest_first_and_the_rest_in_one_line() -> None:
    found = [quiet(123, number) for number in range(4)] + [quiet(993, number, 20 + number) for number in range(20)]
    rows = [plain(row).rstrip() for row in low_rows([*found, quiet(5000, 1), quiet(5001, 1)], 80)]
    assert rows == [
        "26 detections of low, by port:",
        "  20-39     20  993/tcp      20 sources, 1 destination: rhythm, direction",
        "     30      4  123/tcp      4 sources, 1 destination: rhythm, direction",
        "     30      2  other ports  1 source, 1 destination: rhythm, direction",
        "",
    ]


def test_many_ports_are_cut_to_a_screen_and_nothing_is_lost() -> None:
    found = [quiet(port, number) for port in range(1, 41) for number in range(3)]
    rows = [plain(row) for row in low_rows(found, 80)]
    assert len(rows) == 1 + MOST_GROUPS + 1 + 1
    assert sum(int(row.split()[1]) for row in rows[1:-1]) == len(found)
