"""DetectionReport -> one HTML page in pieces: what was active when, who talks to whom, and for each detection its evidence with
points, its rhythm, some of its flows, what would settle it and what to do. Frame, style and escaping are those of `page`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from reconshield.report.detected import THRESHOLDS, DetectionReport, live, sum_text
from reconshield.report.detections import detection_id, endpoint_text
from reconshield.report.html.graph import chart_graph
from reconshield.report.html.page import environment, frame_values
from reconshield.report.html.traffic_charts import chart_rhythm, chart_timeline, gap_text
from reconshield.text import plural

DETAILED = 50
"""So many of the worst are shown in full."""
LISTED = 500
"""So many stand in the table."""
DIRECTIONS = {"out": "from inside to outside", "in": "from outside to inside", "within": "between inside hosts"}
HOW_TO_READ = (
    ("Score", "the sum of the points of all evidence, from 0 to 100; each class of evidence counts once"),
    ("Rating", ", ".join(f"{name} {words}" for name, words in THRESHOLDS.items())),
    ("Held", "what is merely unusual stays Low, and High needs two classes of evidence, whatever the sum"),
    ("Rhythm", "score from 0 to 1 of how regular it is: gaps, sizes, hours, duration; a steady rhythm alone is no alarm"),
    ("Own scan", "traffic of our own scanner during its run; shown apart, not rated"),
    ("Not here", "what no flow shows: this page says what was seen in these files, not that nothing else happened"),
)


def detections_text(report: DetectionReport) -> Iterator[str]:
    """The page of a report."""
    stream = environment().get_template("detections.html.j2").stream(**page_values(report))
    stream.enable_buffering(200)
    yield from stream


def page_values(report: DetectionReport) -> dict[str, Any]:
    """What the templates print."""
    detailed = report.detections[:DETAILED]
    timeline = chart_timeline(report.detections)
    return {
        "report": report,
        "title": title_of(report),
        "sentence": sentence_of(report),
        "detailed": detailed,
        "listed": report.detections[:LISTED],
        "anchors": {detection_id(each): f"d-{number}" for number, each in enumerate(detailed, 1)},
        "timeline": timeline,
        "graph": chart_graph(report.detections) if report.detections else None,
        "chart_rhythm": chart_rhythm,
        "detection_id": detection_id,
        "endpoint_text": endpoint_text,
        "sum_text": sum_text,
        "gap_text": gap_text,
        "live": live,
        "thresholds": THRESHOLDS,
        "directions": DIRECTIONS,
        "how_to_read": HOW_TO_READ,
        **frame_values(),
    }


def title_of(report: DetectionReport) -> str:
    """The names of the first files that were read."""
    names = [PurePath(read.file).name for read in report.inputs]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def sentence_of(report: DetectionReport) -> str:
    """How many of each rating among how many: `1 critical and 2 low detections in 9,114 conversations.`."""
    counted = [each for each in report.detections if not live(each.suppressed)]
    marked = len(report.detections) - len(counted)
    ratings = [each.grade.rating for each in counted]
    parts = [f"{ratings.count(name):,} {name}" for name in reversed(THRESHOLDS) if name in ratings]
    among = f"in {plural(report.conversations, 'conversation', 'conversations')}"
    aside = f" {plural(marked, 'more is', 'more are')} suppressed by the policy." if marked else ""
    if not parts:
        return f"Nothing rated Low or above {among}.{aside}"
    words = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"{words} {'detection' if len(counted) == 1 else 'detections'} {among}.{aside}"
