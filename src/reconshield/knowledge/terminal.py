"""A profile as lines for a terminal: the answer in the first 24 lines, everything else below it.

The layout is made for 80 columns and takes any width from 40. Colour and ASCII forms come in as functions, so this module
prints nothing and knows no terminal: `paint(text, colour)` colours, `spell(text)` writes symbols in the terminal's
alphabet.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from reconshield.knowledge.profile import Profile
from reconshield.knowledge.records import Step
from reconshield.knowledge.render import (
    claim_text,
    data_text,
    in_use_text,
    registered_text,
    related_text,
    role_text,
    source_text,
    tls_text,
    twin_text,
)
from reconshield.knowledge.risk import MAXIMA, arithmetic, border_note
from reconshield.knowledge.sections import sections_of
from reconshield.knowledge.steps import firewall_step
from reconshield.text import width_of

FIRST_SCREEN = 24
NARROWEST = 40
MARK_COLUMN = 71
"""Where source marks begin on 80 columns."""


def _plain(text: str, colour: str) -> str:
    del colour
    return text


@dataclass(frozen=True, slots=True)
class Page:
    """How to lay out: width in columns, the functions that colour and spell."""

    width: int = 80
    paint: Callable[[str, str], str] = _plain
    spell: Callable[[str], str] = str

    def wrap(self, text: str, indent: str = "", later: str | None = None) -> list[str]:
        """Lines of at most `width` columns; `later` indents the second line and the following."""
        rest = indent if later is None else later
        return textwrap.wrap(
            self.spell(text), self.width, initial_indent=indent, subsequent_indent=rest, break_on_hyphens=False
        ) or [indent.rstrip()]

    def sides(self, left: str, right: str) -> str | None:
        """Two texts at both ends of a line, or None when they do not fit."""
        gap = self.width - width_of(left) - width_of(right)
        return left + " " * gap + right if gap >= 2 else None


def profile_lines(profiles: Iterable[Profile], page: Page, yours: str | None = None) -> list[str]:
    """All profiles: the first in full, of the others (other transports, the service's other ports) the first screen."""
    lines: list[str] = []
    for number, profile in enumerate(profiles):
        lines += [""] if number else []
        lines += first_screen(profile, page, yours if number == 0 else None)
        lines += _rest(profile, page) if number == 0 else []
    return [*lines, "", *page.wrap(data_line(datetime.now(UTC).date()), later="      ")]


def first_screen(profile: Profile, page: Page, yours: str | None = None) -> list[str]:
    """The answer: what it is, how bad, what lowers it, what to do. Blank lines give way when it would exceed 24 lines."""
    groups = [_head(profile, page), _risk(profile, page), _lower(profile, page), _do(profile, page, yours)]
    groups = [group for group in groups if group]
    lines = [line for group in groups for line in (*group, "")][:-1]
    while len(lines) > FIRST_SCREEN and "" in lines:
        lines.remove("")
    return lines


def _head(profile: Profile, page: Page) -> list[str]:
    endpoint = f"{profile.port}/{profile.transport}"
    title = f"{endpoint}  {profile.name}" + (f", {profile.full_name}" if profile.full_name else "")
    rating = f"{profile.risk.rating}  {profile.risk.score} of 100"
    line, indent = page.sides(page.spell(title), rating), " " * (len(endpoint) + 2)
    lines = [line] if line is not None else [*page.wrap(title, later=indent), indent + rating]
    lines = [line.replace(rating, page.paint(rating, profile.risk.rating)) for line in lines]
    lines[0] = page.paint(endpoint, "bold") + lines[0][len(endpoint) :]
    return [*lines, *page.wrap(profile.answer), *_facts(profile, page)]


def _facts(profile: Profile, page: Page) -> list[str]:
    rows = [("registered", registered_text(profile), "in use", in_use_text(profile))]
    if profile.endpoint:
        twin = twin_text(profile)
        rows.append(("TLS", tls_text(profile.endpoint.tls), "twin" if twin else "", twin))
        rows.append(("role", role_text(profile.endpoint), "", ""))
    else:
        spread = f"{profile.range.name}, {profile.range.low}–{profile.range.high}: {profile.range.meaning}"
        rows.append(("range", spread, "", ""))
    column = max(len(left) for _, left, label, _ in rows if label) + 3
    return [line for row in rows for line in _fact(row, column, page)]


def _fact(row: tuple[str, str, str, str], column: int, page: Page) -> list[str]:
    """One row of two facts when both fit beside each other, else one below the other."""
    name, left, label, right = row
    if not label:
        return page.wrap(left, f"  {name:<10}  ", " " * 14)
    line = f"  {name:<10}  {left:<{column}}{label:<6}  {right}"
    if width_of(line) <= page.width:
        return [page.spell(line)]
    return [*page.wrap(left, f"  {name:<10}  ", " " * 14), *page.wrap(right, f"  {label:<10}  ", " " * 14)]


def _risk(profile: Profile, page: Page) -> list[str]:
    note = border_note(profile.risk.score)
    head = page.wrap(arithmetic(profile.risk) + (f"   {note}" if note else ""), "Risk  ", "      ")
    head[0] = head[0].replace("Risk", page.paint("Risk", "bold"), 1)
    factors = profile.risk.factors
    per_block = next((size for size in (1, 2) if _fits(profile, size, page)), 4)
    blocks = -(-max(factor.points for factor in factors) // per_block)
    lines = head
    for factor in factors:
        bar = page.spell("█" * -(-factor.points // per_block)).ljust(blocks)
        start = f"  {factor.name:<14}{factor.points:>4}  {bar}  of {MAXIMA[factor.name]:<2}   "
        wrapped = page.wrap(factor.because, start, " " * len(start)) if len(start) + 20 <= page.width else []
        wrapped = wrapped or [start.rstrip(), *page.wrap(factor.because, " " * 6)]
        wrapped[0] = _with_mark(wrapped[0], _factor_mark(profile, factor.name, factor.source), page)
        lines += wrapped
    return lines


def _fits(profile: Profile, per_block: int, page: Page) -> bool:
    """Whether every factor takes one line when a block of its bar stands for so many points."""
    most = max(factor.points for factor in profile.risk.factors)
    if per_block * 15 < most:
        return False
    room = page.width - 32 - -(-most // per_block)
    return all(width_of(factor.because) <= room for factor in profile.risk.factors)


def _factor_mark(profile: Profile, name: str, source: str) -> str:
    """The technique where the catalogue names one, else the source."""
    rated = getattr(profile.endpoint.risk, name, None) if profile.endpoint else None
    return f"[{rated.attack if rated is not None and rated.attack else source}]"


def _with_mark(line: str, mark: str, page: Page) -> str:
    """A source mark in its column, where the line leaves room for it; the sources are listed below in any case."""
    column = min(page.width - 80 + MARK_COLUMN, page.width - len(mark))
    if width_of(line) + 2 > column:
        return line
    return line + " " * (column - width_of(line)) + page.paint(mark, "dim")


def _lower(profile: Profile, page: Page) -> list[str]:
    ways = profile.would_lower[:3]
    if not ways:
        return []
    label = max(len(f"{way.score} {way.rating}") for way in ways) + 3
    text = max(len(way.text) for way in ways) + 3
    lines = [page.paint("Lower it", "bold")]
    for way in ways:
        shown = f"{way.score} {way.rating}"
        line = f"  {shown:<{label}}{way.text:<{text}}{way.arithmetic}"
        wrapped = (
            [line] if len(line) <= page.width else page.wrap(f"{way.text} ({way.arithmetic})", f"  {shown:<{label}}", " " * 6)
        )
        lines += [wrapped[0].replace(shown, page.paint(shown, way.rating), 1), *wrapped[1:]]
    return lines


def _do(profile: Profile, page: Page, yours: str | None) -> list[str]:
    lines: list[str] = []
    for number, step in enumerate(profile.steps, start=1):
        lead = "Do  " if number == 1 else "    "
        doubt = " (unverified)" if step.confidence == "unverified" else ""
        wrapped = page.wrap(_step_text(profile, step) + doubt, f"{lead}{number:>3} {step.who:<8}  ", " " * 18)
        lines += [wrapped[0].replace("Do", page.paint("Do", "bold"), 1) if number == 1 else wrapped[0], *wrapped[1:]]
    text = yours or f"not measured; this does not mean closed. reconshield scan HOST -p {_place(profile)}"
    wrapped = page.wrap(text, "Yours ", "      ")
    return [*lines, wrapped[0].replace("Yours", page.paint("Yours", "bold"), 1), *wrapped[1:]]


def _step_text(profile: Profile, step: Step) -> str:
    """The step; in place of the one that every endpoint for some networks only has, the command that makes the rules for it."""
    endpoint = profile.endpoint
    derived = endpoint is not None and endpoint.role != "public" and step == firewall_step(endpoint)
    return f"reconshield firewall advise {_place(profile)} --allow CIDR" if derived else step.text


def _place(profile: Profile) -> str:
    """The port as `-p` takes it."""
    return f"{'U:' if profile.transport == 'udp' else ''}{profile.port}"


def _rest(profile: Profile, page: Page) -> list[str]:
    """The sections after the first screen, each under one bold word."""
    sections = sections_of(profile)
    parts: list[tuple[str, list[str]]] = [
        ("Understand", _claims(sections.get("understand", ()), page)),
        ("Abuse", _abuse(sections.get("abuse", ()), page)),
        ("Implications", _claims(sections.get("implications", ()), page)),
        ("Defend", _defend(profile, sections.get("defence", {}), page)),
        ("Check", _check(sections["check"], page)),
        ("Intel", _intel(sections.get("intelligence", {}), page)),
        ("FAQ", _faq(sections.get("faq", ()), page)),
        ("Related" if profile.entry else "Near", [*_items(map(related_text, sections.get("related", ())), page)]),
        ("Sources", [*_items(map(source_text, sections.get("sources", ())), page)]),
    ]
    return [line for name, lines in parts if lines for line in ("", page.paint(name, "bold"), *lines)]


def _items(texts: Iterable[str], page: Page) -> Iterable[str]:
    for text in texts:
        yield from page.wrap(text, "  ", "    ")


def _claim(row: dict[str, Any]) -> str:
    return f"{claim_text(row)} [{row['source']}]"


def _claims(rows: Iterable[dict[str, Any]], page: Page) -> list[str]:
    return [*_items(map(_claim, rows), page)]


def _abuse(rows: Iterable[dict[str, Any]], page: Page) -> list[str]:
    lines: list[str] = []
    for row in rows:
        note = f" ({row['confidence']})" if "confidence" in row else ""
        lines += page.wrap(f"{row['text']}{note} [{row['attack']}]", "  ", "    ")
        lines += page.wrap(f"seen: {row['seen']} [{row['source']}]", "    ", "      ")
    return lines


def _defend(profile: Profile, defence: dict[str, list[dict[str, Any]]], page: Page) -> list[str]:
    lines: list[str] = []
    for way in profile.would_lower[3:]:
        lines += page.wrap(f"{way.text}: {way.score} {way.rating} ({way.arithmetic})", "  ", "    ")
    for name in ("firewall", "vpn"):
        lines += _labelled({"firewall": "Firewall", "vpn": "VPN"}[name], defence.get(name, ()), page)
        if name == "firewall":
            lines += _rules(profile, page)
    products = dict.fromkeys(" ".join(filter(None, (row["product"], row.get("version")))) for row in defence.get("harden", ()))
    for product in products:
        lines += page.wrap(product, "  ", "    ")
        for row in defence["harden"]:
            if " ".join(filter(None, (row["product"], row.get("version")))) == product:
                lines += _setting(row, page)
    for name in ("replace", "monitor"):
        lines += _labelled({"replace": "Replace", "monitor": "Monitor"}[name], defence.get(name, ()), page)
    return lines


def _rules(profile: Profile, page: Page) -> list[str]:
    """The ready rules for ufw, and where those for the other firewalls are; the networks are examples."""
    rules = {rule["platform"]: rule["text"] for rule in sections_of(profile).get("rules", ())}
    if "ufw" not in rules:
        return []
    command = f"reconshield firewall advise {_place(profile)} --allow CIDR --platform NAME"
    lines = ["  Ready rules, ufw (example networks)"]
    lines += [line for text in rules["ufw"].splitlines() for line in page.wrap(text, "    ", "      ")]
    return [*lines, *page.wrap(f"for your networks and firewall: {command}", "    ", "      ")]


def _labelled(label: str, rows: Iterable[dict[str, Any]], page: Page) -> list[str]:
    lines = [line for row in rows for line in page.wrap(_claim(row), "    ", "      ")]
    return [f"  {label}", *lines] if lines else []


def _setting(row: dict[str, Any], page: Page) -> list[str]:
    note = f" ({row['confidence']})" if "confidence" in row else ""
    lines = page.wrap(f"{row['file']}: {row['setting']} [{row['source']}]{note}", "    ", "      ")
    lines += page.wrap(f"check: {row['check']}", "      ", "        ")
    return lines + (page.wrap(row["text"], "      ", "      ") if "text" in row else [])


def _check(check: dict[str, Any], page: Page) -> list[str]:
    lines = page.wrap(check["why"], "  ", "  ")
    lines += [page.paint(f"  {command}", "command") for command in check["commands"]]
    if "held_back" in check:
        lines += page.wrap(f"{check['held_back']['text']} [{check['held_back']['source']}]", "  ", "    ")
    return lines + _claims(check.get("detect", ()), page)


def _intel(parts: dict[str, list[dict[str, Any]]], page: Page) -> list[str]:
    lines = _claims(parts.get("malware", ()), page)
    if lines:
        lines += page.wrap("A port number alone is weak evidence: it never rates above low.", "  ")
    return lines + _claims(parts.get("vulnerabilities", ()), page)


def _faq(rows: Iterable[dict[str, Any]], page: Page) -> list[str]:
    lines: list[str] = []
    for row in rows:
        note = f" ({row['confidence']})" if "confidence" in row else ""
        lines += page.wrap(row["question"], "  ", "  ")
        lines += page.wrap(f"{row['text']}{note} [{row['source']}]", "    ", "    ")
    return lines


def data_line(today: date) -> str:
    """The age of the data: `data  IANA 2026-02-13 · KEV 2025-08-25 (455 days old) · ATT&CK 18.1`."""
    from reconshield.knowledge.sections import data_dates

    dates = data_dates()
    return data_text(dates | {"kev": f"{dates['kev']} ({(today - date.fromisoformat(dates['kev'])).days} days old)"})
