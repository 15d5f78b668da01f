"""The page for those who are measured: who we are, what is sent and when, who allowed it, whom to ask to be left out.

Put it where the scanning address leads (its name in the DNS, port 80), and its address into the mail to the SOC.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from reconshield import host
from reconshield.addresses import LOOPBACK
from reconshield.jobs.grants import list_grants
from reconshield.policy import Policy
from reconshield.scope import LEVELS, Grant
from reconshield.store.db import Store
from reconshield.text import local_time

STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:68ch;margin:2rem auto;padding:0 1rem} dt{font-weight:600}"
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Who measures here</title><style>{style}</style></head><body>
"""
NEVER = (
    "guesses or tries passwords",
    "uses what it finds to get in",
    "sends a byte to printers, serial lines and controllers, unless that was asked for by name",
    "asks a service to answer somebody else",
)


def notice_page(store: Store, policy: Policy | None, vantage: str, now: float, contact: str | None) -> str:
    """One HTML file without script and without anything to fetch."""
    grants = [grant for grant in list_grants(store) if grant.valid_at(now) and grant.level >= 2]
    parts = [*introduction(vantage, grants, contact), *allowed(grants), *times(policy, now), *promises()]
    return HEAD.format(style=STYLE) + "\n".join(parts) + "\n</body></html>\n"


def introduction(vantage: str, grants: list[Grant], contact: str | None) -> Iterator[str]:
    contacts = [contact] if contact else list(dict.fromkeys(grant.contact for grant in grants if grant.contact))
    sources = (host.own_addresses() - LOOPBACK).text(20)
    yield "<h1>Who measures here, and why</h1>"
    yield (
        "<p>The address that led you here measures which services a network shows, with leave of those who own it. "
        "It looks for what is open by mistake, so that it can be closed.</p>"
    )
    yield f"<dl><dt>Addresses of this scanner ({escape(vantage)})</dt><dd>{escape(sources)}</dd>"
    whom = escape(", ".join(contacts)) or "nobody is named; the owner of the network knows"
    yield f"<dt>Whom to ask, also to be left out</dt><dd>{whom}</dd></dl>"


def allowed(grants: list[Grant]) -> Iterator[str]:
    yield "<h2>Who allowed it</h2>"
    if not grants:
        yield "<p>No grant is valid now: nothing but this machine is measured.</p>"
        return
    yield "<ul>"
    for grant in grants:
        targets = ", ".join(target.text for target in grant.targets)
        reason = f", {grant.reason}" if grant.reason else ""
        text = f"{targets}: level {grant.level} ({LEVELS[grant.level]}) until {local_time(grant.until)}, by {grant.by}{reason}"
        yield f"<li>{escape(text)}</li>"
    yield "</ul>"


def times(policy: Policy | None, now: float) -> Iterator[str]:
    if policy is None or not policy.schedules:
        return
    yield "<h2>When</h2>\n<ul>"
    for schedule in policy.schedules:
        due = schedule.rhythm.following(now) if schedule.rhythm else None
        window = f", only in {', '.join(schedule.window)}" if schedule.window else ""
        rhythm = f"{', '.join(schedule.targets)}: every {schedule.every or schedule.cron}{window}"
        yield f"<li>{escape(rhythm)}; next {local_time(due) if due else 'never'}</li>"
    for blackout in policy.blackouts:
        yield f"<li>{escape(f'not during {blackout.name}')}</li>"
    yield "</ul>"


def promises() -> Iterator[str]:
    yield "<h2>What it never does</h2>\n<ul>"
    yield from (f"<li>It never {escape(text)}.</li>" for text in NEVER)
    yield "</ul>"
