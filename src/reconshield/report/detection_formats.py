"""Every format that detections are written in, by name; each is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import cast

from reconshield.report.detected import DetectionReport, conclusion_text
from reconshield.report.detections import all_rows, detection_line, feed_line, input_line
from reconshield.report.rows import plain
from reconshield.text import json_text

FORMATS = ("table", "jsonl", "html", "stix", "ocsf", "ecs", "cef", "misp")
LINES = ("table", "jsonl", "ocsf", "ecs", "cef")
"""Formats of which a part is whole: what is followed can be written as it comes."""
FILES: Mapping[str, tuple[str, str]] = {
    "jsonl": ("jsonl", "application/x-ndjson"),
    "html": ("html", "text/html; charset=utf-8"),
    "stix": ("stix.json", "application/stix+json;version=2.1"),
    "ocsf": ("ocsf.jsonl", "application/x-ndjson"),
    "ecs": ("ecs.jsonl", "application/x-ndjson"),
    "cef": ("cef.txt", "text/plain; charset=utf-8"),
    "misp": ("misp.json", "application/json"),
}
"""How a file of a format ends, and its media type."""
WIDTH = 120
"""Columns of a table in a file."""


def render(report: DetectionReport, format_: str, *, with_inputs: bool = False) -> Iterable[str]:
    """The text of a report in pieces. `with_inputs` begins JSON Lines with what was read."""
    if format_ == "table":
        return table_text(report)
    if format_ == "jsonl":
        return lines_text(report, with_inputs=with_inputs)
    module = import_module("reconshield.report.html" if format_ == "html" else f"reconshield.report.{format_}")
    text = getattr(module, "detections_text" if format_ == "html" else f"{format_}_text")
    return cast("Callable[[DetectionReport], Iterator[str]]", text)(report)


def lines_text(report: DetectionReport, *, with_inputs: bool) -> Iterator[str]:
    """JSON Lines; with what was read where that was not printed before."""
    if with_inputs:
        for feed in report.feeds:
            yield json_text(feed_line(feed.file, feed.format, feed.used, feed.expired, feed.unused, feed.bad)) + "\n"
        for read in report.inputs:
            line = input_line(
                read.file, read.format, read.records, read.bad, names=read.names, listeners=read.listeners, notes=read.notes
            )
            yield json_text(line) + "\n"
    for detection in (*report.detections, *report.own):
        yield json_text(detection_line(detection)) + "\n"
    for detection in report.allowed:
        yield json_text(detection_line(detection, allowed=True)) + "\n"


def table_text(report: DetectionReport) -> Iterator[str]:
    """The table in a file: every detection, without colour."""
    for row in all_rows(report.detections, report.own, report.allowed, WIDTH):
        yield plain(row).rstrip() + "\n"
    yield conclusion_text(report) + "\n"
