"""From conversations to detections: every class of evidence as a column of points, then the few rows that add up.

    Tally -> Setting -> columns (one a class) -> sums -> rhythm of what repeats -> detections, the worst first

A column knows its points for all conversations at once and explains a single one only when it is asked, so a million
conversations cost a few passes over arrays, and words are written for what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.addresses import AddressSet
from reconshield.detect import evidence as weights
from reconshield.detect.ends import Ends
from reconshield.detect.evidence import Kind, grade
from reconshield.detect.expected import TRANSPORTS, Services, TrafficPolicy, Verdicts
from reconshield.detect.flows import Mark, Naming
from reconshield.detect.rhythm import Rhythm, measure_rhythm
from reconshield.detect.tally import Tally
from reconshield.detection import Detection, Evidence
from reconshield.policy import Policy
from reconshield.text import duration, plural, size

Array = NDArray[Any]
Explain = Callable[[int], Evidence]

WEB_PORTS = (80, 443, 8080, 8443)
ADMIN_PORTS = (22, 23, 135, 139, 445, 3389, 5900, 5985, 5986)
"""Where one machine takes over another: between user hosts these are worth a look."""

DAY = 86_400.0
NEW_DAYS, LEAST_SPAN_DAYS = 7, 8
FEW_SHARE, LEAST_HOSTS = 0.02, 50
MANY_FAILURES = 20
LEAST_BEATS = 20
STEADY, HALF_STEADY = 0.8, 0.6
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128")
EVERYBODY = ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")
MOST_DETECTIONS = 10_000


@dataclass(frozen=True, slots=True)
class OwnScan:
    """A scan of ours: from where, of what, when. Its traffic is expected."""

    run: str
    sources: AddressSet
    targets: AddressSet
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class PortUse:
    """A documented use of a port by malware or a tool."""

    family: str
    tier: str
    attack: str
    source: str
    year: int


@dataclass(frozen=True, slots=True)
class Setting:
    """All that flows are held against."""

    now: float
    policy: Policy = field(default_factory=Policy)
    services: Services = field(default_factory=Services)
    port_uses: Callable[[int, str], tuple[PortUse, ...]] = lambda _port, _transport: ()
    scans: tuple[OwnScan, ...] = ()
    indicators: Callable[[Array, Ends], Mapping[int, str]] = lambda _rows, _ends: {}
    hear: Callable[[Naming], None] = lambda _: None
    """Takes the names that clients asked for, before `indicators` is asked."""
    sources: tuple[str, ...] = ()
    """What the files are called, by the numbers that the tally has for them."""
    listeners: Callable[[Array, Ends], Mapping[int, str]] = lambda _rows, _ends: {}
    first_seen: Callable[[Array, Ends], Array] | None = None
    """When each conversation was first seen in earlier data (NaN: never); None where no earlier data is known."""


@dataclass(frozen=True, slots=True)
class Column:
    """One class of evidence for all conversations."""

    kind: Kind
    points: Array
    explain: Explain


@dataclass(frozen=True, slots=True)
class Matches:
    """Detections by falling score, those that were allowed, and how many conversations stayed below Low. `own` are those that
    only our own scan keeps below.
    """

    detections: tuple[Detection, ...]
    allowed: tuple[Detection, ...]
    noted: int
    left_out: int
    conversations: int
    own: tuple[Detection, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """What the columns look at."""

    rows: Array
    ends: Ends
    apps: tuple[str, ...]
    setting: Setting
    inside: Array
    verdicts: Verdicts
    span: tuple[float, float]


def match(tally: Tally, setting: Setting) -> Matches:
    """Judge all conversations of a tally."""
    scene = look(tally, setting)
    if not scene.rows.size:
        return Matches((), (), 0, 0, 0)
    columns = [column for make in COLUMNS for column in make(scene)]
    total = np.sum([column.points for column in columns], axis=0)
    rhythms = find_rhythms(tally, scene, total)
    for number, rhythm in rhythms.items():
        total[number] += rhythm_points(rhythm)
    before_allowance = total - np.where(scene.verdicts.allowed, weights.ALLOWED, 0)
    chosen = np.flatnonzero(total >= 20)
    chosen = chosen[np.argsort(-total[chosen], kind="stable")]
    spared = np.flatnonzero(scene.verdicts.allowed & (total < 20) & (before_allowance >= 20))
    scanner = np.sum([column.points for column in columns if column.kind == Kind.SCANNER], axis=0)
    ours = np.flatnonzero((scanner < 0) & ~scene.verdicts.allowed & (total < 20) & (total - scanner >= 20))
    found = [describe(scene, columns, rhythms, int(number)) for number in chosen[:MOST_DETECTIONS]]
    return Matches(
        detections=tuple(found),
        allowed=tuple(describe(scene, columns, rhythms, int(number)) for number in spared[:MOST_DETECTIONS]),
        noted=int(np.count_nonzero((total > 0) & (total < 20))),
        left_out=max(0, chosen.size - MOST_DETECTIONS),
        conversations=int(scene.rows.size),
        own=tuple(describe(scene, columns, rhythms, int(number)) for number in ours[:MOST_DETECTIONS]),
    )


def look(tally: Tally, setting: Setting) -> Scene:
    rows = tally.conversations
    ends = Ends(rows)
    zones = [zone.area for zone in setting.policy.zones]
    inside = ends.within(union([*map(network, PRIVATE), *zones]))
    verdicts = TrafficPolicy(setting.policy, setting.services, setting.now).judge(rows, ends, tally.apps)
    first = float(np.nanmin(rows["first"])) if rows.size and not np.isnan(rows["first"]).all() else 0.0
    last = float(np.nanmax(rows["last"])) if rows.size and not np.isnan(rows["last"]).all() else first
    return Scene(rows, ends, tally.apps, setting, inside, verdicts, (first, last))


def union(areas: Iterable[AddressSet]) -> AddressSet:
    return AddressSet(tuple(pair for area in areas for pair in area.ranges))


def network(text: str) -> AddressSet:
    """The addresses of `network/prefix`."""
    found = ip_network(text)
    offset = 0xFFFF_0000_0000 if found.version == 4 else 0
    return AddressSet(((offset + int(found[0]), offset + int(found[-1])),))


def policy_columns(scene: Scene) -> list[Column]:
    verdicts, policy = scene.verdicts, scene.setting.policy
    wrong = verdicts.governed & ~verdicts.allowed
    points = np.where(wrong, np.where(verdicts.secure, weights.POLICY_SECURE, weights.POLICY_ORDINARY), 0)

    def violation(number: int) -> Evidence:
        zone = policy.zones[int(verdicts.zone[number])]
        port, transport = endpoint_of(scene, number)
        what = service_text(scene, port, transport)
        kind = "secure zone" if zone.secure else "zone"
        because = f"{kind} {zone.name} expects no {what} here (line {zone.line})"
        return Evidence(Kind.POLICY, int(points[number]), because)

    def allowance(number: int) -> Evidence:
        rule = policy.traffic[int(verdicts.entry[number])]
        because = f"{rule.direction} of {rule.zone} allows it (line {rule.line})" + (f": {rule.reason}" if rule.reason else "")
        return Evidence(Kind.ALLOWED, weights.ALLOWED, because)

    return [
        Column(Kind.POLICY, points, violation),
        Column(Kind.ALLOWED, np.where(verdicts.allowed, weights.ALLOWED, 0), allowance),
    ]


def port_list_columns(scene: Scene) -> list[Column]:
    def best(port: int, transport: str) -> PortUse | None:
        return min(scene.setting.port_uses(port, transport), key=lambda use: use.tier, default=None)

    def points(port: int, transport: str, app: str) -> int:
        del app
        use = best(port, transport)
        return weights.TIERS.get(use.tier, 0) if use else 0

    column = by_endpoint(scene, points)

    def explain(number: int) -> Evidence:
        uses = scene.setting.port_uses(*endpoint_of(scene, number))
        names = ", ".join(f"{use.family} {use.year}" for use in uses[:3])
        source = min(uses, key=lambda use: use.tier)
        because = f"documented on this port: {names} (tier {source.tier}); a port alone is weak"
        return Evidence(Kind.PORT_LIST, int(column[number]), because, source.attack)

    return [Column(Kind.PORT_LIST, column, explain)]


def protocol_columns(scene: Scene) -> list[Column]:
    services = scene.setting.services
    column = by_endpoint(scene, lambda *endpoint: weights.PROTOCOL if services.mismatch(*endpoint) else 0)

    def explain(number: int) -> Evidence:
        port, transport = endpoint_of(scene, number)
        why = services.mismatch(port, transport, scene.apps[int(scene.rows["app"][number])]) or ""
        return Evidence(Kind.PROTOCOL, weights.PROTOCOL, why, "T1571")

    return [Column(Kind.PROTOCOL, column, explain)]


def direction_columns(scene: Scene) -> list[Column]:
    rows, ends = scene.rows, scene.ends
    src_inside, dst_inside = scene.inside[ends.src], scene.inside[ends.dst]
    everybody = ends.within(union(map(network, EVERYBODY)))[ends.dst]
    outward = src_inside & ~dst_inside & ~everybody & ~np.isin(rows["dport"], WEB_PORTS) & (rows["dport"] > 0)
    few = clients_of(scene) < 3
    lateral = src_inside & dst_inside & np.isin(rows["dport"], ADMIN_PORTS) & few & (ends.src != ends.dst)
    points = np.where(outward, weights.OUTWARD, np.where(lateral, weights.LATERAL, 0))

    def explain(number: int) -> Evidence:
        because = (
            "inside to the internet, not a web port" if outward[number] else "between inside hosts, on a port that administers"
        )
        return Evidence(Kind.DIRECTION, int(points[number]), because)

    return [Column(Kind.DIRECTION, points, explain)]


def clients_of(scene: Scene) -> Array:
    """For each conversation, how many different sources use its destination and port."""
    keys = scene.ends.dst.astype(np.int64) << 16 | scene.rows["dport"]
    _, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return np.asarray(counts[which.reshape(-1)])


def failure_columns(scene: Scene) -> list[Column]:
    failed = scene.rows["failed"].astype(np.int64) + scene.rows["denied"]
    outside = ~scene.inside[scene.ends.dst]
    points = np.where((failed >= MANY_FAILURES) & outside, weights.FAILURE, 0)

    def explain(number: int) -> Evidence:
        flows, lost = int(scene.rows["flows"][number]), int(failed[number])
        return Evidence(Kind.FAILURE, weights.FAILURE, f"{lost:,} of {flows:,} attempts refused, stopped or unanswered")

    return [Column(Kind.FAILURE, points, explain)]


def rarity_columns(scene: Scene) -> list[Column]:
    """Destinations of few inside hosts, where there are enough hosts for that to say something."""
    ends = scene.ends
    inside = scene.inside[ends.src]
    hosts = np.unique(ends.src[inside]).size
    if hosts < LEAST_HOSTS:
        return []
    pairs = np.unique(ends.dst[inside].astype(np.int64) << 32 | ends.src[inside])
    talkers = np.bincount(pairs >> 32, minlength=len(ends))[ends.dst]
    outside = ~scene.inside[ends.dst]
    points = np.where(inside & outside & (talkers <= max(1, hosts * FEW_SHARE)), weights.RARITY, 0)

    def explain(number: int) -> Evidence:
        because = f"{plural(int(talkers[number]), 'host', 'hosts')} of {hosts:,} inside talk to it"
        return Evidence(Kind.RARITY, weights.RARITY, because)

    return [Column(Kind.RARITY, points, explain)]


def novelty_columns(scene: Scene) -> list[Column]:
    """First seen in the last days, where earlier data or a long enough file says that it was not there before."""
    begun, setting = scene.rows["first"], scene.setting
    latest = scene.span[1]
    long_enough = scene.span[1] - scene.span[0] >= LEAST_SPAN_DAYS * DAY
    if setting.first_seen is not None:
        earlier = setting.first_seen(scene.rows, scene.ends)
        begun = np.fmin(begun, earlier)
    elif not long_enough:
        return []
    points = np.where(latest - begun <= NEW_DAYS * DAY, weights.NOVELTY, 0)

    def explain(number: int) -> Evidence:
        ago = duration(max(0.0, latest - float(begun[number])))
        return Evidence(Kind.NOVELTY, weights.NOVELTY, f"first seen {ago} before the end of the data")

    return [Column(Kind.NOVELTY, points, explain)]


def amount_columns(scene: Scene) -> list[Column]:
    rows = scene.rows
    sent, received, longest = rows["sent"].astype(np.float64), rows["received"].astype(np.float64), rows["longest"]
    much = (sent >= 1e6) & (sent >= 4 * np.maximum(received, 1))
    lasting = np.where(longest >= 12 * 3600, weights.VERY_LONG, np.where(longest >= 4 * 3600, weights.LONG, 0))

    def explain_volume(number: int) -> Evidence:
        because = f"sent {size(sent[number])}, received {size(received[number])}"
        return Evidence(Kind.VOLUME, weights.VOLUME, because)

    def explain_duration(number: int) -> Evidence:
        return Evidence(Kind.DURATION, int(lasting[number]), f"one flow lasted {duration(float(longest[number]))}")

    return [
        Column(Kind.VOLUME, np.where(much, weights.VOLUME, 0), explain_volume),
        Column(Kind.DURATION, lasting, explain_duration),
    ]


def indicator_columns(scene: Scene) -> list[Column]:
    found = scene.setting.indicators(scene.rows, scene.ends)
    points = np.zeros(scene.rows.size, np.int64)
    points[list(found)] = weights.INDICATOR
    return [Column(Kind.INDICATOR, points, lambda number: Evidence(Kind.INDICATOR, weights.INDICATOR, found[number]))]


def listener_columns(scene: Scene) -> list[Column]:
    found = scene.setting.listeners(scene.rows, scene.ends)
    points = np.zeros(scene.rows.size, np.int64)
    points[list(found)] = weights.LISTENER
    return [Column(Kind.LISTENER, points, lambda number: Evidence(Kind.LISTENER, weights.LISTENER, found[number]))]


def doubt_columns(scene: Scene) -> list[Column]:
    """What speaks for a harmless reading: our own scan, a guess at who began, half a capture."""
    rows, ends = scene.rows, scene.ends
    scanned = np.full(rows.size, -1, np.int64)
    for number, scan in enumerate(scene.setting.scans):
        if scan.end + 60 < scene.span[0] or scan.begin - 1 > scene.span[1]:
            continue
        ours = ends.within(scan.sources)[ends.src] & ends.within(scan.targets)[ends.dst]
        scanned[ours & (rows["first"] >= scan.begin - 1) & (rows["last"] <= scan.end + 60)] = number
    unsure = rows["unsure"] * 2 > rows["flows"]
    half = rows["marks"] & Mark.ONE_SIDED != 0

    def own(number: int) -> Evidence:
        run = scene.setting.scans[int(scanned[number])].run
        return Evidence(Kind.SCANNER, weights.SCANNER, f"our own scan {run}")

    confused = Evidence(
        Kind.CONFUSION, weights.CONFUSION, "the beginning was not captured: this may be a reply to the other side"
    )
    cut = Evidence(Kind.ONE_SIDED, weights.ONE_SIDED, "only one direction was captured")
    return [
        Column(Kind.SCANNER, np.where(scanned >= 0, weights.SCANNER, 0), own),
        Column(Kind.CONFUSION, np.where(unsure, weights.CONFUSION, 0), lambda _: confused),
        Column(Kind.ONE_SIDED, np.where(half, weights.ONE_SIDED, 0), lambda _: cut),
    ]


COLUMNS: tuple[Callable[[Scene], list[Column]], ...] = (
    policy_columns,
    port_list_columns,
    protocol_columns,
    direction_columns,
    failure_columns,
    novelty_columns,
    rarity_columns,
    amount_columns,
    indicator_columns,
    listener_columns,
    doubt_columns,
)


def by_endpoint(scene: Scene, points: Callable[[int, str, str], int]) -> Array:
    """A column that depends on port, transport and protocol only: each different combination is judged once."""
    rows = scene.rows
    keys = rows["app"].astype(np.int64) << 24 | rows["transport"].astype(np.int64) << 16 | rows["dport"]
    different, which = np.unique(keys, return_inverse=True)
    values = [
        points(key & 0xFFFF, name, scene.apps[key >> 24]) if (name := TRANSPORTS.get(key >> 16 & 0xFF)) else 0
        for key in different.tolist()
    ]
    return np.array(values, np.int64)[which.reshape(-1)]


def find_rhythms(tally: Tally, scene: Scene, total: Array) -> Mapping[int, Rhythm]:
    """The rhythm of conversations with enough flows, where it can still lift them to Low or spare them."""
    worth = (scene.rows["flows"] >= LEAST_BEATS) & (total + weights.RHYTHM_STRONG >= 20)
    worth |= (scene.rows["flows"] >= LEAST_BEATS) & scene.verdicts.allowed
    found = {}
    for number, moments in tally.moments(np.flatnonzero(worth)):
        rhythm = measure_rhythm(moments["second"], moments["sent"], scene.span)
        if rhythm is not None and rhythm.count >= LEAST_BEATS and rhythm.score >= HALF_STEADY:
            found[number] = rhythm
    return found


def rhythm_points(rhythm: Rhythm) -> int:
    return weights.RHYTHM_STRONG if rhythm.score >= STEADY else weights.RHYTHM_WEAK


def endpoint_of(scene: Scene, number: int) -> tuple[int, str]:
    row = scene.rows[number]
    return int(row["dport"]), TRANSPORTS.get(int(row["transport"]), str(row["transport"]))


def service_text(scene: Scene, port: int, transport: str) -> str:
    usual = scene.setting.services.at(port, transport)
    return usual[0][0] if usual else f"{port}/{transport}"


def sample_of(scene: Scene, number: int) -> str:
    """Where the first flow of a conversation stands."""
    row = scene.rows[number]
    source = int(row["source"])
    name = scene.setting.sources[source] if source < len(scene.setting.sources) else f"file {source + 1}"
    return f"{name}:{int(row['record'])}"


def refutation(scene: Scene, number: int, entries: list[Evidence]) -> str:
    """What would show that a detection is harmless."""
    kinds = {entry.kind for entry in entries}
    port, transport = endpoint_of(scene, number)
    usual = service_text(scene, port, transport)
    ways = []
    if Kind.PROTOCOL in kinds:
        ways.append(f"a greeting of {usual} in a capture")
    if Kind.POLICY in kinds:
        zone = scene.setting.policy.zones[int(scene.verdicts.zone[number])].name
        ways.append(f"a change record for {zone}, then a [[traffic]] entry")
    if Kind.INDICATOR in kinds:
        ways.append("the indicator having expired or being about somebody else on that address")
    return ", or ".join(ways) or "somebody who knows what this host does there"


def next_step(scene: Scene, number: int) -> str:
    """The first command to run: where the traffic comes from, what opens it."""
    src, dst = scene.ends.text(int(scene.ends.src[number])), scene.ends.text(int(scene.ends.dst[number]))
    option = "-unp" if endpoint_of(scene, number)[1] == "udp" else "-tnp"
    if scene.inside[scene.ends.src[number]]:
        return f"on {src}: ss {option} dst {dst}"
    return f"on {dst}: ss {option} src {src}"


def describe(scene: Scene, columns: list[Column], rhythms: Mapping[int, Rhythm], number: int) -> Detection:
    """A conversation with its evidence in words, the heaviest first."""
    row = scene.rows[number]
    entries = [column.explain(number) for column in columns if column.points[number]]
    rhythm = rhythms.get(number)
    if rhythm:
        because = f"every {duration(rhythm.interval)}, score {rhythm.score:.2f}"
        entries.append(Evidence(Kind.RHYTHM, rhythm_points(rhythm), because, "T1071"))
    entries.sort(key=lambda entry: -entry.points)
    port, transport = endpoint_of(scene, number)
    zone = int(scene.verdicts.zone[number]) if scene.verdicts.governed[number] else -1
    return Detection(
        src=scene.ends.text(int(scene.ends.src[number])),
        dst=scene.ends.text(int(scene.ends.dst[number])),
        port=port,
        transport=transport,
        grade=grade(tuple(entries)),
        evidence=tuple(entries),
        first=float(row["first"]),
        last=float(row["last"]),
        flows=int(row["flows"]),
        sent=int(row["sent"]),
        received=int(row["received"]),
        app=scene.apps[int(row["app"])],
        zone=scene.setting.policy.zones[zone].name if zone >= 0 else "",
        hours=rhythm.hours if rhythm else (),
        interval=rhythm.interval if rhythm else None,
        sample=(sample_of(scene, number),),
        refuted=refutation(scene, number, entries),
        following=next_step(scene, number),
        attack=tuple(sorted({entry.source for entry in entries if entry.source.startswith("T")})),
    )
