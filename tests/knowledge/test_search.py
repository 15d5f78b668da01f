"""Search: what people type, and what must come first."""

from __future__ import annotations

import pytest

from reconshield.errors import UserError
from reconshield.knowledge.search import search

FIRST = [
    ("110", "110/tcp"),
    ("110/tcp", "110/tcp"),
    ("pop3", "110/tcp"),
    ("pop3s", "995/tcp"),
    ("POP3", "110/tcp"),
    ("mail", "24/tcp"),  # a cluster, before names that begin so
    ("dovecot mail", "110/tcp"),  # a product
    ("critical remote-access", "23/tcp"),  # a rating and a cluster: the worst first
    ("udp snmp", "161/udp"),
    ("T1021.001", "3389/tcp"),  # a technique
    ("bluekeep", "3389/tcp"),  # a word of the text
    ("CVE-2019-0708", "3389/tcp"),
    ("rje", "5/tcp"),  # only in the registry
]


@pytest.mark.parametrize(("query", "first"), FIRST, ids=[row[0] for row in FIRST])
def test_first_hit(query: str, first: str) -> None:
    hits = search(query).hits
    assert first in [f"{hit.port}/{hit.transport}" for hit in hits[:3]]


@pytest.mark.parametrize(
    ("typed", "read"), [("postgers", "postgres"), ("dovcot", "dovecot"), ("redsi", "redis"), ("databses", "databases")]
)
def test_typing_mistakes_are_read_and_said(typed: str, read: str) -> None:
    found = search(typed)
    assert found.read_as == ((typed, read),)
    assert found.hits


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("109-113 tcp", {"109/tcp", "110/tcp", "111/tcp", "113/tcp"}),
        ("110,995", {"110/tcp", "995/tcp"}),
        ("U:53,161", {"53/udp", "161/udp"}),
        ("20-30 critical", {"23/tcp"}),
    ],
)
def test_lists_and_ranges_are_ports(query: str, found: set[str]) -> None:
    assert {f"{hit.port}/{hit.transport}" for hit in search(query).hits} == found


def test_every_word_must_fit() -> None:
    assert {hit.rating for hit in search("databases critical").hits} == {"critical"}
    assert search("110 udp").hits == () or all(hit.service is None for hit in search("110 udp").hits)


def test_filters() -> None:
    hits = search("", "mail", "low").hits
    assert {hit.rating for hit in hits} == {"low"}
    assert all("mail" in hit.clusters for hit in hits)
    assert [hit.port for hit in hits] == sorted(hit.port for hit in hits)
    assert search("", "email").hits == search("", "mail").hits
    assert search("zzqxv").hits == ()


def test_the_whole_catalogue_without_a_query() -> None:
    hits = search().hits
    assert len(hits) >= 61
    assert [hit.port for hit in hits] == sorted(hit.port for hit in hits)


@pytest.mark.parametrize(
    ("cluster", "rating", "message"), [("male", None, "unknown cluster male"), (None, "hihg", "unknown rating hihg")]
)
def test_unknown_filter(cluster: str | None, rating: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        search("", cluster, rating)
