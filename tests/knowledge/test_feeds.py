"""Feeds: what is a good one, and every way in which one is refused. The examples are made to measure, no network."""

# ruff: noqa: E501 - a table of cases reads best with one case a line
from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconshield.errors import UserError
from reconshield.knowledge import feeds, kev, tables

COUNT = 1500


def kev_bytes(version: str = "2026.11.01", count: int = COUNT, **changes: Any) -> bytes:
    """A KEV document; `changes` replace keys of the document, `row` keys of its first vulnerability."""
    rows = [
        {
            "cveID": f"CVE-2020-{10000 + number}",
            "vendorProject": "Exim",
            "product": "Exim",
            "dateAdded": "2021-11-03",
            "knownRansomwareCampaignUse": "Known" if number % 2 else "Unknown",
        }
        for number in range(count)
    ]
    rows[0] |= changes.pop("row", {})
    return json.dumps({"catalogVersion": version, "count": len(rows), "vulnerabilities": rows} | changes).encode()


def epss_bytes(day: str = "2026-11-01", count: int = feeds.LEAST_EPSS, tail: str = "") -> bytes:
    head = f"#model_version:v2026.06.15,score_date:{day}T12:00:22Z\ncve,epss,percentile\n"
    return (head + "".join(f"CVE-2020-{10000 + number},0.5,0.75\n" for number in range(count)) + tail).encode()


def test_kev_becomes_a_table() -> None:
    table = feeds.read_kev_feed(kev_bytes())
    assert (table.version, table.rows, len(table.ids)) == ("2026.11.01", COUNT, COUNT)
    rows = kev.read_kev(table.text)
    assert rows["CVE-2020-10001"] == kev.Exploited("CVE-2020-10001", "Exim", "Exim", "2021-11-03", True)
    assert not rows["CVE-2020-10000"].ransomware
    assert tables.header(table.text)["version"] == "2026.11.01"


def test_epss_keeps_only_what_is_wanted_and_counts_all() -> None:
    table = feeds.read_epss_feed(epss_bytes(), {"CVE-2020-10007", "CVE-1999-0001"})
    assert (table.version, table.rows) == ("2026-11-01", feeds.LEAST_EPSS)
    assert [line for line in table.text.splitlines() if line[0] != "#"] == ["CVE-2020-10007\t0.5\t0.75"]


REFUSED: list[tuple[Callable[[], feeds.Table], str]] = [
    (lambda: feeds.read_kev_feed(kev_bytes()[:-40]), "not valid JSON, perhaps cut off"),
    (lambda: feeds.read_kev_feed(b"[" * 100_000), "not valid JSON"),
    (lambda: feeds.read_kev_feed(b"[]"), "not a JSON object"),
    (lambda: feeds.read_kev_feed(b"<html>403</html>"), "not valid JSON"),
    (lambda: feeds.read_kev_feed(kev_bytes(version="newest")), "catalogVersion is not a date"),
    (lambda: feeds.read_kev_feed(kev_bytes(count=3)), "only 3 vulnerabilities"),
    (lambda: feeds.read_kev_feed(kev_bytes(vulnerabilities={"a": 1})), "the count is not the number"),
    (lambda: feeds.read_kev_feed(json.dumps(json.loads(kev_bytes()) | {"count": 7}).encode()), "the count is not the number"),
    (lambda: feeds.read_kev_feed(kev_bytes(row={"cveID": "CVE-20-1"})), "wrong id, date or mark"),
    (lambda: feeds.read_kev_feed(kev_bytes(row={"dateAdded": "3 November"})), "wrong id, date or mark"),
    (lambda: feeds.read_kev_feed(kev_bytes(row={"knownRansomwareCampaignUse": "yes"})), "wrong id, date or mark"),
    (lambda: feeds.read_kev_feed(kev_bytes(row={"product": None})), "lacks one of"),
    (lambda: feeds.read_kev_feed(kev_bytes(row={"cveID": "CVE-2020-10001"})), "listed twice"),
    (lambda: feeds.read_epss_feed(b""), "does not begin with the model"),
    (lambda: feeds.read_epss_feed(epss_bytes(count=20)), "only 20 scores"),
    (lambda: feeds.read_epss_feed(epss_bytes(tail="CVE-2020-1,1.5,0.1\n")), "not a CVE and two numbers"),
    (lambda: feeds.read_epss_feed(epss_bytes(tail="CVE-2020-1,nan,0.1\n")), "not a CVE and two numbers"),
    (lambda: feeds.read_epss_feed(epss_bytes(tail="CVE-2020-1,0.")), "not a CVE and two numbers"),
    (lambda: feeds.read_epss_feed(epss_bytes(tail="CVE-2020-10000,0.5,0.5\n")), "scored twice"),
    (lambda: feeds.read_epss_feed(b"\xff\xfe"), "not UTF-8"),
    (lambda: feeds.read_ports_feed(b"Service Name,Port Number\nssh,22\n"), "the CSV has no column"),
]  # fmt: skip


@pytest.mark.parametrize(("read", "message"), REFUSED, ids=[row[1] for row in REFUSED])
def test_a_feed_that_is_not_whole_is_refused(read: Callable[[], feeds.Table], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read()


STEPS = [
    # version and count now, version and count before, --allow-downgrade, what is said
    ("2026.11.01", 1500, "2025.08.25", 1490, False, None),
    ("2026.11.01", 1490, "2026.10.01", 1500, False, None),
    ("2026.11.01", 1480, "2026.10.01", 1500, False, "20 of 1,500 rows are gone"),
    ("2026.11.01", 1480, "2026.10.01", 1500, True, "20 of 1,500 rows are gone"),
    ("2026.10.01", 1500, "2026.11.01", 1500, False, "older than 2026.11.01 in use"),
    ("2026.10.01", 1500, "2026.11.01", 1500, True, None),
]


@pytest.mark.parametrize(("version", "count", "old", "before", "allow", "message"), STEPS)
def test_a_step_forward(version: str, count: int, old: str, before: int, allow: bool, message: str | None) -> None:
    new, ids = feeds.read_kev_feed(kev_bytes(version, count)), feeds.read_kev_feed(kev_bytes(count=before)).ids
    if message is None:
        feeds.check_step(new, old, ids, before, allow_downgrade=allow)
        return
    with pytest.raises(UserError, match=message):
        feeds.check_step(new, old, ids, before, allow_downgrade=allow)


def test_the_tables_of_the_package_have_ids_versions_and_dates() -> None:
    for name, path in (("kev", tables.EMBEDDED.kev), ("ports", tables.EMBEDDED.ports)):
        text = tables.read_text(path)
        assert tables.version_of(path) >= "2025"
        assert len(feeds.row_ids(name, text)) > 1000
    assert gzip.decompress(tables.EMBEDDED.ports.read_bytes()).startswith(b"# source: IANA")


MANIFESTS = [
    "not json",
    "[]",
    '{"kev": 3}',
    '{"kev": {"current": {"file": "../../etc/passwd", "version": "9", "sha256": "", "source": "", "retrieved_at": "", "rows": 1, "size": 1}}}',
    '{"kev": {"current": {"file": "kev.tsv"}}}',
]


@pytest.mark.parametrize("text", MANIFESTS)
def test_a_broken_manifest_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / tables.MANIFEST).write_text(text)
    with pytest.raises(UserError, match="manifest of the feeds cannot be read"):
        tables.find_tables(tmp_path)
