"""The index says the same as the service files, and is passed over once they differ."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconshield.knowledge import index
from reconshield.knowledge.catalog import load_catalog
from reconshield.knowledge.risk import base_risk


def test_index_agrees_with_the_catalogue() -> None:
    found = index.read_index(json.loads(json.dumps(index.build_index())))
    for entry, endpoint in load_catalog().endpoints:
        rows = [row for row in found.at(endpoint.port, endpoint.transport) if row.service == entry.id]
        assert [(row.score, row.tls, row.role) for row in rows] == [(base_risk(endpoint).score, endpoint.tls, endpoint.role)]
    assert set(found.sources) == set(load_catalog().sources)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue folder of one file, with an index made from it."""
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "one.toml").write_text("# one")
    (tmp_path / "sources.toml").write_text("# none")
    monkeypatch.setattr(index, "FOLDER", tmp_path)
    monkeypatch.setattr(index, "INDEX", tmp_path / "index.json")
    write(tmp_path, {"format": index.FORMAT, "manifest": index.manifest()})
    return tmp_path


def write(folder: Path, data: object) -> None:
    (folder / "index.json").write_text(json.dumps(data))


def test_a_fresh_index_is_used(folder: Path) -> None:
    assert index.read_fresh() is not None


@pytest.mark.parametrize("change", ["edit", "touch", "add", "remove", "sources"])
def test_a_stale_index_is_passed_over(folder: Path, change: str) -> None:
    one = folder / "services" / "one.toml"
    if change == "edit":
        one.write_text("# one, edited")
    elif change == "touch":
        os.utime(one, ns=(1, 1))
    elif change == "add":
        (folder / "services" / "two.toml").write_text("# two")
    elif change == "remove":
        one.unlink()
    else:
        (folder / "sources.toml").write_text("# some more")
    assert index.read_fresh() is None


@pytest.mark.parametrize("text", ["", "{", '{"format": 0, "manifest": null}'])
def test_a_broken_or_foreign_index_is_passed_over(folder: Path, text: str) -> None:
    (folder / "index.json").write_text(text)
    assert index.read_fresh() is None


def test_a_packaged_index_needs_no_comparison(folder: Path) -> None:
    write(folder, {"format": index.FORMAT, "manifest": None})
    (folder / "services" / "one.toml").write_text("# unpacked at another time")
    assert index.read_fresh() is not None
