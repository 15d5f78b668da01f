"""The catalogue: service files read into frozen records, strictly.

    services/pop3.toml -> load_service -> ServiceEntry          one file, checked on its own
    all of them, sources.toml -> load_catalog -> Catalog        and checked against each other (`consistency`)

`python -m reconshield.knowledge.catalog [FILE...]` prints every fault in every file, also of statements that the tables
contradict (`scrutiny`), then the warnings, then the counts. It ends with 1 when there is a fault.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from reconshield.errors import UserError
from reconshield.knowledge import consistency
from reconshield.knowledge.records import ID, EndpointEntry, ServiceEntry, Source
from reconshield.toml import schema
from reconshield.toml.faults import FileFault, parse_toml, place, refuse

FOLDER = Path(__file__).parent
SERVICES = FOLDER / "services"
SOURCES = FOLDER / "sources.toml"
ATTACK = FOLDER / "attack.tsv"
ID_FORM = re.compile(ID)


@dataclass(frozen=True)
class Catalog:
    """Every entry by service id, and the sources they cite."""

    services: Mapping[str, ServiceEntry]
    sources: Mapping[str, Source]

    @cached_property
    def endpoints(self) -> tuple[tuple[ServiceEntry, EndpointEntry], ...]:
        """Every endpoint with its service, in order of port, transport, service id."""
        pairs = [(entry, endpoint) for entry in self.services.values() for endpoint in entry.endpoint]
        return tuple(sorted(pairs, key=lambda pair: (pair[1].port, pair[1].transport, pair[0].id)))


def read_service(text: str, file: str) -> tuple[ServiceEntry | None, list[FileFault]]:
    """An entry and the faults of its file, each with its line. With faults the entry is None."""
    table, faults = parse_toml(text, file), list[schema.Fault]()
    entry: ServiceEntry | None = schema.read(ServiceEntry, table, (), faults)
    if entry is not None:
        stem = Path(file).stem
        faults.extend(consistency.check_entry(entry, stem if file.endswith(".toml") else entry.id))
    return (None if faults else entry), place(file, text, faults)


def load_service(source: Path | str) -> ServiceEntry:
    """One entry, from a file (Path) or from TOML text (str). The first fault is raised as a UserError."""
    text, file = (source.read_text(encoding="utf-8"), source.name) if isinstance(source, Path) else (source, "entry")
    entry, faults = read_service(text, file)
    refuse(faults)
    assert entry is not None  # noqa: S101 - without faults there is an entry
    return entry


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a service file, made from the records that read it."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "ReconShield catalogue: service"}
    return head | schema.describe(ServiceEntry)


@cache
def find_entry(service_id: str) -> ServiceEntry | None:
    """The entry of one service, without reading the others; None when there is none."""
    path = SERVICES / f"{service_id}.toml"
    return load_service(path) if ID_FORM.fullmatch(service_id) and path.exists() else None


def service_files() -> list[Path]:
    return sorted(SERVICES.glob("*.toml"))


def read_sources(text: str, file: str) -> tuple[dict[str, Source], list[FileFault]]:
    """The sources by id, and the faults of the file."""
    found, faults = {}, list[schema.Fault]()
    for name, table in parse_toml(text, file).items():
        if (source := schema.read(Source, table, (name,), faults)) is not None:
            found[name] = source
    return found, place(file, text, faults)


@cache
def attack_names() -> Mapping[str, str]:
    """MITRE ATT&CK ids and names, as far as the catalogue may use them."""
    lines = ATTACK.read_text(encoding="utf-8").splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def find_faults(files: list[Path] | None = None) -> tuple[Catalog, list[FileFault]]:
    """Read all entries (or only `files`) and gather every fault; the catalogue holds the entries without a fault."""
    faults: list[FileFault] = []
    services: dict[str, ServiceEntry] = {}
    texts: dict[str, str] = {}
    for path in service_files() if files is None else files:
        text = path.read_text(encoding="utf-8")
        try:
            entry, found = read_service(text, path.name)
        except UserError as error:
            entry, found = None, [FileFault(path.name, 1, schema.Fault((), error.message))]
        faults.extend(found)
        if entry is not None:
            services[entry.id], texts[entry.id] = entry, text
    sources, found = read_sources(SOURCES.read_text(encoding="utf-8"), SOURCES.name)
    faults.extend(found)
    catalog = Catalog(services, sources)
    for service_id, found_in in consistency.check_catalog(catalog.services, catalog.sources, attack_names()).items():
        faults.extend(place(f"{service_id}.toml", texts[service_id], found_in))
    return catalog, faults


@cache
def load_catalog() -> Catalog:
    """The whole catalogue, read once. The first fault of any file is raised as a UserError."""
    catalog, faults = find_faults()
    refuse(faults)
    return catalog


def find_statement_faults(catalog: Catalog) -> tuple[list[FileFault], list[FileFault]]:
    """Statements that do not hold: the faults, and the warnings of the rules that are pending."""
    from reconshield.knowledge import kev, malware, scrutiny

    evidence = scrutiny.Evidence(kev.embedded_exploited(), attack_names(), malware.known_uses())
    found: tuple[list[FileFault], list[FileFault]] = ([], [])
    for service_id, rule, fault in scrutiny.find_statement_faults(catalog.services, evidence):
        path = SERVICES / f"{service_id}.toml"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        found[rule in scrutiny.PENDING].extend(place(path.name, text, [fault]))
    return found


def _report(files: list[Path]) -> tuple[list[str], int]:
    """The lines to print, and the number of faults."""
    catalog, faults = find_faults(files or None)
    stated, warnings = find_statement_faults(catalog)
    wanted = {path.name for path in files}
    faults += [fault for fault in stated if not wanted or fault.file in wanted]
    lines = [str(fault) for fault in faults]
    lines += [f"warning: {fault}" for fault in warnings if not wanted or fault.file in wanted]
    claims = sum(count_claims(entry) for entry in catalog.services.values())
    lines.append(
        f"{len(catalog.services)} services, {len(catalog.endpoints)} endpoints, {claims} claims, "
        f"{len(catalog.sources)} sources, {len(faults)} faults, {len(lines) - len(faults)} warnings"
    )
    return lines, len(faults)


def count_claims(entry: ServiceEntry) -> int:
    """How many statements with a source an entry makes."""
    return sum(1 for _ in consistency.sources_of(entry))


if __name__ == "__main__":
    report, number = _report([Path(name) for name in sys.argv[1:]])
    sys.stdout.write("\n".join(report) + "\n")
    sys.exit(number > 0)
