"""What is open now, and whose it is: rows for the terminal and lines. The jobs fill the records from runs and policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

from reconshield.detection import Talk, Traffic
from reconshield.model import Endpoint, Risk, Service
from reconshield.policy.verdict import FAILING
from reconshield.report.changes import spoken, spoken_part
from reconshield.report.line_types import AssetLine, ExposureLine, TalkPart
from reconshield.report.lines import place_part, risk_part
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import count, duration, iso_time, local_time, plural, printable, width_of


@dataclass(frozen=True, slots=True)
class Exposure:
    """An endpoint that is open, as far as is known. It opened between `shut_before` (None: nobody had looked) and `opened`.

    `seen` is when it was last measured, from `vantage`. `verdict` is the policy's, None without one; `talk` what flow logs show
    of it, None where none were given. Times are Unix seconds.
    """

    endpoint: Endpoint
    vantage: str
    shut_before: float | None
    opened: float
    seen: float
    zone: str
    assets: tuple[str, ...] = ()
    owner: str | None = None
    service: Service | None = None
    risk: Risk | None = None
    verdict: str | None = None
    talk: Talk | None = None

    @property
    def unused(self) -> bool:
        """Open, and no flow is answered by it, though flows show its host."""
        return self.talk is not None and self.talk.seen and not self.talk.flows


@dataclass(frozen=True, slots=True)
class Asset:
    """Something owned, declared in the policy or only seen (then its name is its address): what it exposes and when it was
    last measured (None: never, as far as runs say).
    """

    name: str
    addresses: tuple[str, ...]
    zone: str
    declared: bool
    exposures: tuple[Exposure, ...]
    owner: str | None = None
    tags: tuple[str, ...] = ()
    criticality: str = "normal"
    measured: float | None = None

    @property
    def worst(self) -> Risk | None:
        return max((e.risk for e in self.exposures if e.risk), key=lambda risk: risk.score, default=None)

    @property
    def failing(self) -> int:
        return sum(exposure.verdict in FAILING for exposure in self.exposures)


def worst_first(exposure: Exposure) -> tuple[int, Endpoint]:
    return -(exposure.risk.score if exposure.risk else 0), exposure.endpoint


def exposure_rows(exposures: Iterable[Exposure], width: int) -> Iterator[Row]:
    """Counts, then two lines each, the worst first: what answers where, then whose it is and since when."""
    ordered = sorted(exposures, key=worst_first)
    if not ordered:
        yield [Span("Nothing is known to be open.", "bold")]
        return
    verdicts = Counter(exposure.verdict for exposure in ordered if exposure.verdict)
    words = [plural(len(ordered), "exposure", "exposures"), *(f"{count(n)} {kind}" for kind, n in verdicts.most_common())]
    if unused := [exposure.talk for exposure in ordered if exposure.unused and exposure.talk]:
        words.append(f"{count(len(unused))} with no flow in {period_text(unused[0].traffic)}")
    yield from wrap("", " · ".join(words), width, "bold")
    place = max(width_of(str(exposure.endpoint)) for exposure in ordered)
    for exposure in ordered:
        yield from rows_of(exposure, place, width)


def rows_of(exposure: Exposure, place: int, width: int) -> Iterator[Row]:
    risk = exposure.risk
    lead = f"  {risk.score:>3} " if risk else "      "
    rating = f"{risk.rating:<8}" if risk else " " * 8
    text = "  ".join(part for part in (spoken(exposure.service) or "not identified", exposure.verdict or "") if part)
    middle = f"  {exposure.endpoint!s:<{place}}  "
    if width_of(lead + rating + middle) + width_of(text) <= width:
        yield [Span(lead), Span(rating, rating.strip()), Span(middle), Span(text)]
    else:
        yield [Span(lead), Span(rating, rating.strip()), Span(middle.rstrip()[: width - 14])]
        yield from wrap("      ", text, width)
    yield from wrap("      ", whose(exposure), width, "dim")
    if exposure.talk:
        yield from wrap("      ", talk_text(exposure.talk), width, "" if exposure.unused else "dim")


def whose(exposure: Exposure) -> str:
    """`mx1 · mail-dmz · mail team · open since … (last seen not open …) · seen … from local`."""
    opened = f"open since {local_time(exposure.opened)}"
    if exposure.shut_before is not None:
        opened = f"opened between {local_time(exposure.shut_before)} and {local_time(exposure.opened)}"
    names = (*exposure.assets, exposure.zone, exposure.owner or "no owner")
    seen = f"seen {local_time(exposure.seen)} from {printable(exposure.vantage, 40)}"
    return " · ".join((*(printable(name, 60) for name in names), opened, seen))


def talk_text(talk: Talk) -> str:
    """`3 peers talk to it: 719 flows, the last 2026-11-23 18:00 UTC; most 10.8.0.5 (400), …`, or that nobody does."""
    period = period_text(talk.traffic)
    own = f"; {plural(talk.own, 'flow', 'flows')} of our own scans left out" if talk.own else ""
    if talk.flows:
        last = f", the last {local_time(talk.last)}" if talk.last is not None else ""
        most = ", ".join(f"{peer} ({count(flows)})" for peer, flows in talk.top)
        more = ", …" if talk.peers > len(talk.top) else ""
        who = f"{plural(talk.peers, 'peer talks', 'peers talk')} to it"
        return f"{who}: {plural(talk.flows, 'flow', 'flows')} in {period}{last}; most {most}{more}{own}"
    if talk.attempts:
        return f"no flow in {period}: {plural(talk.attempts, 'attempt', 'attempts')}, none answered{own}"
    if talk.seen:
        return f"no flow in {period}, though this host has others there{own}"
    return f"this host is not seen in {period}: nothing is known of who talks to it{own}"


def talk_brief(talk: Talk) -> str:
    """`3 peers, 719 flows`, `no flow`, `host not in the flows`."""
    if talk.flows:
        return f"{plural(talk.peers, 'peer', 'peers')}, {plural(talk.flows, 'flow', 'flows')}"
    return "no flow" if talk.seen or talk.attempts else "host not in the flows"


def period_text(traffic: Traffic) -> str:
    """`12 h 0 min of conn.log`."""
    names = [printable(PurePath(file).name, 40) for file in traffic.files]
    shown = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    return f"{duration(traffic.span[1] - traffic.span[0])} of {shown}" if traffic.span else shown


def talk_part(talk: Talk) -> TalkPart:
    span = talk.traffic.span
    return {
        "flows": talk.flows,
        "attempts": talk.attempts,
        "peers": talk.peers,
        "top": [{"ip": peer, "flows": flows} for peer, flows in talk.top],
        "last": iso_time(talk.last) if talk.last is not None else None,
        "host_seen": talk.seen,
        "own_scan_flows": talk.own,
        "files": list(talk.traffic.files),
        "from": iso_time(span[0]) if span else None,
        "to": iso_time(span[1]) if span else None,
    }


def exposure_line(exposure: Exposure) -> ExposureLine:
    """An exposure as one line."""
    return {
        "v": 1,
        "type": "exposure",
        **place_part(exposure.endpoint, exposure.service.name if exposure.service else None),
        "vantage": exposure.vantage,
        "zone": exposure.zone,
        "assets": list(exposure.assets),
        "owner": exposure.owner,
        "service": spoken_part(exposure.service),
        "risk": risk_part(exposure.risk) if exposure.risk else None,
        "verdict": exposure.verdict,
        "shut_before": iso_time(exposure.shut_before) if exposure.shut_before is not None else None,
        "opened": iso_time(exposure.opened),
        "seen": iso_time(exposure.seen),
        "talk": talk_part(exposure.talk) if exposure.talk else None,
    }


def asset_rows(assets: Iterable[Asset], width: int) -> Iterator[Row]:
    """One or two lines an asset, the worst first."""
    listed = sorted(assets, key=lambda asset: (-(asset.worst.score if asset.worst else 0), asset.name))
    if not listed:
        yield [Span("No asset is declared, and nothing was found open.", "bold")]
        return
    declared = sum(asset.declared for asset in listed)
    yield from wrap("", f"{plural(len(listed), 'asset', 'assets')} · {count(declared)} declared in the policy", width, "bold")
    for asset in listed:
        worst = asset.worst
        score = f"{worst.score:>3} " if worst else "  - "
        rating = f"{worst.rating:<8}" if worst else " " * 8
        fails = f", {asset.failing} not as expected" if asset.failing else ""
        yield [
            Span(f"  {score}"),
            Span(rating, rating.strip()),
            Span(f"  {printable(asset.name, 40)}  {len(asset.exposures)} open{fails}"[: max(width - 14, 10)]),
        ]
        yield from wrap("      ", about(asset), width, "dim")


def about(asset: Asset) -> str:
    """`10.77.0.2 · mail-dmz · mail team · mx · measured …`."""
    addresses = ", ".join(asset.addresses[:4]) + (" …" if len(asset.addresses) > 4 else "")
    measured = f"measured {local_time(asset.measured)}" if asset.measured is not None else "never measured"
    parts = (addresses if asset.declared else "", asset.zone, asset.owner or "no owner", ", ".join(asset.tags))
    criticality = f"criticality {asset.criticality}" if asset.criticality != "normal" else ""
    return " · ".join(printable(part, 120) for part in (*parts, criticality, measured) if part)


def asset_line(asset: Asset) -> AssetLine:
    """An asset as one line."""
    return {
        "v": 1,
        "type": "asset",
        "asset": asset.name,
        "declared": asset.declared,
        "addresses": list(asset.addresses),
        "zone": asset.zone,
        "owner": asset.owner,
        "tags": list(asset.tags),
        "criticality": asset.criticality,
        "open": len(asset.exposures),
        "failing": asset.failing,
        "risk": risk_part(asset.worst) if asset.worst else None,
        "measured": iso_time(asset.measured) if asset.measured is not None else None,
    }
