"""The panel "Your exposure" on the page of a port: what was measured of it on everything that grants cover, and the button that
measures it now. While such a scan runs the panel shows how far it is, and then what came of it, in its place.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconshield.jobs.grants import list_grants
from reconshield.jobs.port_exposure import port_exposure
from reconshield.jobs.port_timeline import MONTH, Timeline
from reconshield.jobs.scan_request import ScanRequest
from reconshield.knowledge.index import load_index
from reconshield.knowledge.payloads import why_unmeasurable
from reconshield.scope import PORT_SCAN
from reconshield.web.call import Call
from reconshield.web.frame import render
from reconshield.web.start import start
from reconshield.web.visitors import is_of_visitor

HEADINGS = {
    "no-grants": ("?", "Nobody has allowed a scan yet"),
    "not-measured": ("?", "Not measured"),
    "partly-measured": ("?", "Not exposed where we looked"),
    "not-exposed": ("✓", "Not exposed"),
    "expected": ("✓", "Exposed as expected"),
    "stale": ("?", "Measured too long ago"),
    "unexpected": ("!", "Exposed, not expected"),
    "forbidden": ("✗", "Open, and must be closed"),
}
"""The sign and the words of each state; the sentence under it says the rest."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a timeline: where it begins and how long it is, in per cent of the month."""

    x: float
    width: float
    known: str


def panel_html(call: Call, port: int, run: str = "") -> str:
    """What is known of this port here. With `run`, a scan that was started from the panel, also how far that is."""
    policy, remark = call.policy()
    found = port_exposure(call.store, policy, port, None, call.now)
    live = call.site.live.state(call.who.workspace, run) if run else None
    return render(
        call,
        "port_panel.html.j2",
        port=port,
        found=found,
        sign=HEADINGS[found.kind][0],
        heading=HEADINGS[found.kind][1],
        rows=found.rows,
        timelines=[(line, bars(line, call.now)) for line in found.timelines],
        live=live,
        ended=live is not None and live.phase == "ended",
        remark=remark,
    )


def analyze(call: Call, port: int) -> str:
    """Measure this port on everything that grants cover, but those of visitors; the id of the run."""
    granted = (grant for grant in list_grants(call.store) if not is_of_visitor(grant))
    valid = [grant for grant in granted if grant.valid_at(call.now) and grant.level >= PORT_SCAN]
    targets = tuple(dict.fromkeys(target.text for grant in valid for target in grant.targets))
    return start(call, ScanRequest(targets=targets, ports=ports_of(port)))


def ports_of(port: int) -> str:
    """TCP always; UDP where something documented uses it and may be asked."""
    udp = bool(load_index().at(port, "udp")) and why_unmeasurable(port) is None
    only_udp = udp and not load_index().at(port, "tcp")
    return f"U:{port}" if only_udp else f"T:{port},U:{port}" if udp else f"T:{port}"


def bars(line: Timeline, now: float) -> list[Bar]:
    """The pieces of a timeline as parts of the drawing's width."""
    begin = now - MONTH
    return [
        Bar(round(100 * (piece.begin - begin) / MONTH, 3), round(100 * (piece.end - piece.begin) / MONTH, 3), piece.known)
        for piece in line.pieces
    ]
