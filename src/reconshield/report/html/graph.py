"""Detections to the geometry of a graph: sources at the left, endpoints at the right, a line for each conversation. Pure.

What a source does to many hosts on one port is one line, and so is what many sources do with one endpoint: a scan or a shared
server would else fill the drawing. The order is that of the detections, the worst first; what is left out is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconshield.detection import Detection
from reconshield.report.detected import live
from reconshield.report.detections import endpoint_text
from reconshield.text import plural

EDGES = 25
"""So many lines are drawn."""
MANY = 5
"""So many alike are drawn as one."""
NODE = 40
LEFT, RIGHT = 34.0, 55.0
"""Where lines between the two columns of names begin and end, in per cent."""
LABEL = 21
NAMED = 8
"""So many of those who are drawn as one are named in the table."""


@dataclass(frozen=True, slots=True)
class Node:
    """An end: its name as it is drawn, a second line, the middle of its line, and the rating of its worst edge."""

    name: str
    about: str
    y: float
    rating: str


@dataclass(frozen=True, slots=True)
class Edge:
    """One or many detections as a line from one height to another; `source` and `target` are its ends in words."""

    detections: tuple[Detection, ...]
    source: str
    target: str
    y1: float
    y2: float

    @property
    def worst(self) -> Detection:
        return self.detections[0]

    @property
    def flows(self) -> int:
        return sum(each.flows for each in self.detections)

    @property
    def sent(self) -> int:
        return sum(each.sent for each in self.detections)

    @property
    def received(self) -> int:
        return sum(each.received for each in self.detections)

    @property
    def marked(self) -> bool:
        """Whether all of it is suppressed."""
        return all(live(each.suppressed) for each in self.detections)


@dataclass(frozen=True, slots=True)
class Graph:
    """The drawing: its ends, its lines with the worst last (so on top), its size, and how many detections are not in it."""

    sources: tuple[Node, ...]
    targets: tuple[Node, ...]
    edges: tuple[Edge, ...]
    height: int
    left: float
    right: float
    left_out: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """Detections that are drawn as one line. `source` and `target` tell its ends from others: what is written there, and for
    many the addresses on further lines, so that other forty sources are another end.
    """

    detections: tuple[Detection, ...]
    source: str
    target: str

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(each.src for each in self.detections))

    @property
    def targets(self) -> list[str]:
        return list(dict.fromkeys(endpoint_text(each) for each in self.detections))


def chart_graph(detections: Sequence[Detection]) -> Graph:
    """Who talks to whom. Sources stand in the order of their worst detection, endpoints follow their sources."""
    bundles = bundle(detections)
    drawn = bundles[:EDGES]
    by_source: dict[str, list[Bundle]] = {}
    for each in drawn:
        by_source.setdefault(each.source, []).append(each)
    by_target: dict[str, list[Bundle]] = {}
    for each in (each for found in by_source.values() for each in found):
        by_target.setdefault(each.target, []).append(each)
    height = max(len(by_source), len(by_target)) * NODE
    left, right = spread(by_source, height), spread(by_target, height)
    return Graph(
        sources=tuple(
            Node(label(name), about_source(found), left[name], worst_rating(found)) for name, found in by_source.items()
        ),
        targets=tuple(
            Node(label(name), about_target(found), right[name], worst_rating(found)) for name, found in by_target.items()
        ),
        edges=tuple(
            Edge(each.detections, named(each.sources), named(each.targets), left[each.source], right[each.target])
            for each in reversed(drawn)
        ),
        height=height,
        left=LEFT,
        right=RIGHT,
        left_out=sum(len(each.detections) for each in bundles[EDGES:]),
    )


def bundle(detections: Sequence[Detection]) -> list[Bundle]:
    """What is drawn as one line, the worst first. Of two ways to bundle a detection the one with more in it is taken."""
    fan_out = Counter((each.src, each.port, each.transport) for each in detections)
    fan_in = Counter((each.dst, each.port, each.transport) for each in detections)
    groups: dict[tuple[object, ...], list[Detection]] = {}
    for each in detections:
        out, into = fan_out[each.src, each.port, each.transport], fan_in[each.dst, each.port, each.transport]
        if max(out, into) < MANY:
            key: tuple[object, ...] = ("one", each.src, endpoint_text(each))
        elif out >= into:
            key = ("out", each.src, each.port, each.transport)
        else:
            key = ("in", endpoint_text(each))
        groups.setdefault(key, []).append(each)
    return [ends_of(str(key[0]), tuple(found)) for key, found in groups.items()]


def ends_of(way: str, found: tuple[Detection, ...]) -> Bundle:
    first = found[0]
    if way == "out" and len(found) > 1:
        hosts = sorted(each.dst for each in found)
        return Bundle(found, first.src, "\n".join([f"{len(found)} hosts:{first.port}/{first.transport}", *hosts]))
    if way == "in" and len(found) > 1:
        return Bundle(found, "\n".join([f"{len(found)} sources", *sorted(each.src for each in found)]), endpoint_text(first))
    return Bundle(found, first.src, endpoint_text(first))


def spread(names: Iterable[str], height: int) -> dict[str, float]:
    """The middle of each name's line: evenly over the height."""
    listed = list(names)
    return {name: round((place + 0.5) * height / len(listed), 1) for place, name in enumerate(listed)}


def worst_rating(found: list[Bundle]) -> str:
    return max((each.detections[0].grade for each in found), key=lambda grade: grade.score).rating


def about_source(found: list[Bundle]) -> str:
    """`3 endpoints`, for many sources who the worst is."""
    if len(found[0].sources) > 1:
        return f"{shorten(found[0].sources[0])}, …"
    return plural(len({name for each in found for name in each.targets}), "endpoint", "endpoints")


def about_target(found: list[Bundle]) -> str:
    """`100 critical, 719 flows`."""
    worst = max((each.detections[0].grade for each in found), key=lambda grade: grade.score)
    flows = sum(each.flows for bundle in found for each in bundle.detections)
    return f"{worst.score} {worst.rating}, {plural(flows, 'flow', 'flows')}"


def label(end: str) -> str:
    return shorten(end.partition("\n")[0])


def named(names: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def shorten(name: str) -> str:
    """A name that fits into a column on a narrow page, cut in its middle; the whole stands beside the drawing."""
    return name if len(name) <= LABEL else f"{name[:6]}…{name[6 - LABEL + 1 :]}"
