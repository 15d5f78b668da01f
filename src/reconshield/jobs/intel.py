"""Renew the tables that age (KEV, EPSS, IANA ports), say how old they are, go back to the one before.

    fetch or file -> knowledge.feeds (checks) -> file in home/feeds -> manifest.json, the commit

Nothing is fetched unless somebody asks. The new table is on the disk before the manifest names it, and the manifest is
replaced in one step: whatever breaks, the table in use stays in use. The one before is kept for `rollback`.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from reconshield.errors import UserError
from reconshield.jobs.fetch import Opener, fetch, open_https, unpack
from reconshield.knowledge import tables
from reconshield.knowledge.feeds import FEEDS, Feed, Table, check_step, count_rows, row_ids

AGING_DAYS, OLD_DAYS = 14, 45


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update did: `state` is new, unchanged or downgraded; versions before and after."""

    feed: str
    state: str
    before: str
    version: str
    rows: int


@dataclass(frozen=True, slots=True)
class Status:
    """One table in use. `state` is ok, aging, old, missing or broken; `days` counts from its version to today."""

    feed: str
    title: str
    version: str
    days: int | None
    rows: int
    source: str
    retrieved_at: str
    state: str
    previous: str


def update(
    folder: Path,
    names: Collection[str] = (),
    *,
    now: float,
    from_file: Path | None = None,
    opener: Opener = open_https,
    allow_downgrade: bool = False,
) -> list[Updated]:
    """Renew some feeds, or all of them. With a file, exactly one is renewed from it. Raises UserError; what is done stays."""
    chosen = [find_feed(name) for name in names] or list(FEEDS.values())
    if from_file is not None and len(chosen) != 1:
        raise UserError("a file is one feed", where="--from-file", hint=f"reconshield intel update kev --from-file {from_file}")
    return [_update(folder, feed, now, from_file, opener, allow_downgrade=allow_downgrade) for feed in chosen]


def find_feed(name: str) -> Feed:
    if name in FEEDS:
        return FEEDS[name]
    raise UserError(f"unknown feed {name!r}", where=name, hint="feeds are " + ", ".join(FEEDS))


def _update(folder: Path, feed: Feed, now: float, from_file: Path | None, opener: Opener, *, allow_downgrade: bool) -> Updated:
    row = tables.read_manifest(folder).get(feed.name, {})
    current = row.get("current") or {}
    etag, modified, source = current.get("etag", ""), current.get("last_modified", ""), feed.url
    if from_file is not None:
        data, source, etag, modified = read_file(from_file, feed), str(from_file), "", ""
    else:
        answer = fetch(feed.url, most=feed.most_bytes, etag=etag, modified=modified, opener=opener)
        if answer.data is None:
            return Updated(feed.name, "unchanged", current["version"], current["version"], current["rows"])
        data, etag, modified = answer.data, answer.etag, answer.modified
    table = feed.read(data, wanted_cves() if feed.name == "epss" else ())
    before, old_rows = _in_use(folder, feed.name)
    version = tables.header(before).get("version") or tables.header(before).get("date", "")
    check_step(table, version, row_ids(feed.name, before), old_rows, allow_downgrade=allow_downgrade)
    if before == table.text:
        return Updated(feed.name, "unchanged", version, table.version, table.rows)
    note = {
        "version": table.version,
        "rows": table.rows,
        "source": source,
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "source_size": len(data),
        "retrieved_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "etag": etag,
        "last_modified": modified,
    }
    keep(folder, feed, table, note)
    return Updated(feed.name, "downgraded" if table.version < version else "new", version, table.version, table.rows)


def wanted_cves() -> frozenset[str]:
    """The CVEs whose EPSS is kept: those that the catalogue names."""
    from reconshield.knowledge.catalog import load_catalog

    return frozenset(row.cve for entry in load_catalog().services.values() for row in entry.vulnerability)


def read_file(path: Path, feed: Feed) -> bytes:
    """A feed from a file, packed or not, within the same limits as one from the network."""
    try:
        if path.stat().st_size > feed.most_bytes:
            raise UserError(f"the file is larger than {feed.most_bytes:,} bytes", where=str(path), hint="is it the right file?")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"the file cannot be read: {error.strerror}", where=str(path), hint=f"ls -l {path}") from error
    return unpack(data, str(path), feed.most_bytes) if data[:2] == b"\x1f\x8b" else data


