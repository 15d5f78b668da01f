"""`catalogue`, `site` and `intel` as a user runs them: what is printed, and mistakes."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconshield.cli.main import main
from reconshield.knowledge import tables

Answer = tuple[int, str, str]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Answer]]:
    """The command in this process: exit code, standard output, standard error."""

    def call(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["reconshield", "--home", str(tmp_path), *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(str(ended.value.code)), out, err

    yield call
    tables.choose(None)


def test_export(ask: Callable[..., Answer], tmp_path: Path) -> None:
    assert json.loads(ask("catalogue", "export")[1])["format"] == 1
    rows = list(csv.DictReader(io.StringIO(ask("catalogue", "export", "--format", "csv")[1])))
    (row,) = (row for row in rows if (row["port"], row["transport"]) == ("110", "tcp"))
    assert (row["service"], row["score"], row["rating"]) == ("pop3", "44", "medium")
    code, out, err = ask("catalogue", "export", "-o", str(tmp_path / "all.json"))
    assert (code, out, err) == (0, "", f"written  {tmp_path / 'all.json'}\n")
    assert json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["services"]


def test_status_of_the_packages_own_tables(ask: Callable[..., Answer]) -> None:
    code, out, err = ask("intel", "status")
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["FEED", "VERSION"],
        ["kev", "2025.08.25"],
        ["epss", "-"],
        ["ports", "2026-02-13"],
    ]
    assert "warning: CISA KEV is more than 45 days old" in err
    assert {row["source"] for row in json.loads(ask("intel", "status", "--json")[1]) if row["feed"] != "epss"} == {"package"}


def test_an_update_from_a_file_changes_what_a_port_page_says(ask: Callable[..., Answer], tmp_path: Path) -> None:
    text = tables.read_text(tables.EMBEDDED.kev)
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    names = ("cveID", "vendorProject", "product", "dateAdded")
    listed = [
        dict(zip(names, row[:4], strict=True))
        | {"knownRansomwareCampaignUse": "Known" if row[4] == "ransomware" else "Unknown"}
        for row in rows
    ]
    document = {"catalogVersion": "2026.11.01", "count": len(listed), "vulnerabilities": listed}
    feed = tmp_path / "kev.json"
    feed.write_text(json.dumps(document))
    code, out, _ = ask("intel", "update", "kev", "--from-file", str(feed))
    assert (code, out.split()) == (0, ["kev", "new", "2025.08.25", "→", "2026.11.01", "1,404", "rows"])
    assert "KEV 2026-11-01" in ask("port", "25")[1]
    assert ask("intel", "rollback")[1].split() == ["kev", "2026.11.01", "→", "package"]
    assert "KEV 2025-08-25" in ask("port", "25")[1]


MISTAKES = [
    (["catalogue", "export", "--format", "xml"], "error: unknown format 'xml'", "--format json or --format csv"),
    (["intel", "update", "kve"], "error: unknown feed 'kve'", "feeds are kev, epss, ports"),
    (["intel", "update", "kev", "--from-file", "nowhere"], "error: the file cannot be read", "ls -l nowhere"),
    (["intel", "update", "--from-file", "x"], "error: a file is one feed", "reconshield intel update kev --from-file x"),
    (["site", "build", "/proc/none"], "error: the folder cannot be used", "give another folder"),
]


@pytest.mark.parametrize(("arguments", "error", "hint"), MISTAKES)
def test_mistakes(ask: Callable[..., Answer], arguments: list[str], error: str, hint: str) -> None:
    code, out, err = ask(*arguments)
    assert (code, out) == (2, "")
    assert error in err
    assert hint in err
