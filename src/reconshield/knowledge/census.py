"""How much the catalogue says, and how well: `make catalogue-report`.

Deep is an entry that has abuse, implications, firewall, hardening, monitoring and questions. The boilerplate ratio is the
share of sentences (five words or more, numbers set aside) that stand in more than one entry.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconshield.knowledge import catalog
from reconshield.knowledge.consistency import records_in, sources_of
from reconshield.knowledge.records import CLUSTERS, ServiceEntry
from reconshield.knowledge.scrutiny import repeated_sentences

DEEP = ("abuse", "implication", "firewall", "harden", "monitor", "faq")


@dataclass(frozen=True, slots=True)
class Census:
    """The counts of a set of entries."""

    entries: int
    deep: int
    endpoints: int
    claims: int
    sources: int
    unverified: int
    sentences: int
    repeated: int

    @property
    def boilerplate(self) -> float:
        return self.repeated / max(self.sentences, 1)


def is_deep(entry: ServiceEntry) -> bool:
    return all(getattr(entry, name) for name in DEEP)


def take_census(services: Mapping[str, ServiceEntry]) -> Census:
    """Count a set of entries."""
    cited = [source for entry in services.values() for _, source in sources_of(entry)]
    doubted = sum(
        getattr(record, "confidence", "") == "unverified" for entry in services.values() for _, record in records_in(entry, ())
    )
    places = repeated_sentences(services).values()
    shared = [found for found in places if len({name for name, _ in found}) > 1]
    return Census(
        entries=len(services),
        deep=sum(map(is_deep, services.values())),
        endpoints=sum(len(entry.endpoint) for entry in services.values()),
        claims=len(cited),
        sources=len(set(cited)),
        unverified=doubted,
        sentences=sum(map(len, places)),
        repeated=sum(map(len, shared)),
    )


def report_lines(services: Mapping[str, ServiceEntry]) -> Iterable[str]:
    """The whole catalogue in one line, then each cluster."""
    titles = {"entries": 9, "deep": 6, "endpoints": 11, "claims": 8, "sources": 9, "unverified": 12, "boilerplate": 13}
    yield f"{'cluster':<20}" + "".join(title.rjust(width) for title, width in titles.items())
    yield _line("all", take_census(services))
    for cluster in CLUSTERS:
        part = {name: entry for name, entry in services.items() if cluster in entry.clusters}
        if part:
            yield _line(cluster, take_census(part))


def _line(name: str, row: Census) -> str:
    share = f"{100 * row.unverified / max(row.claims, 1):.1f} %"
    return (
        f"{name:<20}{row.entries:>9}{row.deep:>6}{row.endpoints:>11}{row.claims:>8}{row.sources:>9}{share:>12}"
        f"{f'{100 * row.boilerplate:.1f} %':>13}"
    )


if __name__ == "__main__":
    found, faults = catalog.find_faults()
    sys.stdout.writelines(f"{line}\n" for line in report_lines(found.services))
    sys.exit(bool(faults))
