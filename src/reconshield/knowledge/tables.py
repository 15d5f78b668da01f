"""Which copies of the renewable tables are in use: those that `reconshield intel update` fetched, else those of the package.

    choose(home / "feeds") at the start of a command, then in_use().kev, in_use().iana, in_use().epss

The folder holds `manifest.json`, the only file that says what counts: it is replaced in one step, after the table it names is
on the disk. A fetched table that is older than the package's own is passed over, so an upgrade never goes back in time.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconshield.errors import UserError

FOLDER = Path(__file__).parent
MANIFEST = "manifest.json"
FEEDS = ("kev", "epss", "ports")
KEPT = ("current", "previous")


@dataclass(frozen=True, slots=True)
class Tables:
    """The file of each table; there is no table of EPSS before it was fetched."""

    kev: Path = FOLDER / "kev.tsv"
    ports: Path = FOLDER / "iana.tsv.gz"
    epss: Path | None = None


EMBEDDED = Tables()
_chosen = [EMBEDDED]  # one for the process, set once by whoever starts it, before the first look-up


def in_use() -> Tables:
    return _chosen[0]


def choose(folder: Path | None) -> Tables:
    """Use the tables of a folder from now on, where its manifest names newer ones; None means those of the package."""
    _chosen[0] = find_tables(folder) if folder else EMBEDDED
    return _chosen[0]


def find_tables(folder: Path) -> Tables:
    """The tables that count when this folder is the one for fetched tables."""
    found = EMBEDDED
    for name, row in read_manifest(folder).items():
        current, own = row.get("current"), getattr(EMBEDDED, name, None)
        if current and is_whole(folder, current) and (own is None or current["version"] >= version_of(own)):
            found = replace(found, **{name: folder / current["file"]})
    return found


def is_whole(folder: Path, current: dict[str, Any]) -> bool:
    """Whether a fetched table is there in its full length; its digest is compared by `intel status`."""
    path = folder / current["file"]
    return path.is_file() and bool(path.stat().st_size == current["size"])


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """What was fetched, by feed: `current` and `previous`, each with file, version, rows, sha256, size, source, time."""
    path = folder / MANIFEST
    try:
        data = dict(json.loads(path.read_bytes()).items())
        rows = {name: {which: _check_note(data[name].get(which)) for which in KEPT} for name in FEEDS if name in data}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        hint = "remove that file; the tables of the package are used then"
        raise UserError("the manifest of the feeds cannot be read", where=str(path), hint=hint) from error
    return rows


def _check_note(note: dict[str, Any] | None) -> dict[str, Any] | None:
    """A note that names a file of this folder, as it is; anything else is a ValueError."""
    if note is None:
        return None
    kinds = {"file": str, "version": str, "sha256": str, "source": str, "retrieved_at": str, "rows": int, "size": int}
    if not all(isinstance(note[key], kind) for key, kind in kinds.items()) or Path(note["file"]).name != note["file"]:
        raise ValueError(note)
    return note


def read_text(path: Path) -> str:
    """A table as text, packed or not. Raises UserError when it cannot be read."""
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError("a feed cannot be read", where=str(path), hint="reconshield intel rollback") from error


def version_of(path: Path) -> str:
    """The version in the head of a table (`# version:`, of the registry `# date:`), comparable as text."""
    about = header(read_text(path))
    return about.get("version") or about.get("date", "")


def header(text: str) -> dict[str, str]:
    """The `# key: value` lines at the top of a table."""
    lines = (line[2:].split(": ", 1) for line in text.split("\n", 8)[:8] if line.startswith("# "))
    return {pair[0]: pair[1] for pair in lines if len(pair) == 2}
