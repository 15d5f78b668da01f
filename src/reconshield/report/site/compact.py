"""The page of a number without an entry: one screen, nothing but what is true of it.

Range class, registered names, neighbours, how to check, and the rating of the unidentified. There are some 65,000 of these
pages, so what is the same on all of them is rendered once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from reconshield.knowledge.consistency import OWN_SOURCE
from reconshield.knowledge.index import load_index
from reconshield.knowledge.profile import Neighbour, Profile
from reconshield.knowledge.risk import MAXIMA, UNKNOWN
from reconshield.knowledge.sections import check_section
from reconshield.report.site.frame import environment, frame_values
from reconshield.report.site.links import Links

ALWAYS = ("iana-ports", OWN_SOURCE)
"""The sources 1 and 2 of every such page."""


def compact_html(profiles: Sequence[Profile], links: Links, templates: Environment | None = None, **around: Any) -> str:
    """One page for the profiles of one number, or for one of them; `templates` and `around` as for `page_html`."""
    first = profiles[0]
    numbers = {name: number for number, name in enumerate(ALWAYS, start=1)}
    rows = [_row(found, numbers) for found in profiles]
    names = dict.fromkeys(found.name for found in profiles)
    known = [name for name in names if name != "no documented service"]
    values = frame_values(links) | {
        "title": f"{first.port} {', '.join(known or names)}",
        "description": f"Port {first.port}: {first.answer}",
        "port": first.port,
        "block": first.port // 1024,
        "heading": str(first.port) if len(profiles) > 1 else f"{first.port}/{first.transport}",
        "name": ", ".join(known or names),
        "range": first.range,
        "rows": rows,
        "risk": _unknown_risk(),
        "sources": [_source(name) for name in numbers],
    }
    text: str = (templates or environment()).get_template("compact.html.j2").render(**values | around)
    return text


@cache
def _unknown_risk() -> Markup:
    text = environment().get_template("unknown_risk.html.j2").render(risk=UNKNOWN, MAXIMA=MAXIMA)
    return Markup(text)  # noqa: S704 - rendered and escaped by our own template


def _row(found: Profile, numbers: dict[str, int]) -> dict[str, Any]:
    check = check_section(found)
    held = check.get("held_back", {})
    for source in (found.answer_source, held.get("source")):
        if source:
            numbers.setdefault(source, len(numbers) + 1)
    names = ", ".join(found.registered[found.transport]) or "nothing"
    return {
        "transport": found.transport,
        "answer": found.answer,
        "source": found.answer_source,
        "number": numbers[found.answer_source],
        "registered": f"{names}: {found.full_name}" if found.full_name else names,
        "commands": check["commands"],
        "held": held.get("text", ""),
        "held_source": held.get("source"),
        "held_number": numbers.get(held.get("source", ""), 0),
        "near": [(row.port, _near_text(row)) for row in found.related],
    }


def _near_text(row: Neighbour) -> str:
    rating = f" ({row.score} {(row.rating or '').capitalize()})" if row.score is not None else ""
    return f"{row.name}{rating}, {row.because}"


@cache
def _source(name: str) -> dict[str, Any]:
    row = load_index().sources.get(name)
    own = {"publisher": "ReconShield", "title": "own advice, command or rule of rating", "date": "", "url": ""}
    return {"id": name, **(row or own)}
