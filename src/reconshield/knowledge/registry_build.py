"""The maintainer's side of the registry: IANA's CSV in, the compact table out, guarded and with a readable difference.

    python -m reconshield.knowledge.registry_build service-names-port-numbers.csv[.gz] [--force]

A broken or shrunken download must not replace a good table: columns are found by name, the number of records and some names
that everybody knows are checked, and a table that loses too much is refused. The result is the same bytes for the same input.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import sys
from pathlib import Path

from reconshield.errors import UserError
from reconshield.knowledge.registry import LETTERS, TABLE
from reconshield.knowledge.tables import header

COLUMNS = ("Service Name", "Port Number", "Transport Protocol", "Description", "Registration Date", "Modification Date")
SENTINELS = {"22": "ssh", "25": "smtp", "53": "domain", "110": "pop3", "443": "https", "3389": "ms-wbt-server"}
LEAST_RECORDS = 14_000
MOST_REMOVED = 50
MOST_CHANGED = 0.03
TITLE_LENGTH = 60
SOURCE = "IANA Service Name and Transport Protocol Port Number Registry, CC0 1.0"

Key = tuple[int, int, str, str]
"""First port, last port, name, title: what makes one row of the table."""


def build_registry(csv_text: str) -> str:
    """The table as TSV text, from the text of IANA's CSV. Raises UserError when the CSV is not what it should be."""
    records = _read_records(csv_text)
    merged: dict[Key, set[str]] = {}
    for record in records:
        if (key := _key_of(record)) is not None:
            merged.setdefault(key, set()).add(record["Transport Protocol"].strip().lower())
    rows = [_row_text(key, transports) for key, transports in sorted(merged.items(), key=lambda item: _order(*item))]
    _check_sentinels(rows)
    dates = (record[column] for record in records for column in ("Registration Date", "Modification Date"))
    newest = max(date for date in dates if re.fullmatch(r"\d{4}-\d\d-\d\d", date))
    digest = hashlib.sha256(csv_text.encode("utf-8")).hexdigest()
    head = [f"# source: {SOURCE}", f"# date: {newest}", f"# rows: {len(rows)}", f"# sha256 of the CSV: {digest}"]
    return "\n".join([*head, *rows]) + "\n"


def _read_records(csv_text: str) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(csv_text, newline=""))
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise UserError(f"the CSV has no column {missing[0]!r}", hint="use IANA's service-names-port-numbers.csv")
    records = list(reader)
    if len(records) < LEAST_RECORDS:
        raise UserError(f"the CSV has {len(records):,} records, at least {LEAST_RECORDS:,} are expected", hint="fetch it again")
    return records


def _key_of(record: dict[str, str]) -> Key | None:
    """None for rows without a name (reserved, unassigned) or without a port (names for DNS service discovery)."""
    name, ports = record["Service Name"].strip(), record["Port Number"].strip()
    if not name or not ports:
        return None
    low, _, high = ports.partition("-")
    return int(low), int(high or low), name, _cut_title(record["Description"])


def _cut_title(description: str) -> str:
    """One line of at most 60 characters, cut between words."""
    title = " ".join(description.split())
    if len(title) <= TITLE_LENGTH:
        return title
    return title[: TITLE_LENGTH + 1].rpartition(" ")[0].rstrip(" ,;(-") or title[:TITLE_LENGTH]


def _order(key: Key, transports: set[str]) -> tuple[int, int, str, str, str]:
    low, high, name, title = key
    return low, high, _letters(transports), name, title


def _letters(transports: set[str]) -> str:
    return "".join(letter for letter, name in LETTERS.items() if name in transports) or "*"


def _row_text(key: Key, transports: set[str]) -> str:
    low, high, name, title = key
    ports = str(low) if low == high else f"{low}-{high}"
    return f"{ports}\t{_letters(transports)}\t{name}\t{title}"


def _check_sentinels(rows: list[str]) -> None:
    present = {(row.split("\t")[0], row.split("\t")[2]) for row in rows}
    for port, name in SENTINELS.items():
        if (port, name) not in present:
            raise UserError(f"the CSV does not name port {port} {name}", hint="fetch it again")


def compare_tables(before: str, after: str) -> list[str]:
    """The difference of two tables as lines to read, `-` for rows that left and `+` for rows that came, in order of port."""
    old, new = _rows_of(before), _rows_of(after)
    changed = [("-", row) for row in old - new] + [("+", row) for row in new - old]
    changed.sort(key=lambda item: (int(re.split(r"[-\t]", item[1])[0]), item[1], item[0]))
    return [f"{sign} {row}" for sign, row in changed]


def refuse_shrinkage(before: str, after: str) -> None:
    """Raise UserError when the new table has lost or changed more than a registry does in a month."""
    old, new = _rows_of(before), _rows_of(after)
    keys = {row.split("\t")[0] + row.split("\t")[2] for row in new}
    removed = sum(row.split("\t")[0] + row.split("\t")[2] not in keys for row in old - new)
    if removed > MOST_REMOVED:
        raise UserError(
            f"{removed} assignments would leave, at most {MOST_REMOVED} are expected", hint="--force, if it is true"
        )
    if len(old ^ new) > MOST_CHANGED * max(len(old), 1):
        raise UserError(f"{len(old ^ new)} rows differ, more than 3 % of {len(old):,}", hint="--force, if it is true")


def _rows_of(table: str) -> set[str]:
    return {line for line in table.splitlines() if line and not line.startswith("#")}


def write_table(text: str, path: Path) -> None:
    """Compress without a time stamp, so that the same table is the same file; replace the old one in one step."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))
    fresh.replace(path)


def read_csv(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")


def main() -> None:
    """`FILE [--force]`: check, print the difference, write."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--force"]
    if len(arguments) != 1:
        sys.exit("usage: python -m reconshield.knowledge.registry_build FILE [--force]")
    target = Path(__file__).with_name(TABLE)
    try:
        after = build_registry(read_csv(Path(arguments[0])))
        before = gzip.decompress(target.read_bytes()).decode("utf-8") if target.exists() else ""
        if before and "--force" not in sys.argv:
            refuse_shrinkage(before, after)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    sys.stdout.writelines(f"{line}\n" for line in (compare_tables(before, after) if before else []))
    write_table(after, target)
    about = header(after)
    sys.stdout.write(f"{target.name}: {about['rows']} rows, registry of {about['date']}, {target.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
