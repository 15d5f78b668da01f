"""The page of a port: what the catalogue says, kept for everybody, around the panel with what is known of it here.

The page as one visitor last saw it is kept too, and given again for as long as it is true: until anything in the database or
the policy changes (a grant is revoked, a run ends, a session is gone), until a grant begins or ends, and for a few seconds at
most, after which what was measured has aged a little. Where the database cannot say that nothing changed, each page is new.
"""

from __future__ import annotations

import html
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from secrets import token_hex

from fastapi import Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from reconshield.jobs.grants import list_grants
from reconshield.jobs.memory import Memory
from reconshield.jobs.site import both
from reconshield.report.html.page import make_plain
from reconshield.report.site.links import IN_APP
from reconshield.report.site.page import page_html
from reconshield.store.watch import Stamp
from reconshield.web.call import Call
from reconshield.web.frame import content_environment, render, theme_of
from reconshield.web.packed import Part, as_gzip, headers_of, packed_part, stored_part, takes_gzip
from reconshield.web.policies import print_of
from reconshield.web.port_panel import panel_html

LASTS = 15.0
"""Seconds that a page may be old when nothing changed but the clock."""
HOLE = f"hole-{token_hex(16)}"
"""Stands where something is put in later; nobody else can write it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A page as it is and packed, and from when to when on the clock it is right."""

    since: float
    until: float
    page: bytes
    packed: bytes


PAGES: Memory[Kept] = Memory(256)
FRAMES: Memory[tuple[str, str, str]] = Memory(256)


def recall_page(call: Call, port: int) -> Kept | None:
    """The page as this visitor last saw it, if it is still true. Asks the database nothing."""
    stamp = call.store.stamp()
    kept = PAGES.find(key_of(call, port, stamp)) if stamp is not None else None
    return kept if kept is not None and kept.since <= call.now < kept.until else None


def make_page(call: Call, port: int) -> Kept:
    """The page as things are now."""
    stamp = call.store.stamp()
    key = key_of(call, port, stamp) if stamp is not None else None
    title, before, after = content(port)
    top, rest, foot = frame(call)
    parts = stored_part(f"{top}{title}{rest}"), before, stored_part(panel_html(call, port)), after, stored_part(foot)
    moments = (moment for grant in list_grants(call.store) for moment in (grant.valid_from, grant.until))
    until = min((moment for moment in moments if moment > call.now), default=call.now + LASTS)
    made = Kept(call.now, min(until, call.now + LASTS), b"".join(each.plain for each in parts), as_gzip(parts))
    return PAGES.keep(key, made) if key is not None else made


def answer_with(kept: Kept, request: Request) -> HTMLResponse:
    packed = takes_gzip(request)
    return HTMLResponse(kept.packed if packed else kept.page, headers=headers_of(packed=packed))


def key_of(call: Call, port: int, stamp: Stamp | None) -> Hashable:
    """Whatever the page depends on besides the clock."""
    path = call.site.policy_path(call.who.workspace)
    return call.site.store.where, stamp, frame_key(call), port, path, print_of(path)


def frame_key(call: Call) -> Hashable:
    who = call.who
    return who.workspace, who.account, who.role, who.csrf, theme_of(call)


def frame(call: Call) -> tuple[str, str, str]:
    """What stands around the page for this visitor: above the title, from there to the content, and below."""

    def make() -> tuple[str, str, str]:
        top, _, rest = render(call, "frame_top.html.j2", "ports", title=HOLE).partition(HOLE)
        return top, rest, render(call, "frame_foot.html.j2")

    return FRAMES.get(frame_key(call), make)


@lru_cache(256)
def content(port: int) -> tuple[str, Part, Part]:
    """Title and content of a port's page, cut where the panel belongs."""
    profiles = both(port)
    hole = Markup(HOLE)  # noqa: S704 - a constant
    before, _, after = page_html(profiles, IN_APP, content_environment(), panel=hole).partition(HOLE)
    name = make_plain(f"{profiles[0].port}/{profiles[0].transport} {profiles[0].name}")
    return html.escape(str(name)), packed_part(before), packed_part(after)
