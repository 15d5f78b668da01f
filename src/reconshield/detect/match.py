"""From conversations to detections: the points of all classes of evidence, summed, and the few rows that add up.

Tally + Setting -> scene of each part -> columns (one a class) -> sums -> rhythm of what repeats -> detections, the worst first
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from reconshield.detect import evidence as weights
from reconshield.detect.classes import COLUMNS, to_everybody
from reconshield.detect.evidence import Kind, grade
from reconshield.detect.flows import UNRECOGNISED
from reconshield.detect.kept import Kept
from reconshield.detect.picture import draw
from reconshield.detect.rhythm import Rhythm, steady_ones
from reconshield.detect.scene import Array, Column, Scene, Setting, endpoint_of, look_at_parts, service_text
from reconshield.detect.tally import Chosen, Tally
from reconshield.detection import Detection, Evidence, Picture
from reconshield.text import duration

LEAST_BEATS = 20
STEADY, HALF_STEADY = 0.8, 0.6
MOST_DETECTIONS = 10_000


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
    span: tuple[float, float] | None = None
    """The time that the flows cover, where they have times."""


def match(tally: Tally, setting: Setting, pictured: int = 0) -> Matches:
    """Judge all conversations of a tally, a part after the other; so many of the worst detections get a picture."""
    found = Found(pictured)
    for scene, moments in look_at_parts(tally, setting):
        if scene.rows.size:
            judge(scene, moments, found)
    worst = found.worst.all()
    return Matches(
        detections=(*worst[:pictured], *(replace(each, picture=None) if each.picture else each for each in worst[pictured:])),
        allowed=tuple(found.allowed.all()),
        noted=found.noted,
        left_out=max(0, found.worst.count - MOST_DETECTIONS),
        conversations=found.conversations,
        own=tuple(found.own.all()),
        span=tally.span if tally.span[0] else None,
    )


class Found:
    """What the parts judged so far have brought. Ranks are by falling score, then by which conversation came first."""

    def __init__(self, pictured: int) -> None:
        self.pictured = pictured
        self.worst, self.allowed, self.own = (Kept[Detection](MOST_DETECTIONS) for _ in range(3))
        self.noted = self.conversations = 0


def judge(scene: Scene, moments: Chosen, found: Found) -> None:
    """Judge the conversations of a scene."""
    columns = [column for make in COLUMNS for column in make(scene)]
    total = np.sum([column.points for column in columns], axis=0)
    rhythms = find_rhythms(moments, scene, total)
    for number, rhythm in rhythms.items():
        total[number] += rhythm_points(rhythm)
    order = scene.rows["order"].astype(np.int64)
    before_allowance = total - np.where(scene.verdicts.allowed, weights.ALLOWED, 0)
    chosen = np.flatnonzero(total >= 20)
    chosen = chosen[np.argsort(-total[chosen], kind="stable")]
    spared = np.flatnonzero(scene.verdicts.allowed & (total < 20) & (before_allowance >= 20))
    scanner = np.sum([column.points for column in columns if column.kind == Kind.SCANNER], axis=0)
    ours = np.flatnonzero((scanner < 0) & ~scene.verdicts.allowed & (total < 20) & (total - scanner >= 20))
    pictures = (
        {number: draw(rows, scene.span) for beats in moments(chosen[: found.pictured]) for number, rows in beats.each()}
        if found.pictured
        else {}
    )

    def tell(number: int, place: int) -> Detection:
        return describe(scene, columns, rhythms, number, pictures.get(number) if place < found.pictured else None)

    found.worst.add(chosen, np.stack([-total[chosen], order[chosen]], axis=1), tell)
    for kept, numbers in ((found.allowed, spared), (found.own, ours)):
        kept.add(numbers, np.stack([order[numbers], order[numbers]], axis=1), lambda n, _: describe(scene, columns, rhythms, n))
    found.noted += int(np.count_nonzero((total > 0) & (total < 20)))
    found.conversations += int(scene.rows.size)


def find_rhythms(moments: Chosen, scene: Scene, total: Array) -> Mapping[int, Rhythm]:
    """The rhythm of conversations with enough flows, where it can still lift them to Low or spare them. What is sent to a group
    keeps time by its standard (mDNS, SSDP), and nobody commands through it.
    """
    worth = (scene.rows["flows"] >= LEAST_BEATS) & (total + weights.RHYTHM_STRONG >= 20)
    worth |= (scene.rows["flows"] >= LEAST_BEATS) & scene.verdicts.allowed
    worth &= ~to_everybody(scene)
    weak = scene.verdicts.allowed | (total + weights.RHYTHM_WEAK >= 20)  # where a weak one makes a difference
    found = steady_ones(moments(np.flatnonzero(worth)), scene.span, np.where(weak, HALF_STEADY, STEADY))
    return {number: rhythm for number, rhythm in found if rhythm.count >= LEAST_BEATS}


def rhythm_points(rhythm: Rhythm) -> int:
    return weights.RHYTHM_STRONG if rhythm.score >= STEADY else weights.RHYTHM_WEAK


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
    usual = service_text(scene.setting, port, transport)
    ways = []
    if Kind.PROTOCOL in kinds:
        ways.append(f"a greeting of {usual} in a capture")
    if Kind.POLICY in kinds:
        zone = scene.setting.policy.zones[int(scene.verdicts.zone[number])].name
        ways.append(f"a change record for {zone}, then a [[traffic]] entry")
    if Kind.INDICATOR in kinds:
        ways.append("the indicator having expired or being about somebody else on that address")
    return ", or ".join(ways) or "somebody who knows what this host does there"


def confirmation(scene: Scene, number: int, entries: list[Evidence]) -> str:
    """What would show that a detection is what it looks like."""
    kinds = {entry.kind for entry in entries if entry.points > 0}
    src, dst = scene.ends.src[number], scene.ends.dst[number]
    inside = scene.ends.text(int(src if scene.inside[src] else dst))
    ways = [f"a process on {inside} behind it that whoever runs that host does not know"]
    if Kind.PROTOCOL in kinds:
        app = scene.apps[int(scene.rows[number]["app"])]
        spoken = "no known protocol" if app == UNRECOGNISED else app.replace(",", " or ")
        ways.append(f"{spoken} in the first bytes of a capture of it")
    if Kind.INDICATOR in kinds:
        ways.append("the name, certificate or file that the indicator speaks of, on that host")
    if Kind.RHYTHM in kinds:
        ways.append("the same rhythm while nobody is logged in there")
    return ", or ".join(ways)


SOCKETS = {"tcp": "-tnp", "udp": "-unp"}
CAPTURED = {"1": "icmp", "58": "icmp6"}


def next_step(scene: Scene, number: int) -> str:
    """The first command to run: where the traffic comes from, what opens it."""
    src, dst = scene.ends.text(int(scene.ends.src[number])), scene.ends.text(int(scene.ends.dst[number]))
    transport = endpoint_of(scene, number)[1]
    if transport not in SOCKETS:
        here, there = (src, dst) if scene.inside[scene.ends.src[number]] else (dst, src)
        return f"on {here}: tcpdump -ni any host {there} and {CAPTURED.get(transport, f'proto {transport}')}"
    option = SOCKETS[transport]
    if scene.inside[scene.ends.src[number]]:
        return f"on {src}: ss {option} dst {dst}"
    return f"on {dst}: ss {option} src {src}"


def describe(
    scene: Scene, columns: list[Column], rhythms: Mapping[int, Rhythm], number: int, picture: Picture | None = None
) -> Detection:
    """A conversation with its evidence in words, the heaviest first."""
    row = scene.rows[number]
    entries = [column.explain(number) for column in columns if column.points[number]]
    rhythm = rhythms.get(number)
    if rhythm:
        because = f"every {interval_text(rhythm.interval)}, score {rhythm.score:.2f}"
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
        measures=measures_of(rhythm) if rhythm else (),
        sample=(sample_of(scene, number),),
        confirmed=confirmation(scene, number, entries),
        refuted=refutation(scene, number, entries),
        following=next_step(scene, number),
        attack=tuple(sorted({entry.source for entry in entries if entry.source.startswith("T")})),
        direction=direction_of(scene, number),
        picture=picture,
    )


def measures_of(rhythm: Rhythm) -> tuple[tuple[str, float], ...]:
    names = (("gaps", rhythm.gaps), ("sizes", rhythm.sizes), ("hours", rhythm.histogram), ("duration", rhythm.duration))
    return tuple((name, round(value, 3)) for name, value in names)


def interval_text(seconds: float) -> str:
    """`60 s`, `5 min 0 s`: intervals are compared with settings, which are written in seconds."""
    return f"{round(seconds, 1):g} s" if seconds < 120 else duration(seconds)


def direction_of(scene: Scene, number: int) -> str:
    """Whether a conversation leads out, in, stays within or passes by."""
    inside = bool(scene.inside[scene.ends.src[number]]), bool(scene.inside[scene.ends.dst[number]])
    return {(True, False): "out", (False, True): "in", (True, True): "within"}.get(inside, "outside")
