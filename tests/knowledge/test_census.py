"""The counts of `make catalogue-report`, on two small entries."""

from __future__ import annotations

from knowledge.test_scrutiny import claim, entry
from reconshield.knowledge import catalog, census


def test_counts() -> None:
    same = claim("understand", "Nobody needs this port on 110.")
    more = claim("understand", "It speaks before anybody asks. Nobody needs this port on 995.") + 'confidence = "unverified"\n'
    services = {found.id: found for found in map(catalog.load_service, (entry("one", more=same), entry("two", 995, more=more)))}
    found = census.take_census(services)
    assert (found.entries, found.deep, found.endpoints, found.claims, found.sources) == (2, 0, 2, 14, 2)
    assert (found.unverified, found.sentences, found.repeated) == (1, 3, 2)
    assert [line.split()[0] for line in census.report_lines(services)] == ["cluster", "all", "mail"]


def test_deep_entries_have_all_parts() -> None:
    assert census.is_deep(catalog.load_catalog().services["pop3"])
    assert not census.is_deep(catalog.load_service(entry()))
