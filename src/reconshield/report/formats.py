"""The formats in which a run's result leaves the program, and its text in each of them, in pieces.

A format's module is loaded when it is asked for, so that quick commands do not pay for the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconshield.errors import UserError

if TYPE_CHECKING:
    from reconshield.report.checked import Checked
    from reconshield.report.result import RunResult

PAGE_WIDTH = 120
"""Columns of the table where it is written to a file."""


@dataclass(frozen=True, slots=True)
class Format:
    """What a format is called, what browsers and files call it, and what it is good for."""

    name: str
    media: str
    suffix: str
    about: str


KNOWN = (
    Format("table", "text/plain", "txt", "as the terminal shows it"),
    Format("jsonl", "application/x-ndjson", "jsonl", "one object a line, for programs"),
    Format("json", "application/json", "json", "one document, for programs"),
    Format("csv", "text/csv", "csv", "a row an endpoint, for spreadsheets"),
    Format("html", "text/html", "html", "one page to pass on"),
    Format("markdown", "text/markdown", "md", "for a wiki or a ticket"),
    Format("nmap-xml", "application/xml", "xml", "for what reads nmap's output"),
    Format("tickets-csv", "text/csv", "tickets.csv", "a ticket a finding, as a table"),
    Format("tickets-json", "application/json", "tickets.json", "a ticket a finding, for programs"),
)
FORMATS = tuple(each.name for each in KNOWN)
VERDICTS = (
    Format("table", "text/plain", "txt", "as the terminal shows it"),
    Format("jsonl", "application/x-ndjson", "jsonl", "one object a line, for programs"),
    Format("junit", "application/xml", "junit.xml", "for what shows the results of tests"),
    Format("sarif", "application/sarif+json", "sarif", "for what shows the results of code scanners"),
)
"""What the policy says of a run, in formats of its own."""


def find_format(name: str, known: tuple[Format, ...] = KNOWN) -> Format:
    """The format of that name, or an error that lists them all."""
    for each in known:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in known)
    raise UserError(f"unknown format {name!r}", where=f"--format {name}", hint=f"--format one of {names}")


def render_result(result: RunResult, format_: str, *, with_evidence: bool) -> Iterable[str]:
    """The text of a result in pieces. What endpoints answered is left out of the page unless `with_evidence`."""
    from reconshield.report import lines, sheet

    pieces: Iterable[str]
    if format_ == "table":
        pieces = table_text(result)
    elif format_ == "jsonl":
        pieces = lines.dump_lines(lines.result_lines(result))
    elif format_ == "json":
        pieces = [lines.result_document(result) + "\n"]
    elif format_ == "csv":
        pieces = sheet.csv_text(result)
    elif format_ == "html":
        from reconshield.report.html import html_text

        pieces = html_text(result, with_evidence=with_evidence)
    elif format_ == "markdown":
        from reconshield.report.markdown import markdown_text

        pieces = markdown_text(result)
    elif format_ == "nmap-xml":
        from reconshield.report.nmap_xml import nmap_xml_text

        pieces = nmap_xml_text(result)
    else:
        from reconshield.report.tickets import tickets_csv, tickets_json

        pieces = tickets_csv(result) if format_ == "tickets-csv" else [tickets_json(result)]
    return pieces


def render_verdicts(checked: Checked, format_: str) -> Iterable[str]:
    """The text of the policy's verdicts on a run."""
    if format_ == "table":
        return verdict_table(checked)
    if format_ == "jsonl":
        from reconshield.report.checked import checked_lines
        from reconshield.report.lines import dump_lines

        return dump_lines(checked_lines(checked))
    if format_ == "junit":
        from reconshield.report.junit import junit_text

        return junit_text(checked)
    from reconshield.report.sarif import sarif_text

    return sarif_text(checked)


def verdict_table(checked: Checked) -> Iterator[str]:
    from reconshield.report.checked import checked_rows
    from reconshield.report.table import plain

    for row in checked_rows(checked, PAGE_WIDTH):
        yield plain(row).rstrip() + "\n"


def table_text(result: RunResult) -> Iterator[str]:
    from reconshield.report.table import plain, run_table

    for row in run_table(result, PAGE_WIDTH):
        yield plain(row).rstrip() + "\n"
