"""Profiles of a port or a service -> one HTML page, the same design for the site and for `reconshield port N --html`.

A page has one part for each service. Sections that belong to the service stand once; risk and commands stand once for each of
its endpoints on the page. Anchors are stable: `#risk`, `#defence-dovecot`; those of a second service carry port and transport.
Every source gets a number in order of first use; the marks jump to the list at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment

from reconshield.knowledge.consistency import OWN_SOURCE
from reconshield.knowledge.index import load_index
from reconshield.knowledge.profile import Profile, profile
from reconshield.knowledge.sections import sections_of
from reconshield.report.site.compact import compact_html
from reconshield.report.site.frame import DEFENCE, by_product, environment, frame_values, slug
from reconshield.report.site.links import ALONE, Links

OWN = {
    "id": OWN_SOURCE,
    "publisher": "ReconShield",
    "title": "own advice, command or rule of rating; no other document behind it",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One service on a page: the endpoints shown, its sections, what its anchors end in, and its heading level."""

    profiles: tuple[Profile, ...]
    sections: dict[str, Any]
    tail: str
    level: int

    @property
    def lead(self) -> Profile:
        return self.profiles[0]


@dataclass(frozen=True, slots=True)
class Heading:
    """One line of the table of contents."""

    anchor: str
    text: str
    inner: tuple[Heading, ...] = ()


def page_html(profiles: Sequence[Profile], links: Links = ALONE, templates: Environment | None = None, **around: Any) -> str:
    """One complete page. Without links it needs nothing else: its style is inside, and it leads nowhere.

    The app gives templates with a frame of its own, and what that prints.
    """
    if not any(found.entry for found in profiles):
        return compact_html(profiles, links, templates, **around)
    return (templates or environment()).get_template("port.html.j2").render(**page_values(profiles, links) | around)


def page_values(profiles: Sequence[Profile], links: Links) -> dict[str, Any]:
    """What the templates of a port page print."""
    parts = make_parts(profiles)
    others = () if links.root is None else tuple(other_transports(profiles))
    return {
        **frame_values(links),
        "title": f"{profiles[0].port}/{profiles[0].transport} {profiles[0].name}",
        "description": profiles[0].answer,
        "profiles": profiles,
        "parts": parts,
        "others": others,
        "contents": [heading for part in parts for heading in part_contents(part)] + [Heading("sources", "Sources")],
        "numbers": (numbers := number_sources(parts)),
        "sources": listed_sources(numbers),
    }


def make_parts(profiles: Sequence[Profile]) -> tuple[Part, ...]:
    """The profiles grouped by service, each service where its first endpoint stands."""
    groups: dict[str, list[Profile]] = {}
    for found in profiles:
        groups.setdefault(found.service or f"{found.port}/{found.transport}", []).append(found)
    return tuple(
        Part(
            tuple(group),
            sections_of(group[0]),
            tail=f"-{group[0].port}-{group[0].transport}" if number else "",
            level=2 + (number > 0),
        )
        for number, group in enumerate(groups.values())
    )


def other_transports(profiles: Sequence[Profile]) -> Iterable[Profile]:
    """Of a documented number the transport that nothing documented uses, so that the page is true for both."""
    port = profiles[0].port
    shown = {found.transport for found in profiles if found.port == port}
    for transport in ("tcp", "udp"):
        if transport not in shown and all(found.port == port for found in profiles):
            yield profile(port, transport)[0]


def part_contents(part: Part) -> list[Heading]:
    """The headings of a part as the template writes them."""
    sections, tail = part.sections, part.tail
    defence = sections.get("defence", {})
    inner = [Heading(f"defence-{anchor}{tail}", text) for key, anchor, text in DEFENCE if key != "harden" and key in defence]
    if "harden" in defence:
        at = sum(key in defence for key in ("firewall", "vpn"))
        inner[at:at] = [Heading(f"defence-{slug(name)}{tail}", name) for name in by_product(defence["harden"])]
    if defence and "rules" in sections:
        inner.append(Heading(f"defence-rules{tail}", "Ready rules"))
    rows = [
        ("risk", "Risk", True),
        ("do", "Do this", "do" in sections),
        ("understanding", "Understanding", "understand" in sections),
        ("abuse", "Abuse", "abuse" in sections),
        ("implications", "Implications", "implications" in sections),
        ("defence", "Defence", bool(defence)),
        ("scan", "Why scan, how to check", True),
        ("intelligence", "Intelligence", True),
        ("faq", "Questions", "faq" in sections),
        ("related", "Related ports", "related" in sections),
    ]
    found = [
        Heading(f"{anchor}{tail}", text, tuple(inner) if anchor == "defence" else ()) for anchor, text, there in rows if there
    ]
    if part.level == 2:
        return found
    return [Heading(f"service{tail}", f"{part.lead.port}/{part.lead.transport} {part.lead.name}", tuple(found))]


def number_sources(parts: Iterable[Part]) -> dict[str, int]:
    """Source ids in order of first use on the page."""
    named: dict[str, int] = {}
    for part in parts:
        wanted = [part.lead.answer_source, *(factor.source for found in part.profiles for factor in found.risk.factors)]
        wanted += [step.source for found in part.profiles for step in found.steps]
        wanted += [row["id"] for row in part.sections.get("sources", ())]
        for source in (*wanted, OWN_SOURCE):
            named.setdefault(source, len(named) + 1)
    return named


def listed_sources(numbers: dict[str, int]) -> list[dict[str, Any]]:
    """The documents behind the numbers."""
    table = load_index().sources
    return [{"id": name, **table[name]} if name in table else OWN | {"id": name} for name in numbers]
