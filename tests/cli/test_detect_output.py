"""`detect run --as`: every format on standard output and in a file, and what cannot be asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.inside import Done, run
from detect.captures import zeek_conn, zeek_row
from detect.test_match import CELL, DAY, beacon
from reconshield.report.detection_formats import FORMATS


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detect")
    rows = beacon("10.20.4.9", "203.0.113.35", 110, service="http")
    rows += [zeek_row(DAY + at * 400, "10.30.0.9", "10.20.4.9", 22, service="ssh") for at in range(50)]
    (folder / "conn.log").write_bytes(zeek_conn(rows))
    (folder / "reconshield.toml").write_text(CELL)
    return folder


def detect(home: Path, *words: str) -> Done:
    return run(home, "detect", "run", str(home / "conn.log"), "--policy", str(home / "reconshield.toml"), *words)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_holds_what_standard_output_would(home: Path, name: str) -> None:
    shown, written = detect(home, "--as", name), detect(home, "--as", name, "-o", str(home / name))
    assert (shown.code, written.code, written.out) == (0, 0, "")
    text = (home / name).read_text()
    assert "203.0.113.35" in text
    if name in {"stix", "misp"}:
        assert json.loads(shown.out)
    if name not in {"table", "html", "misp", "ecs", "ocsf", "cef"}:  # these hold the time at which they were made, or the width
        assert text == shown.out
    assert f"report   {home / name}" in written.err
    assert ("720 flows" in shown.out) is (name in {"table", "html"})


def test_lines_in_a_file_say_what_was_read(home: Path) -> None:
    detect(home, "--json", "-o", str(home / "lines"))
    kinds = [json.loads(line)["type"] for line in (home / "lines").read_text().splitlines()]
    assert kinds == ["input", "detection", "detection"]


def test_in_formats_of_others_the_remarks_stand_beside_the_result(home: Path) -> None:
    done = detect(home, "--as", "cef")
    assert all(line.startswith("CEF:0|") for line in done.out.splitlines())
    assert "770 records" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as", "pdf"], "--as one of table, jsonl"),
        (["--as", "stix", "--json"], "--json is --as jsonl"),
        (["--as", "stix", "--follow"], "stix needs the whole log"),
        (["--follow", "-o", "x"], "has no end"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is_read(home: Path, words: list[str], said: str) -> None:
    done = detect(home, *words)
    assert done.code == 2
    assert said in done.err
    assert "records" not in done.err


def test_many_of_low_are_summed_up_unless_all_are_wanted(home: Path) -> None:
    rows = [row for host in range(6) for row in beacon(f"10.40.0.{host}", "203.0.113.36", 123, service="ntp", proto="udp")]
    (home / "low.log").write_bytes(zeek_conn(rows))
    words = ("detect", "run", str(home / "low.log"), "--policy", str(home / "reconshield.toml"))
    short, whole, lines = run(home, *words), run(home, *words, "--all"), run(home, *words, "--json")
    assert "6 detections of low, by port:" in short.out
    assert "10.40.0.3" not in short.out
    assert "10.40.0.3 → 203.0.113.36:123/udp" in whole.out
    assert "by port" not in whole.out
    assert sum(json.loads(line)["type"] == "detection" for line in lines.out.splitlines()) == 6
