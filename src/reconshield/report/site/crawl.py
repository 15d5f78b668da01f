"""What programs read of the site: the sitemap, and the feed of changes of the catalogue.

No entry notes when it was changed. So the feed says only what is known for sure: how this build of the site differs from the
one before it, service by service, dated by the build. The state for that lies beside the pages, in `changes.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from xml.sax.saxutils import escape

from reconshield.knowledge.records import ServiceEntry
from reconshield.text import plural

STATE = "changes.json"
MOST_ENTRIES = 100
MOST_URLS = 50_000
"""The most addresses that one sitemap may hold, by sitemaps.org."""
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom">'
SITEMAP = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
XML = '<?xml version="1.0" encoding="utf-8"?>\n'


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the feed: when it was built (ISO 8601 UTC), which page, what happened."""

    at: str
    page: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """The digest of every entry at the last build, and the changes so far, the newest first."""

    digests: Mapping[str, str]
    changes: tuple[Change, ...]


def read_history(text: str | None) -> History:
    """What the last build left; nothing of it, or of something broken, is an empty history."""
    try:
        data = json.loads(text or "{}")
        return History(dict(data.get("digests", {})), tuple(Change(**row) for row in data.get("changes", ())))
    except (ValueError, TypeError, AttributeError):
        return History({}, ())


def next_history(before: History, services: Mapping[str, ServiceEntry], at: str) -> History:
    """The history after a build at `at`: services that came, changed or left since the one before."""
    digests = {name: digest_of(entry) for name, entry in sorted(services.items())}
    if not before.digests:
        found = [Change(at, "index.html", f"First published here, with {plural(len(digests), 'service', 'services')}")]
    else:
        found = [
            Change(at, f"service/{name}.html", f"{services[name].name}: " + ("changed" if name in before.digests else "new"))
            for name, digest in digests.items()
            if before.digests.get(name) != digest
        ]
        found += [Change(at, "services.html", f"{name}: removed") for name in before.digests if name not in digests]
    return History(digests, (*found, *before.changes)[:MOST_ENTRIES])


def digest_of(entry: ServiceEntry) -> str:
    return hashlib.sha256(repr(entry).encode()).hexdigest()[:16]


def history_text(history: History) -> str:
    data: dict[str, Any] = {"digests": dict(history.digests), "changes": [asdict(change) for change in history.changes]}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def atom_text(history: History, url: str) -> str:
    """The feed of changes (RFC 4287)."""
    updated = history.changes[0].at if history.changes else ""
    head = [
        f"{XML}{ATOM}",
        "<title>ReconShield: changes of the port catalogue</title>",
        f"<id>{escape(url)}/changes.atom</id>",
        f'<link rel="self" href="{escape(url)}/changes.atom"/>',
        f'<link href="{escape(url)}/index.html"/>',
        f"<updated>{updated}</updated>",
        "<author><name>ReconShield</name></author>",
    ]
    return "\n".join([*head, *(_atom_entry(change, url) for change in history.changes), "</feed>"]) + "\n"


def _atom_entry(change: Change, url: str) -> str:
    page = f"{escape(url)}/{escape(change.page)}"
    return (
        f"<entry><title>{escape(change.text)}</title><id>{page}#{change.at}</id>"
        f'<link href="{page}"/><updated>{change.at}</updated><summary>{escape(change.text)}</summary></entry>'
    )


def sitemap_files(pages: Iterable[str], url: str) -> Iterator[tuple[str, str]]:
    """`sitemap.xml`, which leads to as many parts as are needed."""
    listed = list(pages)
    parts = [listed[at : at + MOST_URLS] for at in range(0, len(listed), MOST_URLS)]
    for number, part in enumerate(parts, start=1):
        rows = "\n".join(f"<url><loc>{escape(url)}/{escape(page)}</loc></url>" for page in part)
        yield f"sitemap-{number}.xml", f"{XML}<urlset {SITEMAP}>\n{rows}\n</urlset>\n"
    rows = "\n".join(f"<sitemap><loc>{escape(url)}/sitemap-{number}.xml</loc></sitemap>" for number in range(1, len(parts) + 1))
    yield "sitemap.xml", f"{XML}<sitemapindex {SITEMAP}>\n{rows}\n</sitemapindex>\n"