def _in_use(folder: Path, name: str) -> tuple[str, int]:
    """The text of the table in use, and how many rows its feed had; empty where there is none."""
    path = getattr(tables.find_tables(folder), name)
    if path is None:
        return "", 0
    text = tables.read_text(path)
    kept = tables.read_manifest(folder).get(name, {}).get("current") or {}
    return text, kept["rows"] if kept and path == folder / kept["file"] else count_rows(text)


def keep(folder: Path, feed: Feed, table: Table, note: dict[str, Any]) -> None:
    """Write the table, then let the manifest name it; the one before becomes the previous, older ones are removed."""
    data = table.text.encode("utf-8")
    digest = hashlib.sha256(data).hexdigest()
    name = feed.file.format(version=f"{table.version}-{digest[:8]}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, data)
        manifest = tables.read_manifest(folder)
        row = manifest.get(feed.name, {})
        previous = row.get("current")
        if previous and previous["file"] == name:
            previous = row.get("previous")
        manifest[feed.name] = {"current": {"file": name, "sha256": digest, "size": len(data)} | note, "previous": previous}
        commit(folder, manifest)
    except OSError as error:
        hint = "the table in use stays; check the folder"
        raise UserError(f"the feed cannot be written: {error.strerror}", where=str(folder), hint=hint) from error


def commit(folder: Path, manifest: dict[str, dict[str, Any]]) -> None:
    """Replace the manifest, then remove tables that it does not name."""
    write_whole(folder / tables.MANIFEST, (json.dumps(manifest, indent=1) + "\n").encode())
    named = {row[which]["file"] for row in manifest.values() for which in ("current", "previous") if row.get(which)}
    for path in folder.glob("*.tsv"):
        if path.name not in named:
            path.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all: written beside its place, forced to the disk, renamed."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def rollback(folder: Path, names: Collection[str] = ()) -> list[Updated]:
    """Use the table before the current one again; where there is none, that of the package."""
    manifest = tables.read_manifest(folder)
    chosen = [find_feed(name).name for name in names] or [name for name in FEEDS if name in manifest]
    done = []
    for name in chosen:
        row = manifest.get(name)
        if row is None:
            raise UserError(f"{name} was never fetched; the package's own table is in use", where=name)
        back = row.get("previous")
        if back and not (folder / back["file"]).is_file():
            raise UserError("the table before is gone", where=back["file"], hint=f"reconshield intel update {name}")
        before = row["current"]["version"]
        manifest = {**manifest, name: {"current": back, "previous": None}} if back else _without(manifest, name)
        done.append(Updated(name, "rolled back", before, back["version"] if back else "package", back["rows"] if back else 0))
    if done:
        commit(folder, manifest)
    return done


def _without(manifest: dict[str, dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    return {key: row for key, row in manifest.items() if key != name}


def status(folder: Path, today: date) -> list[Status]:
    """Every table in use with its age; what was fetched is compared with its digest."""
    manifest, found = tables.read_manifest(folder), tables.find_tables(folder)
    return [_status(folder, feed, manifest.get(feed.name, {}), getattr(found, feed.name), today) for feed in FEEDS.values()]


def _status(folder: Path, feed: Feed, row: dict[str, Any], path: Path | None, today: date) -> Status:
    current, previous = row.get("current") or {}, (row.get("previous") or {}).get("version", "")
    fetched = bool(current) and path == folder / current["file"]
    if path is None:
        state = "broken" if current else "missing"
        return Status(feed.name, feed.title, current.get("version", ""), None, 0, feed.url, "", state, previous)
    version = current["version"] if fetched else tables.version_of(path)
    days = (today - date.fromisoformat(version.replace(".", "-"))).days
    state = "old" if days > OLD_DAYS else "aging" if days > AGING_DAYS else "ok"
    if current and not (tables.is_whole(folder, current) and digest_of(folder / current["file"]) == current["sha256"]):
        state = "broken"
    rows = current["rows"] if fetched else count_rows(tables.read_text(path))
    source, at = (current["source"], current["retrieved_at"]) if fetched else ("package", "")
    return Status(feed.name, feed.title, version, days, rows, source, at, state, previous)


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
