"""A packed log that grows without end is read as far as it can be a log."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from detect.captures import zeek_conn, zeek_row
from reconshield.cli.main import make_app
from reconshield.jobs import detect

WHOLE = zeek_conn([zeek_row(1_760_000_000 + at, "10.0.0.5", "10.0.0.9", 80) for at in range(20)])


def test_a_bomb_is_read_as_far_as_it_can_be_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "SMALL", 1 << 20)
    monkeypatch.setattr(detect, "CHUNK", 1 << 16)
    log = WHOLE.split(b"#close")[0]
    (tmp_path / "conn.log.gz").write_bytes(gzip.compress(log + b"#\n" * 10_000_000))
    make_app()(["detect", "run", str(tmp_path / "conn.log.gz")], standalone_mode=False)
    told = "".join(capsys.readouterr())
    assert "20 records" in told
    assert "more than 200 times its size" in told
