"""What a report that is read away from the program needs beside the results: the grants in words, what would refute a
finding, the documents and techniques behind the ids, and how old the data is.
"""

from __future__ import annotations

from dataclasses import replace

from reconshield.checks.rules import CHECKS
from reconshield.jobs.grants import list_grants
from reconshield.knowledge.catalog import SOURCES, attack_names, read_sources
from reconshield.knowledge.sections import data_dates
from reconshield.report.result import Background, GrantNote, RunResult, SourceNote
from reconshield.scope import Grant
from reconshield.store.db import Store


def add_background(store: Store, result: RunResult) -> RunResult:
    """The result with everything explained that occurs in it."""
    ids = {f.source for s in result.services for f in s.risk.factors} | {r for f in result.findings for r in f.references}
    techniques = {technique for finding in result.findings for technique in finding.attack}
    known, _ = read_sources(SOURCES.read_text(encoding="utf-8"), SOURCES.name)
    names = attack_names()
    background = Background(
        grants=tuple(note_of(grant) for grant in list_grants(store) if grant.id in result.head.grants),
        refuted=refutations(result),
        sources={
            source_id: SourceNote(s.title, s.publisher, s.date.isoformat() if s.date else None, s.url)
            for source_id in sorted(ids)
            if (s := known.get(source_id))
        },
        techniques={technique: names[technique] for technique in sorted(techniques) if technique in names},
        data=(
            f"port registry IANA {data_dates()['iana']}",
            f"known exploited vulnerabilities KEV {data_dates()['kev']}",
            f"ATT&CK {data_dates()['attack']}",
        ),
    )
    return replace(result, background=background)


def note_of(grant: Grant) -> GrantNote:
    """A grant as it is printed."""
    return GrantNote(
        id=grant.id,
        by=grant.by,
        targets=tuple(target.text for target in grant.targets),
        level=grant.level,
        valid_from=grant.valid_from,
        until=grant.until,
        exclusions=tuple(target.text for target in grant.exclusions),
        reason=grant.reason,
        contact=grant.contact,
    )


def refutations(result: RunResult) -> dict[str, str]:
    """What would make each finding go away, by the name of its check."""
    said = {check.id: check.refuted for check in CHECKS}
    general = {name.partition("}")[2]: text for name, text in said.items() if name.startswith("{service}")}
    found: dict[str, str] = {}
    for finding in result.findings:
        ending = next((text for end, text in general.items() if finding.check.endswith(end)), None)
        if text := said.get(finding.check) or ending:
            found[finding.check] = text
    return found
