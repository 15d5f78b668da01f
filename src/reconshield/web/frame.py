"""Templates, and what stands around every page: the bar, the way to everything, who is signed in.

Two sets of templates share the frame. Those of the catalogue print our own prose; those of the app print what came from the
network too, so every value passes `make_plain` (control characters become visible escapes) before it is escaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, DictLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reconshield import __version__
from reconshield.access import Role
from reconshield.addresses import PortSet
from reconshield.errors import UserError
from reconshield.report import answer
from reconshield.report.detected import reason_of
from reconshield.report.exposures import talk_text
from reconshield.report.html.page import Shown, make_plain
from reconshield.report.html.page import environment as report_environment
from reconshield.report.site.frame import environment as site_environment
from reconshield.report.site.frame import frame_values, full_style
from reconshield.report.site.links import IN_APP
from reconshield.text import count, duration, hex_rows, iso_time, local_time, percent, plural, rate
from reconshield.web.call import Call

NAVIGATION: tuple[tuple[str, str, str, Role], ...] = (
    ("dashboard", "Overview", "/", Role.VIEWER),
    ("ports", "Ports", "/ports", Role.VIEWER),
    ("scans", "Scans", "/scans", Role.VIEWER),
    ("exposures", "Exposures", "/exposures", Role.VIEWER),
    ("findings", "Findings", "/findings", Role.VIEWER),
    ("alerts", "Alerts", "/alerts", Role.VIEWER),
)
"""What stands in the bar: name, text, address, least role."""
MORE: tuple[tuple[str, str, str, Role], ...] = (
    ("assets", "Assets", "/assets", Role.VIEWER),
    ("policy", "Policy", "/policy", Role.VIEWER),
    ("grants", "Grants", "/grants", Role.VIEWER),
    ("firewall", "Firewall", "/firewall", Role.VIEWER),
    ("detections", "Detections", "/detections", Role.VIEWER),
    ("settings", "Settings", "/settings", Role.ADMIN),
)
THEMES = ("auto", "light", "dark")


@cache
def app_environment() -> Environment:
    """For pages with text from the network."""
    made = Environment(
        loader=loader(),
        autoescape=True,
        finalize=make_plain,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= site_environment().filters | report_environment().filters
    made.globals |= site_environment().globals | report_environment().globals
    made.filters |= {
        "count": count,
        "duration": duration,
        "plural": plural,
        "local_time": local_time,
        "iso_time": iso_time,
        "when": when,
        "lines": plain_lines,
        "when_exact": when_exact,
        "pace": rate,
        "share": share,
        "hex_rows": hex_rows,
        "typed": typed,
        "ranges": ranges,
    }
    made.globals |= {"answer": answer, "talk_text": talk_text, "reason_of": reason_of}
    return made


@cache
def catalogue_environment() -> Environment:
    """For pages of the catalogue, which are the site's, in the app's frame."""
    made = site_environment().overlay(loader=loader())
    made.filters |= {"when": when}
    return made


@cache
def content_environment() -> Environment:
    """For pages of the catalogue without a frame: what is the same for every reader, and is kept."""
    bare = DictLoader({"frame.html.j2": "{% block content %}{% endblock %}"})
    return site_environment().overlay(loader=ChoiceLoader([bare, loader()]))


def plain_lines(text: str) -> str:
    """A text of several lines, each made plain; the line breaks stay what they are."""
    return Shown("\n".join(str(make_plain(line)) for line in text.split("\n")))


def loader() -> ChoiceLoader:
    return ChoiceLoader(
        [PackageLoader("reconshield.web"), PackageLoader("reconshield.report.site"), PackageLoader("reconshield.report.html")]
    )


@lru_cache(4096)
def when(at: float | None) -> Markup:
    """A time for people, with the exact one in UTC for programs and for who points at it."""
    if at is None:
        return Markup("never")
    exact = iso_time(at)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, local_time(at))


def when_exact(at: float) -> Markup:
    """The same with its seconds, where the order of things matters."""
    exact = iso_time(at)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, local_time(at, seconds=True))


def share(pair: tuple[float, float]) -> str:
    """`54 %` of a part and its whole."""
    return percent(*pair)


def ranges(ports: Iterable[int]) -> str:
    """`515,9100-9107`."""
    return PortSet(tcp=tuple((port, port) for port in ports)).text()


def typed(text: str) -> str:
    """What somebody typed into a field of several lines, given back as it was; it still is escaped."""
    return Shown(text.replace("\r\n", "\n"))


@cache
def style() -> tuple[str, str]:
    """The one style sheet of the app, and its address, which changes with it."""
    own = files("reconshield.web").joinpath("static/app.css").read_text(encoding="utf-8")
    text = f"{full_style()}\n{own}"
    return text, f"/static/reconshield.css?v={fingerprint(text.encode())}"


@cache
def static_url(name: str) -> str:
    """The address of a file in `static/`, which changes with it, so that browsers may keep it for good."""
    return f"/static/{name}?v={fingerprint(files('reconshield.web').joinpath('static', name).read_bytes())}"


def fingerprint(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def around(call: Call, here: str) -> dict[str, Any]:
    """The values of the frame."""
    role = call.visitor.role if call.visitor else None
    return {
        **frame_values(IN_APP),
        "call": call,
        "visitor": call.visitor,
        "csrf": call.visitor.csrf if call.visitor else "",
        "theme": theme_of(call),
        "navigation": [row for row in NAVIGATION if role and role.covers(row[3])],
        "aside": [row for row in MORE if role and role.covers(row[3])],
        "here": here,
        "version": __version__,
        "style_url": style()[1],
        "static": static_url,
        "now": call.now,
    }


def theme_of(call: Call) -> str:
    theme = call.request.cookies.get("theme", "auto")
    return theme if theme in THEMES else "auto"


def render(call: Call, template: str, here: str = "", **values: Any) -> str:
    """A page, or a part of one for a place in it."""
    return app_environment().get_template(template).render(**around(call, here), **values)


def page(call: Call, template: str, here: str = "", status: int = 200, **values: Any) -> HTMLResponse:
    """A page as an answer."""
    return HTMLResponse(render(call, template, here, **values), status)


def error_page(call: Call, status: int, error: UserError) -> HTMLResponse:
    """What went wrong; in a place of a page (htmx) only the words, else a whole page."""
    name = "error_part.html.j2" if call.request.headers.get("hx-request") else "error.html.j2"
    notes = getattr(error, "__notes__", ())
    return HTMLResponse(render(call, name, status=status, error=error, notes=notes), status)
