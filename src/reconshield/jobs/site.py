"""Build the static site: every page of the catalogue and a short one for every other number, as files in a folder.

    records -> report.site -> pages (in several processes, a block of 1,024 numbers at a time) -> files

Pages are written over those of an earlier build; pages of services that have gone are removed. A folder that holds something
else is refused, for a site must not be spread over somebody's documents.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from reconshield.errors import UserError
from reconshield.knowledge import tables
from reconshield.knowledge.catalog import load_catalog
from reconshield.knowledge.export import SCHEMA, catalogue_csv, catalogue_json, catalogue_schema
from reconshield.knowledge.profile import Profile, profile
from reconshield.report.site import crawl
from reconshield.report.site.indexes import BLOCK, Page, index_pages, numbers_page
from reconshield.report.site.links import BELOW
from reconshield.report.site.page import page_html

PLACEHOLDER = "https://reconshield.example"
"""The address in sitemap and feed when none is given; `.example` never exists (RFC 2606)."""
BLOCKS = 65536 // BLOCK
FOLDERS = ("port", "service", "cluster", "numbers")


@dataclass(frozen=True, slots=True)
class Built:
    """What was written: files, bytes, seconds, and how the catalogue differs from the last build."""

    files: int
    octets: int
    seconds: float
    changes: int


def build_site(
    folder: Path,
    *,
    url: str = PLACEHOLDER,
    now: float,
    feeds: Path | None = None,
    workers: int = 0,
    blocks: range = range(BLOCKS),
) -> Built:
    """Write the site into a folder. `feeds` is where fetched tables lie; `blocks` limits the number pages (for tests).

    Raises UserError for a folder that is neither empty nor an earlier site, or that cannot be written.
    """
    started = time.perf_counter()
    url = check_url(url)
    before = prepare(folder)
    history = crawl.next_history(before, load_catalog().services, iso_second(now))
    try:
        count, octets = write_numbers(folder, blocks, feeds, workers or os.cpu_count() or 1)
        pages = [*index_pages(), *data_files()]
        remove_gone(folder, {path for path, _ in pages})
        names = [path for path, _ in pages if path.endswith(".html")] + number_names(blocks)
        pages += [*crawl.sitemap_files(names, url), ("changes.atom", crawl.atom_text(history, url))]
        more = write_pages(folder, [*pages, (crawl.STATE, crawl.history_text(history))])
    except OSError as error:
        raise UserError(f"the site cannot be written: {error.strerror}", where=str(error.filename or folder)) from error
    new = len(history.changes) - len(before.changes)
    return Built(count + more[0], octets + more[1], time.perf_counter() - started, max(new, 0))


def check_url(url: str) -> str:
    if not url.startswith(("https://", "http://")) or any(char.isspace() or char in "<>\"'" for char in url):
        raise UserError("the address of the site is not one", where=f"--url {url}", hint="--url https://ports.example.org")
    return url.rstrip("/")


def iso_second(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def prepare(folder: Path) -> crawl.History:
    """Make the folders, and read what the last build left."""
    state = folder / crawl.STATE
    try:
        if folder.is_dir() and not state.is_file() and any(entry.name != ".git" for entry in folder.iterdir()):
            hint = "give an empty folder, or one that holds an earlier site"
            raise UserError("the folder holds something else", where=str(folder), hint=hint)
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        return crawl.read_history(state.read_text(encoding="utf-8") if state.is_file() else None)
    except OSError as error:
        raise UserError(
            f"the folder cannot be used: {error.strerror}", where=str(folder), hint="give another folder"
        ) from error


def write_numbers(folder: Path, blocks: range, feeds: Path | None, workers: int) -> tuple[int, int]:
    """The pages of all numbers, in as many processes as there are processors."""
    if workers == 1 or len(blocks) == 1:
        return total(write_block(folder, block) for block in blocks)
    context = get_context("spawn")  # a fork of a process with threads may hang
    with ProcessPoolExecutor(workers, context, initializer=tables.choose, initargs=(feeds,)) as pool:
        return total(pool.map(write_block, [folder] * len(blocks), blocks, chunksize=1))


def total(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    count = octets = 0
    for one, size in pairs:
        count, octets = count + one, octets + size
    return count, octets


def write_block(folder: Path, block: int) -> tuple[int, int]:
    """The pages of 1,024 numbers, and the page that leads to them."""
    first = block * BLOCK
    pages = ((f"port/{port}.html", page_html(both(port), BELOW)) for port in range(first, first + BLOCK))
    return write_pages(folder, [*pages, numbers_page(block)])


def both(port: int) -> tuple[Profile, ...]:
    """All documented profiles of a number; of one without an entry the answers for TCP and UDP."""
    found = profile(port)
    if found[0].entry is not None:
        return found
    first = found[0].transport
    return (*found, *profile(port, "udp" if first == "tcp" else "tcp"))


def number_names(blocks: range) -> list[str]:
    numbers = (port for block in blocks for port in range(block * BLOCK, (block + 1) * BLOCK))
    return [*(f"numbers/{block}.html" for block in blocks), *(f"port/{port}.html" for port in numbers)]


def data_files() -> Iterable[Page]:
    """The catalogue for programs."""
    catalog = load_catalog()
    yield "catalogue.json", catalogue_json(catalog)
    yield "catalogue.csv", catalogue_csv(catalog)
    yield SCHEMA, json.dumps(catalogue_schema(), indent=1, ensure_ascii=False) + "\n"


def write_pages(folder: Path, pages: Iterable[Page]) -> tuple[int, int]:
    """Write files; how many, and how many bytes."""
    count = octets = 0
    for path, text in pages:
        data = text.encode("utf-8")
        with (folder / path).open("wb") as stream:
            stream.write(data)
        count, octets = count + 1, octets + len(data)
    return count, octets


def remove_gone(folder: Path, written: set[str]) -> None:
    """Pages of services and clusters that an earlier build had and this one has not."""
    for name in ("service", "cluster"):
        for path in (folder / name).glob("*.html"):
            if f"{name}/{path.name}" not in written:
                path.unlink()
