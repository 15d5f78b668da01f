"""What all pages of the site share: the templates, the style, and the values around the content."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from reconshield import __version__
from reconshield.knowledge.catalog import attack_names
from reconshield.knowledge.render import in_use_text, registered_text, role_text, tls_text, twin_text
from reconshield.knowledge.risk import MAXIMA, arithmetic, border_note
from reconshield.knowledge.sections import data_dates, sections_of
from reconshield.report.html import style_sheet
from reconshield.report.site.links import Links
from reconshield.text import count, plural

BANDS = {"critical": "75 to 100", "high": "50 to 74", "medium": "30 to 49", "low": "0 to 29"}
DEFENCE = (
    ("firewall", "firewall", "Firewall"),
    ("vpn", "vpn", "VPN or proxy"),
    ("harden", "hardening", "Hardening"),
    ("replace", "replacement", "Replacement"),
    ("monitor", "monitoring", "Monitoring"),
)
"""The parts of the section on defence: key, anchor, heading."""


def frame_values(links: Links) -> dict[str, Any]:
    """What every page prints around its content."""
    return {**_fixed_values(links), "data": data_dates()}


@cache
def _fixed_values(links: Links) -> dict[str, Any]:
    css = full_style()
    return {
        "links": links,
        "version": __version__,
        "css": Markup(css) if links.root is None else "",  # noqa: S704 - our own file, no foreign text in it
        "css_digest": base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        "names": attack_names(),
        "BANDS": BANDS,
        "MAXIMA": MAXIMA,
        "here": "",
    }


@cache
def full_style() -> str:
    """The style of report, app and site, then what only these pages have."""
    return style_sheet() + "\n" + files("reconshield.report.site").joinpath("site.css").read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """The templates of the site and the small marks of the report. What is printed is escaped."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("reconshield.report.site"), PackageLoader("reconshield.report.html")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"code": mark_code, "slug": slug, "count": count, "plural": plural, "by_product": by_product}
    made.globals |= {
        "arithmetic": arithmetic,
        "border_note": border_note,
        "registered_text": registered_text,
        "role_text": role_text,
        "in_use_text": in_use_text,
        "tls_text": tls_text,
        "twin_text": twin_text,
        "sections_of": sections_of,
        "DEFENCE": DEFENCE,
    }
    return made


def slug(text: str) -> str:
    """`Microsoft Exchange` as a part of an anchor: `microsoft-exchange`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def mark_code(text: str) -> Markup:
    """A sentence whose parts between back-ticks are commands or settings."""
    parts = str(escape(text)).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts)))  # noqa: S704


def by_product(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Settings by product, in order of first mention."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["product"], []).append(row)
    return found
