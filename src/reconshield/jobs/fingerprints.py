"""Import a user's own fingerprints, keep them in the home directory, load them for a scan.

    recog XML ──▸ identify.recog (read, weigh) ──▸ home/fingerprints/<name>.json ──▸ Fingerprints for `widen`

Importing a file of the same name again replaces it in one step. A kept file that somebody damaged is a user's mistake that says
so, not a scan without it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.identify.fingerprints import Fingerprints

FOLDER = "fingerprints"


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: the kept file, how many patterns it holds, and how many were rejected for which reason."""

    path: Path
    kept: int
    rejected: dict[str, int]


def import_file(home: Path, file: Path) -> Imported:
    """Read a recog XML file and keep what passes. Raises UserError where there is nothing to keep."""
    from reconshield.identify.recog import LARGEST_FILE, Fingerprint, read_recog

    try:
        if file.stat().st_size > LARGEST_FILE:
            raise UserError(f"the file is larger than {LARGEST_FILE // 2**20} MiB", where=str(file), hint="split it")
        rows = list(read_recog(file.read_bytes()))
    except OSError as problem:
        raise UserError(f"the file cannot be read: {problem.strerror}", where=str(file), hint=f"ls -l {file}") from problem
    except ValueError as problem:
        raise UserError(
            f"this is no recog file: {problem}", where=str(file), hint="take a file of recog's xml folder"
        ) from problem
    kept = [row for row in rows if isinstance(row, Fingerprint)]
    rejected = Counter(row.reason for row in rows if not isinstance(row, Fingerprint))
    if not kept:
        why = "; ".join(f"{count} times: {reason}" for reason, count in rejected.most_common(3)) or "it holds no fingerprint"
        raise UserError(
            f"no fingerprint of this file can be used: {why}", where=str(file), hint="take another file of recog's xml folder"
        )
    path = home / FOLDER / f"{file.stem}.json"
    write_whole(path, json.dumps([asdict(row) for row in kept], ensure_ascii=False, indent=0))
    return Imported(path, len(kept), dict(rejected.most_common()))


def write_whole(path: Path, text: str) -> None:
    """The new file in the place of the old one, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_suffix(".new")
    made.write_text(text, encoding="utf-8")
    made.replace(path)


def load_all(home: Path) -> Fingerprints | None:
    """All imported fingerprints, files in the order of their names; None where nothing was imported."""
    files = sorted((home / FOLDER).glob("*.json"))
    if not files:
        return None
    from reconshield.identify.fingerprints import compile_all
    from reconshield.identify.recog import Fingerprint

    known = {field.name for field in fields(Fingerprint)}
    rows: list[Fingerprint] = []
    for path in files:
        try:
            rows += [Fingerprint(**{k: v for k, v in row.items() if k in known}) for row in json.loads(path.read_text("utf-8"))]
        except (OSError, ValueError, TypeError, AttributeError) as problem:
            raise UserError(f"kept fingerprints cannot be read: {problem}", where=str(path), hint=f"rm {path}") from problem
    return compile_all(rows)
