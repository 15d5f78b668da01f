"""A run as Markdown (GitHub's flavour), readable as it is in a terminal: head, answer, endpoints, findings, coverage, grant.

Whatever comes from the network is made plain by `text.printable`, and then every character that Markdown or HTML gives a
meaning is escaped, so that a banner can neither draw a table, nor link, nor mention anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reconshield import __version__
from reconshield.model import Finding
from reconshield.report.answer import (
    HOW_TO_READ,
    STATES,
    Exposure,
    answer_text,
    coverage_notes,
    coverage_rows,
    find_exposures,
    held_back_groups,
    level_text,
    loopback_text,
    measured_text,
    product_text,
    risk_sums,
    target_text,
    tls_text,
    took_text,
)
from reconshield.report.result import GrantNote, RunResult
from reconshield.text import count, local_time, plural, printable

MARKS = re.compile(r"[\\`*_{}\[\]#|~$<>&@]|(?<=www)\.|:(?=//)|(?<=mailto):|(?<=xmpp):", re.IGNORECASE)
"""Characters that may begin a mark-up, a link, a reference or a mention, wherever they stand in a line."""
ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;", ":": "&#58;", ".": "&#46;", "#": "&#35;", "$": "&#36;"}
"""Spelt as entities because a back-slash does not stop every reader from linking, mentioning or setting a formula."""


def markdown_text(result: RunResult) -> Iterator[str]:
    """The document, in pieces that end with a line feed."""
    exposures = find_exposures(result)
    yield from _head(result, answer_text(result, exposures))
    yield from _endpoints(result, exposures)
    yield from _findings(result, exposures)
    yield from _first_steps(exposures)
    yield from _coverage(result)
    yield from _grants(result)
    yield from _foot(result)


def plain(text: str, limit: int | None = 60) -> str:
    """Foreign text as Markdown that shows it and does nothing else."""
    return MARKS.sub(lambda found: ENTITIES.get(found[0], "\\" + found[0]), printable(text, limit))


def code(text: str, limit: int | None = 400) -> str:
    """Text as code. The fence is longer than any run of back-ticks in it; a bar is escaped, for it may stand in a table."""
    shown = printable(text, limit).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if len(fence) > 1 or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str) -> str:
    """A sentence of ours, whose parts between back-ticks are commands or settings."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return plain(text, None)
    return "".join(code(part) if number % 2 else plain(part, None) for number, part in enumerate(parts))


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table; columns whose head ends with `#` are numbers."""
    names = list(head)
    yield "| " + " | ".join(name.rstrip("#") for name in names) + " |\n"
    yield "|" + "|".join(" ---: " if name.endswith("#") else " --- " for name in names) + "|\n"
    for row in rows:
        yield "| " + " | ".join(row) + " |\n"


def _head(result: RunResult, sentence: str) -> Iterator[str]:
    head = result.head
    leave = ", ".join(plain(g) for g in head.grants) or "needs none, this machine"
    yield f"# Exposure of {plain(target_text(head), 200)}\n\n**{plain(sentence, None)}**\n\n"
    yield f"- Measured: {plain(measured_text(head))} ({code(head.ports, 60)})\n"
    yield f"- When: {plain(local_time(head.started))}, {plain(took_text(result))}\n"
    yield f"- From: {plain(head.vantage)}, {plain(head.engine)} engine, seed {head.seed}\n"
    yield f"- Grant: {leave}; level {plain(level_text(head.level))}\n"
    yield f"- Run: {code(head.id)}, {plain(STATES[result.summary.state])}\n"
    if result.summary.state == "partial":
        yield f"- Go on: {code(f'reconshield scan --resume {head.id}')}\n"


def _endpoints(result: RunResult, exposures: list[Exposure]) -> Iterator[str]:
    yield "\n## Endpoints\n\n"
    if exposures:
        head = ("Risk#", "Rating", "Endpoint", "Service", "Product", "TLS", "Findings#", "Evidence")
        yield from _table(head, map(_endpoint_row, exposures))
    else:
        yield "No endpoint is listed as open. This holds for what was measured; see Coverage.\n"
    if result.own_loopback:
        yield f"\nThis machine only, not rated: {code(loopback_text(result), None)}\n"


def _endpoint_row(exposure: Exposure) -> tuple[str, ...]:
    rated = exposure.rated
    service = rated.service
    name = f" {plain(service.name)}" if service.name else ""
    also = f", also on {plural(len(exposure.also), 'address', 'addresses')} more" if exposure.also else ""
    return (
        str(rated.risk.score),
        rated.risk.rating,
        code(str(exposure.endpoint)) + name + also,
        plain(service.service),
        plain(product_text(rated)),
        tls_text(rated),
        str(len(exposure.findings)),
        service.rung.value,
    )


def _findings(result: RunResult, exposures: list[Exposure]) -> Iterator[str]:
    found = [(e, f) for e in exposures for f in e.findings]
    yield "\n## Findings\n"
    if not found:
        yield "\nNone on what was measured.\n"
    for exposure, finding in sorted(found, key=lambda pair: -pair[1].severity.rank):
        yield from _finding(result, exposure, finding)


def _finding(result: RunResult, exposure: Exposure, finding: Finding) -> Iterator[str]:
    yield f"\n### {plain(finding.title, 160)}: {code(str(exposure.endpoint))}\n\n"
    risk = exposure.rated.risk
    yield f"- Severity {finding.severity.value}; confidence {finding.confidence.value}; "
    yield f"risk {risk.score} {risk.rating}: {risk_sums(risk)}\n"
    yield f"- Seen: {plain(str(finding.evidence.get('seen', 'not said')), 400)}\n"
    yield f"- Mend: {prose(finding.remedy)}\n"
    if refuted := result.background.refuted.get(finding.check):
        yield f"- Refuted if: {prose(refuted)}\n"
    ids = (*finding.attack, *finding.references)
    if ids:
        yield f"- Techniques and sources: {', '.join(plain(name) for name in ids)}\n"
    yield f"- Check: {code(finding.check)}, finding {code(finding.id)}\n"


def _first_steps(exposures: list[Exposure]) -> Iterator[str]:
    """What to do about endpoints that are rated medium or worse without a finding of their own: each advice once."""
    steps: dict[str, list[str]] = {}
    for exposure in exposures:
        if exposure.rated.advice and not exposure.findings and exposure.rated.risk.rating != "low":
            steps.setdefault(exposure.rated.advice, []).append(str(exposure.endpoint))
    if steps:
        yield "\n## First steps elsewhere\n\n"
    for advice, places in steps.items():
        more = f" and {plural(len(places) - 3, 'endpoint', 'endpoints')} more" if len(places) > 3 else ""
        yield f"- {code(', '.join(places[:3]))}{more}: {prose(advice)}\n"


def _coverage(result: RunResult) -> Iterator[str]:
    s = result.summary
    yield f"\n## Coverage\n\n{count(s.measured)} of {count(s.probes)} planned endpoints measured.\n\n"
    rows = ((plain(r.state), count(r.number), plain(r.share), r.meaning) for r in coverage_rows(result))
    yield from _table(("State", "Endpoints#", "Share#", "What it means"), rows)
    yield "\n"
    for kind, because, source, places in held_back_groups(result):
        yield f"- Held back, no byte was sent ({plain(kind)}: {plain(because, 200)}, {plain(source)}): {code(places, None)}\n"
    for note in coverage_notes(result):
        yield f"- {plain(note, None)}\n"


def _grants(result: RunResult) -> Iterator[str]:
    if not result.background.grants:
        return
    yield "\n## Grant\n\n"
    for grant in result.background.grants:
        yield _grant(grant)


def _grant(grant: GrantNote) -> str:
    never = f", never {code(', '.join(grant.exclusions))}" if grant.exclusions else ""
    why = f"; {plain(grant.reason, 400)}" if grant.reason else ""
    contact = f"; contact {plain(grant.contact, 200)}" if grant.contact else ""
    valid = f"{local_time(grant.valid_from)} until {local_time(grant.until)}"
    return (
        f"- {plain(grant.id)}, allowed by {plain(grant.by, 200)}: {code(', '.join(grant.targets))}{never}; "
        f"level {level_text(grant.level)}; {valid}{why}{contact}\n"
    )


def _foot(result: RunResult) -> Iterator[str]:
    yield "\n## How to read this\n\n"
    yield from (f"- {word}: {plain(meaning, None)}\n" for word, meaning in HOW_TO_READ)
    data = f"; data {plain(' · '.join(result.background.data))}" if result.background.data else ""
    yield f"\nReconShield {__version__}{data}\n"
