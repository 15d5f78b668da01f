"""Detections for the terminal and as lines: the worst first, each with its sum, what would refute it and what to do next."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from reconshield.detection import Detection, Evidence
from reconshield.report.line_types import DetectionLine, EvidencePart, IndicatorsLine, InputLine
from reconshield.report.rows import Row, Span, wrap
from reconshield.text import count, iso_time, local_time, place_text, plural, printable, width_of

SPARKS, DIGITS = "▁▂▃▄▅▆▇█", "0123456789"
MOST_SPARKS = 24
LIMIT = 100
LEAST_SHARED, MOST_GROUPS, MOST_KINDS = 3, 20, 3


def detection_id(detection: Detection) -> str:
    """Sixteen hex digits that stand for this conversation, whenever it is seen."""
    place = (detection.src, detection.dst, str(detection.port), detection.transport)
    return hashlib.sha256("\n".join(("detection", *place)).encode()).hexdigest()[:16]


def detection_rows(detections: Iterable[Detection], width: int, *, ascii_: bool = False) -> Iterator[Row]:
    """A detection: its score and ends, then each piece of evidence with its points, the sum, and what to do."""
    for detection in detections:
        yield []
        yield from _head(detection, width)
        for entry in detection.evidence:
            yield from _entry(detection, entry, width, ascii_=ascii_)
        yield from _sum(detection, width)
        if detection.suppressed:
            label = "suppressed" if detection.suppressed.live else "was suppressed"
            yield from wrap(f"        {label:<10} ", printable(detection.suppressed.because, None), width)
        if detection.exposure:
            yield from wrap("        exposure   ", printable(detection.exposure, None), width)
        for label, text in (("refuted by", detection.refuted), ("next", detection.following)):
            if text:
                yield from wrap(f"        {label:<10} ", text, width)


def _entry(detection: Detection, entry: Evidence, width: int, *, ascii_: bool) -> Iterator[Row]:
    """A piece of evidence: points, class, why, the picture of a rhythm; the technique at the right edge where there is room."""
    lead, text = f"  {entry.points:>4}  {entry.kind:<10} ", printable(entry.because, None)
    if entry.kind == "rhythm" and detection.hours:
        text += f"   {sparkline(detection.hours, ascii_=ascii_)}"
    mark = entry.source if entry.source.startswith("T") else ""
    room = width - width_of(lead) - width_of(text) - len(mark)
    if room >= 3 or (not mark and room >= 0):
        yield [Span(lead), Span(text), *([Span(" " * room), Span(mark, "dim")] if mark else [])]
    else:
        yield from wrap(lead, f"{text} {mark}".strip(), width)


def _head(detection: Detection, width: int) -> Iterator[Row]:
    """Score, ends and extent on one line, else the extent under the ends."""
    grade = detection.grade
    score, when = f"{grade.score:>3} {grade.rating:<8}", extent(detection)
    where = f"  {detection.src} → {endpoint_text(detection)}"
    if len(score) + len(where) + 3 + len(when) <= width:
        yield [Span(score, grade.rating), Span(f"{where}   {when}")]
        return
    if len(score) + len(where) <= width:
        yield [Span(score, grade.rating), Span(where)]
    else:
        yield [Span(score.rstrip(), grade.rating)]
        yield from wrap("  ", where.strip(), width)
    yield from wrap(" " * (len(score) + 2) if width >= 60 else "  ", when, width)


def _sum(detection: Detection, width: int) -> Iterator[Row]:
    total = sum(entry.points for entry in detection.evidence)
    notes = []
    if total > LIMIT:
        notes.append(f"cut at {LIMIT}")
    if detection.grade.held:
        notes.append(f"held at {detection.grade.rating}: {detection.grade.held}")
    if notes:
        yield from wrap(f"  {total:>4}  ", "; ".join(notes), width, "dim")


def all_rows(
    detections: Sequence[Detection],
    own: Sequence[Detection],
    allowed: Sequence[Detection],
    width: int,
    *,
    ascii_: bool = False,
    summed: Sequence[Detection] = (),
) -> Iterator[Row]:
    """Detections, then those that are only summed up, what is ours and what is allowed."""
    yield from detection_rows(detections, width, ascii_=ascii_)
    if detections:
        yield []
    if summed:
        yield from low_rows(summed, width)
    yield from brief_rows("own scan", own, width)
    yield from brief_rows("allowed", allowed, width)


def low_rows(detections: Sequence[Detection], width: int) -> Iterator[Row]:
    """Detections of Low summed up: a line for each port that several share, and one for all others together."""
    groups: dict[str, list[Detection]] = {}
    for detection in detections:
        groups.setdefault(place_text(detection.port, detection.transport), []).append(detection)
    shared = {place: group for place, group in groups.items() if len(group) >= LEAST_SHARED}
    rest = [each for group in groups.values() if len(group) < LEAST_SHARED for each in group]
    ordered = sorted(shared.items(), key=lambda each: (-max(one.grade.score for one in each[1]), -len(each[1])))
    rest += [each for _, group in ordered[MOST_GROUPS:] for each in group]
    told = [*ordered[:MOST_GROUPS], *([("other ports", rest)] if rest else [])]
    yield [Span(f"{plural(len(detections), 'detection', 'detections')} of low, by port:", "low")]
    for place, group in told:
        scores = sorted(each.grade.score for each in group)
        kinds = Counter(str(entry.kind) for each in group for entry in each.evidence if entry.points > 0)
        evidence = ", ".join(kind for kind, _ in kinds.most_common(MOST_KINDS))
        sources, targets = {each.src for each in group}, {each.dst for each in group}
        ends = f"{plural(len(sources), 'source', 'sources')}, {plural(len(targets), 'destination', 'destinations')}"
        lead = f"  {f'{scores[0]}-{scores[-1]}' if scores[0] < scores[-1] else scores[0]:>5} {count(len(group)):>6}  "
        yield from wrap(f"{lead}{place:<11}  ", f"{ends}: {evidence}", width)
    yield []


def brief_rows(label: str, detections: Iterable[Detection], width: int) -> Iterator[Row]:
    """One line each, for what is allowed or stays below Low."""
    for detection in detections:
        why = "; ".join(printable(entry.because, 80) for entry in detection.evidence if entry.points < 0)
        yield from wrap(f"{label:<10}", f"{detection.src} → {endpoint_text(detection)}  {why}", width, "dim")


def endpoint_text(detection: Detection) -> str:
    place = place_text(detection.port, detection.transport)
    if not place[0].isdecimal():
        return f"{detection.dst} {place}"
    return f"[{detection.dst}]:{place}" if ":" in detection.dst else f"{detection.dst}:{place}"


def extent(detection: Detection) -> str:
    """`719 flows, 2026-11-23 06:02 to 18:00 UTC`."""
    flows = plural(detection.flows, "flow", "flows")
    if math.isnan(detection.first):
        return f"{flows}, no times"
    first, last = local_time(detection.first), local_time(detection.last)
    if first == last:
        return f"{flows}, {first}"
    day, _, rest = last.partition(" ")
    begin = first.rpartition(" ")[0]
    return f"{flows}, {begin} to {rest if first.startswith(day) else last}"


def sparkline(hours: tuple[int, ...], *, ascii_: bool = False) -> str:
    """Flows an hour as a row of bars, in ASCII as digits from 0 to 9; longer times are summed up to fit."""
    if not hours:
        return ""
    step = math.ceil(len(hours) / MOST_SPARKS)
    sums = [sum(hours[at : at + step]) for at in range(0, len(hours), step)]
    most, marks = max(1, *sums), DIGITS if ascii_ else SPARKS
    return "".join(marks[max(value > 0, round((len(marks) - 1) * value / most))] for value in sums)


def detection_line(detection: Detection, *, allowed: bool = False) -> DetectionLine:
    evidence: list[EvidencePart] = [
        {"class": entry.kind, "points": entry.points, "because": entry.because, "source": entry.source}
        for entry in detection.evidence
    ]
    return {
        "v": 1,
        "type": "detection",
        "id": detection_id(detection),
        "src": detection.src,
        "dst": detection.dst,
        "port": detection.port,
        "transport": detection.transport,
        "score": detection.grade.score,
        "rating": detection.grade.rating,
        "held": detection.grade.held,
        "evidence": evidence,
        "first": None if math.isnan(detection.first) else iso_time(detection.first),
        "last": None if math.isnan(detection.last) else iso_time(detection.last),
        "flows": detection.flows,
        "sent_bytes": detection.sent,
        "received_bytes": detection.received,
        "app": detection.app,
        "zone": detection.zone,
        "direction": detection.direction,
        "allowed": allowed,
        "interval_s": detection.interval,
        "measures": dict(detection.measures),
        "sample": list(detection.sample),
        "confirmed": detection.confirmed,
        "refuted": detection.refuted,
        "next": detection.following,
        "attack": list(detection.attack),
        "exposure": detection.exposure,
        "suppressed": bool(detection.suppressed and detection.suppressed.live),
        "suppression": detection.suppressed.because if detection.suppressed else "",
    }


def input_line(
    file: str, format_: str, records: int, bad: int, *, names: int = 0, listeners: int = 0, notes: Iterable[str] = ()
) -> InputLine:
    found: InputLine = {"v": 1, "type": "input", "file": file, "format": format_, "records": records, "bad": bad}
    if names:
        found["names"] = names
    if listeners:
        found["listeners"] = listeners
    if said := list(notes):
        found["notes"] = said
    return found


def feed_line(file: str, format_: str, used: int, expired: int, unused: int, bad: int) -> IndicatorsLine:
    """What came of a file of indicators."""
    return {
        "v": 1,
        "type": "indicators",
        "file": file,
        "format": format_,
        "used": used,
        "expired": expired,
        "unused": unused,
        "bad": bad,
    }


def feed_text(format_: str, used: int, expired: int, unused: int, bad: int, faults: tuple[str, ...]) -> str:
    """`stix  812 indicators, 40 expired, 3 not comparable, 1 bad (…)`."""
    parts = [f"{format_}  {plural(used, 'indicator', 'indicators')}"]
    parts += [f"{count(number)} {what}" for number, what in ((expired, "expired"), (unused, "not comparable")) if number]
    if bad:
        parts.append(f"{count(bad)} bad ({'; '.join(faults)}{'; …' if bad > len(faults) else ''})")
    return ", ".join(parts)


def input_text(format_: str, records: int, faults: tuple[str, ...], bad: int, *, names: int = 0, listeners: int = 0) -> str:
    """`zeek-conn  1,284,003 records, 2 bad (line 88112: not 21 fields; …)`."""
    text = f"{format_}  {plural(records, 'record', 'records')}"
    text += f", {plural(names, 'name', 'names')}" if names else ""
    text += f", {plural(listeners, 'listener', 'listeners')}" if listeners else ""
    if not bad:
        return text
    more = "; …" if bad > len(faults) else ""
    return f"{text}, {count(bad)} bad ({'; '.join(printable(fault, 80) for fault in faults)}{more})"
