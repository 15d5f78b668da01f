"""The one table of settings: name, default, type, help. A value comes from `config.toml` in the home directory, is overridden
by the environment (`RECONSHIELD_<NAME>`), and that by a command-line flag. `home` itself comes from flag or environment only.

Everything ReconShield keeps lies in the home directory: by default `$XDG_DATA_HOME/reconshield`, which is
`~/.local/share/reconshield` on most machines.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconshield.errors import UserError


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name in `config.toml`, its default as text, and what it does."""

    name: str
    default: str
    help: str

    @property
    def variable(self) -> str:
        return f"RECONSHIELD_{self.name.upper()}"


OWN_DB = "reconshield.db"
SETTINGS = (
    Setting("db", "", "database: a file, or a postgresql:// URL; empty: reconshield.db in the home directory"),
    Setting("workspace", "main", "workspace (tenant) that grants, runs and findings belong to"),
    Setting("vantage", "local", "name of the place that this machine measures from; part of every observation"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one invocation, every value resolved."""

    home: Path
    db: str
    workspace: str
    vantage: str

    @property
    def db_is_file(self) -> bool:
        return "://" not in self.db

    @property
    def db_is_own(self) -> bool:
        """Whether the database is the one of the home directory: nobody named another."""
        return self.db == str(self.home / OWN_DB)


def load_settings(flags: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Resolve every setting. `flags` holds `home` and setting names; None and "" mean not given.

    Raises UserError for a config file that cannot be read, is not TOML, or names an unknown setting.
    """
    home = _home(flags.get("home"), environ)
    config = _read_config(home / "config.toml")
    values = {s.name: flags.get(s.name) or environ.get(s.variable) or config.get(s.name) or s.default for s in SETTINGS}
    return Settings(home=home, db=values["db"] or str(home / OWN_DB), workspace=values["workspace"], vantage=values["vantage"])


def _home(flag: str | None, environ: Mapping[str, str]) -> Path:
    if given := flag or environ.get("RECONSHIELD_HOME"):
        return Path(given).expanduser()
    data = environ.get("XDG_DATA_HOME") or Path(environ.get("HOME") or Path.home(), ".local", "share")
    return Path(data, "reconshield")


def _read_config(path: Path) -> dict[str, str]:
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UserError(f"the config file cannot be read: {error.strerror}", where=str(path), hint=f"ls -l {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"the config file is not valid TOML: {error}", where=str(path), hint=f"edit {path}") from error
    known = {s.name for s in SETTINGS}
    for name, value in config.items():
        if name not in known:
            raise UserError(f"unknown setting {name!r}", where=str(path), hint=f"settings are {', '.join(sorted(known))}")
        if not isinstance(value, str):
            raise UserError(f"setting {name!r} must be text in quotes", where=str(path), hint=f'{name} = "{value}"')
    return config
