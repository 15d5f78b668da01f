"""The feeds that `reconshield intel update` renews: bytes in, a checked table out. Pure; fetching and files are jobs/intel.

    KEV JSON, EPSS CSV, IANA CSV -> read_kev_feed, read_epss_feed, read_ports_feed -> Table -> check_step against the one in use

A feed is refused when its form, its counts or its dates are wrong, when it is older than what is in use, or when it has lost
rows that such a feed does not lose. `python -m reconshield.knowledge.feeds FILE` makes the package's own `kev.tsv`.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconshield.errors import UserError
from reconshield.knowledge import registry_build, tables

MOST_LOST = 0.01
"""The share of rows that a feed may lose from one version to the next."""
LEAST_KEV, LEAST_EPSS = 1_000, 100_000
CVE = re.compile(r"CVE-\d{4}-\d{4,19}")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
AGAIN = "fetch it again; the table in use stays"


@dataclass(frozen=True, slots=True)
class Table:
    """A feed that is well-formed: its version (comparable as text), the table as text, and the ids of all rows it came with."""

    version: str
    text: str
    rows: int
    ids: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a feed is fetched, how much may come, and what reads it. `wanted` limits the rows that are kept, where it can."""

    name: str
    title: str
    url: str
    most_bytes: int
    file: str
    read: Callable[[bytes, Collection[str]], Table]


def read_kev_feed(data: bytes, wanted: Collection[str] = ()) -> Table:
    """CISA's catalogue of known exploited vulnerabilities, JSON. All rows are kept, whatever is wanted."""
    del wanted
    document = _json_object(data)
    version, listed = document.get("catalogVersion"), document.get("vulnerabilities")
    if not isinstance(version, str) or not re.fullmatch(r"\d{4}\.\d\d\.\d\d", version):
        raise _broken("catalogVersion is not a date such as 2025.08.25", str(version))
    if not isinstance(listed, list) or document.get("count") != len(listed):
        raise _broken("the count is not the number of vulnerabilities", str(document.get("count")))
    if len(listed) < LEAST_KEV:
        raise _broken(f"only {len(listed):,} vulnerabilities, at least {LEAST_KEV:,} are expected")
    rows = sorted(_kev_row(row, number) for number, row in enumerate(listed))
    ids = frozenset(row.split("\t", 1)[0] for row in rows)
    if len(ids) < len(rows):
        raise _broken("a CVE is listed twice")
    head = ["# source: CISA Known Exploited Vulnerabilities Catalog, CC0 1.0", f"# version: {version}", f"# rows: {len(rows)}"]
    return Table(version, "\n".join([*head, "# columns: cve vendor product added ransomware", *rows]) + "\n", len(rows), ids)


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _broken("it is not valid JSON, perhaps cut off") from error
    if not isinstance(document, dict):
        raise _broken("it is not a JSON object")
    return document


def _kev_row(row: object, number: int) -> str:
    keys = ("cveID", "vendorProject", "product", "dateAdded", "knownRansomwareCampaignUse")
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in keys):
        raise _broken(f"vulnerability {number} lacks one of {', '.join(keys)}")
    cve, vendor, product, added, ransomware = (" ".join(str(row[key]).split()) for key in keys)
    if not CVE.fullmatch(cve) or not DAY.fullmatch(added) or ransomware not in {"Known", "Unknown"}:
        raise _broken(f"vulnerability {number} has a wrong id, date or mark", f"{cve} {added} {ransomware}"[:80])
    return "\t".join((cve, vendor, product, added, "ransomware" if ransomware == "Known" else "-"))


