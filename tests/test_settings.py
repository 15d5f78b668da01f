"""Where a setting comes from: flag over environment over config.toml over default, and what is wrong with a bad file."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconshield.errors import UserError
from reconshield.settings import load_settings


def test_precedence(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('vantage = "lab-1"\nworkspace = "config"\n')
    flags = {"home": str(tmp_path), "workspace": None}
    assert load_settings(flags, {}).workspace == "config"
    assert load_settings(flags, {"RECONSHIELD_WORKSPACE": "env"}).workspace == "env"
    assert load_settings(flags | {"workspace": "flag"}, {"RECONSHIELD_WORKSPACE": "env"}).workspace == "flag"
    assert load_settings(flags, {}).vantage == "lab-1"
    assert load_settings(flags, {}).db == str(tmp_path / "reconshield.db")


def test_home_follows_xdg(tmp_path: Path) -> None:
    assert load_settings({}, {"XDG_DATA_HOME": str(tmp_path)}).home == tmp_path / "reconshield"
    assert load_settings({}, {"HOME": str(tmp_path)}).home == tmp_path / ".local" / "share" / "reconshield"
    assert load_settings({}, {"RECONSHIELD_HOME": "/data/x"}).home == Path("/data/x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"vantage = ", "not valid TOML"),
        (b"\xff\xfe", "not valid TOML"),
        (b'colour = "red"', "unknown setting 'colour'"),
        (b"vantage = 7", "must be text in quotes"),
    ],
)
def test_a_bad_config_is_a_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_settings({"home": str(tmp_path)}, {})
    assert caught.value.where == str(tmp_path / "config.toml")
    assert caught.value.hint


def test_a_config_that_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_settings({"home": str(tmp_path)}, {})
