"""Verdicts as SARIF 2.1.0 (OASIS), for code scanning: the place is the line of the policy file that decides.

What fails is a result of kind `fail`; an accepted finding is one with a suppression that says who accepted it and why; what is
as expected is of kind `pass`. A verdict without an entry of its own points at the first line of the policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from reconshield import __version__
from reconshield.policy.records import Acceptance, Closure
from reconshield.policy.verdict import KINDS, Kind
from reconshield.report.checked import Checked, RatedVerdict, spoken, verdict_id
from reconshield.text import iso_time, printable

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RULES: dict[Kind, str] = {
    "forbidden": "Open against an assertion that it must be closed",
    "unexpected": "Open, and nobody expects it",
    "expired": "Expected or accepted until a day that is over",
    "not-measured": "Asserted or expected, and not measured",
    "missing": "Expected, and not open",
    "accepted": "A known finding that somebody has accepted",
    "expected": "Open as expected",
}
LEVELS = {"info": "note", "low": "note", "medium": "warning", "high": "error", "critical": "error"}


def sarif_text(checked: Checked) -> Iterator[str]:
    """The document in pieces: the results one by one, for there may be many."""
    head = checked.head
    driver = {
        "name": "ReconShield",
        "semanticVersion": __version__,
        "rules": [{"id": f"policy/{kind}", "shortDescription": {"text": RULES[kind]}} for kind in KINDS],
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"reconshield/check/{quote(head.vantage)}/{head.id}"},
        "invocations": [{"executionSuccessful": True, "startTimeUtc": iso_time(head.started)}],
        "results": [],
    }
    document = json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False)
    begin, end = document.rsplit("[]", 1)
    yield begin + "["
    for number, rated in enumerate(checked.verdicts()):
        yield (",\n" if number else "\n") + json.dumps(result_of(checked, rated), ensure_ascii=False)
    yield "\n]" + end + "\n"


def result_of(checked: Checked, rated: RatedVerdict) -> dict[str, Any]:
    verdict = rated.verdict
    fails = checked.fails(verdict.kind) or verdict.kind in {"missing", "accepted"}
    said = " ".join(part for part in (verdict.place, spoken(verdict)) if part)
    result: dict[str, Any] = {
        "ruleId": f"policy/{verdict.kind}",
        "ruleIndex": KINDS.index(verdict.kind),
        "kind": "fail" if fails else "pass",
        "level": level_of(checked, rated) if fails else "none",
        "message": {"text": printable(f"{said}: {verdict.kind}, {verdict.because}", 1000)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri_of(checked.file)},
                    "region": {"startLine": verdict.line or 1},
                },
                "logicalLocations": [{"fullyQualifiedName": printable(said, 200), "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"place/v1": verdict_id(checked.head, verdict)},
        "properties": {"zone": verdict.zone, "run": checked.head.id, "endpoints": verdict.count},
    }
    if rated.risk:
        result["rank"] = float(rated.risk.score)
    if verdict.kind == "accepted" and isinstance(verdict.entry, Acceptance):
        justification = f"{verdict.entry.reason}; owner {verdict.entry.owner}, until {verdict.entry.expires}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": printable(justification, 1000)}]
    return result


def level_of(checked: Checked, rated: RatedVerdict) -> str:
    """How loud: as severe as the assertion says, an error for what else fails, a note for the rest."""
    if isinstance(rated.verdict.entry, Closure) and rated.verdict.kind == "forbidden":
        return LEVELS[rated.verdict.entry.severity]
    return "error" if checked.fails(rated.verdict.kind) else "note"


def uri_of(file: str) -> str:
    """The policy file as SARIF wants it: relative as it was given, or a file URI."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