def read_epss_feed(data: bytes, wanted: Collection[str] = ()) -> Table:
    """FIRST's EPSS scores of one day, CSV; only the wanted CVEs are kept, and all are counted."""
    lines = io.StringIO(_text(data))
    head = re.fullmatch(r"#model_version:(v[\d.]+),score_date:(\d{4}-\d\d-\d\d)\S*", lines.readline().strip())
    if not head or lines.readline().strip() != "cve,epss,percentile":
        raise _broken("it does not begin with the model and the columns of EPSS")
    kept, ids, number = [], set[str](), 2
    for number, row in enumerate(csv.reader(lines), start=3):
        if len(row) != 3 or not CVE.fullmatch(row[0]) or not (_is_share(row[1]) and _is_share(row[2])):
            raise _broken("a row is not a CVE and two numbers from 0 to 1", f"line {number}: {','.join(row)[:60]}")
        if row[0] in wanted:
            kept.append("\t".join(row))
        ids.add(row[0])
    if len(ids) < LEAST_EPSS:
        raise _broken(f"only {len(ids):,} scores, at least {LEAST_EPSS:,} are expected")
    if len(ids) < number - 2:
        raise _broken("a CVE is scored twice")
    about = ["# source: FIRST EPSS", f"# version: {head[2]}", f"# model: {head[1]}", f"# rows: {len(ids)}, kept: {len(kept)}"]
    return Table(head[2], "\n".join([*about, *sorted(kept)]) + "\n", len(ids), frozenset(ids))


def _is_share(text: str) -> bool:
    return bool(re.fullmatch(r"[01](\.\d+)?(e-\d+)?", text)) and 0 <= float(text) <= 1


def read_ports_feed(data: bytes, wanted: Collection[str] = ()) -> Table:
    """IANA's registry of ports, CSV, as the compact table of `registry`."""
    del wanted
    text = registry_build.build_registry(_text(data))
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    ids = frozenset("\t".join((row.split("\t")[0], row.split("\t")[2])) for row in rows)
    return Table(tables.header(text)["date"], text, len(rows), ids)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _broken("it is not UTF-8 text") from error


def _broken(what: str, where: str | None = None) -> UserError:
    return UserError(f"the feed is refused: {what}", where=where, hint=AGAIN)


FEEDS = {
    "kev": Feed(
        "kev",
        "CISA KEV",
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        20_000_000,
        "kev-{version}.tsv",
        read_kev_feed,
    ),
    "epss": Feed(
        "epss",
        "FIRST EPSS",
        "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz",
        64_000_000,
        "epss-{version}.tsv",
        read_epss_feed,
    ),
    "ports": Feed(
        "ports",
        "IANA ports",
        "https://www.iana.org/assignments/service-names-port-numbers/service-names-port-numbers.csv",
        8_000_000,
        "iana-{version}.tsv",
        read_ports_feed,
    ),
}
"""Every feed by name. The addresses are fixed; the host of each is the only one that is asked."""


def check_step(new: Table, version: str, ids: Collection[str], rows: int, *, allow_downgrade: bool) -> None:
    """Raise UserError when a table must not follow the one of `version`, which came with `rows` rows and held `ids`."""
    if new.version < version and not allow_downgrade:
        raise UserError(
            f"the feed is of {new.version}, older than {version} in use", hint="--allow-downgrade, if that is wanted"
        )
    lost = len(set(ids) - new.ids)
    if lost > MOST_LOST * len(ids) or (new.rows < rows * (1 - MOST_LOST)):
        what = f"{max(lost, rows - new.rows):,} of {max(len(ids), rows):,} rows are gone, more than 1 %"
        raise UserError(f"the feed is refused: {what}", hint=AGAIN)


def row_ids(feed: str, text: str) -> frozenset[str]:
    """The ids of the rows that a stored table holds, as its reader gives them."""
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return frozenset("\t".join((row[0], row[2])) if feed == "ports" else row[0] for row in rows)


def count_rows(text: str) -> int:
    """How many rows a stored table has."""
    return sum(1 for line in text.splitlines() if line and not line.startswith("#"))


def main() -> None:
    """`python -m reconshield.knowledge.feeds FILE`: make the package's kev.tsv from CISA's JSON."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m reconshield.knowledge.feeds KNOWN_EXPLOITED_VULNERABILITIES.JSON")
    try:
        table = read_kev_feed(Path(sys.argv[1]).read_bytes())
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
    tables.EMBEDDED.kev.write_text(table.text, encoding="utf-8")
    sys.stdout.write(f"{tables.EMBEDDED.kev.name}: {table.rows:,} rows of {table.version}\n")


if __name__ == "__main__":
    main()
