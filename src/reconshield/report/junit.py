"""Verdicts as JUnit XML, which every CI system reads: a test case each, by zone, and a failure for what fails.

Of what passes because it is as expected, and of many endpoints that nobody measured, there is one test case; `missing` is a
skipped one unless it fails. Only the elements and attributes that the readers agree on are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from reconshield.report.checked import Checked, RatedVerdict, spoken, why_text
from reconshield.text import iso_time, printable


def junit_text(checked: Checked) -> Iterator[str]:
    """The document in pieces."""
    head = checked.head
    skipped = checked.counts["missing"] if not checked.strict else 0
    numbers = f'tests="{checked.total}" failures="{checked.failed}" errors="0" skipped="{skipped}"'
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="reconshield check" {numbers} time="0">\n'
    stamp = iso_time(head.started)[:19]
    yield f'  <testsuite name={_attribute(f"{checked.file} from {head.vantage}")} {numbers} time="0" timestamp="{stamp}">\n'
    yield f'    <properties>\n      <property name="run" value={_attribute(head.id)}/>\n    </properties>\n'
    yield from (_case(checked, rated) for rated in checked.verdicts())
    yield "  </testsuite>\n</testsuites>\n"


def _case(checked: Checked, rated: RatedVerdict) -> str:
    verdict = rated.verdict
    name = " ".join(part for part in (verdict.place, spoken(verdict), verdict.kind) if part)
    begin = f'    <testcase classname={_attribute(f"policy.{verdict.zone}")} name={_attribute(name)} time="0"'
    text = why_text(rated)
    if checked.fails(verdict.kind):
        risk = f", risk {rated.risk.score} {rated.risk.rating}" if rated.risk else ""
        message = f"{verdict.kind}: {verdict.place}{risk}"
        body = escape(printable(f"{message}; {text}", 2000))
        return (
            f'{begin}>\n      <failure type="{verdict.kind}" message={_attribute(message)}>{body}</failure>\n    </testcase>\n'
        )
    if verdict.kind == "missing":
        return f"{begin}>\n      <skipped message={_attribute(text)}/>\n    </testcase>\n"
    return f"{begin}/>\n"


def _attribute(text: str) -> str:
    """A quoted attribute; what XML does not allow was made visible."""
    return quoteattr(printable(text, 400))
