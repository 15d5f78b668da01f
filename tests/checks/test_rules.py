"""Every check by a table: the facts of one service, and the findings they must and must not give."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import reconshield
from checks.cases import NOW, TABLE, Row, service
from dialogues import Recording, recordings
from reconshield.checks.check import Check, Context, finding_id, run_checks
from reconshield.checks.rules import CHECKS
from reconshield.knowledge.catalog import attack_names
from reconshield.model import Endpoint, Service

SOURCES = Path(reconshield.__file__).parent / "knowledge" / "sources.toml"


def found(subject: Service) -> list[str]:
    return [f.check for f in run_checks(CHECKS, subject, "local", Context(now=NOW))]


def name_of(check: Check, subject: Service) -> str:
    return check.id.replace("{service}", subject.service)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_findings(case: Row) -> None:
    assert found(case.subject) == case.expected


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_every_check_has_a_row_that_finds_it_and_one_that_does_not(check: Check) -> None:
    services = {case.subject.service for case in TABLE if name_of(check, case.subject) in case.expected}
    assert services, "no row expects it"
    alike = [case for case in TABLE if case.subject.service in services and name_of(check, case.subject) not in case.expected]
    assert alike, "no row of the same service is without it"


@pytest.mark.parametrize("odd", [None, "odd", 7, [], {}, [None], [[]], ["odd"], {"certificate": 7}, {"versions": []}], ids=repr)
def test_odd_facts_are_no_finding(odd: Any) -> None:
    """Facts of an import or an older run may have any form: checks then say what they say without them, and never fail."""
    quoted = {"modules", "error", "protocol"}
    read = {"os", "package", "version_bind", "ntlm_version", "greeting"}
    keys = ({key for case in TABLE for key in case.subject.facts} | read) - quoted
    for kind in sorted({case.subject.service for case in TABLE}):
        plain = found(service(kind))
        assert found(service(kind, facts=dict.fromkeys(keys, odd))) == plain, kind


def test_ids_are_unique_and_well_formed() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids))
    form = re.compile(r"(?:\{service\}|[a-z][a-z0-9]*)(?:-[a-z0-9]+)+")
    assert not [name for name in ids if not form.fullmatch(name)]


def test_techniques_and_sources_are_known() -> None:
    techniques = attack_names()
    assert not {name for check in CHECKS for name in check.attack if name not in techniques}
    listed = SOURCES.read_text(encoding="utf-8")
    known = re.compile(r"rfc\d+|nist-sp-[\w-]+")  # say themselves where they are
    wanted = {name for check in CHECKS for name in check.references if not known.fullmatch(name)}
    assert not {name for name in wanted if f"[{name}]" not in listed and f'["{name}"]' not in listed}


def test_a_finding_says_what_was_seen_and_what_to_do() -> None:
    for case in TABLE:
        for finding in run_checks(CHECKS, case.subject, "local", Context(now=NOW)):
            assert finding.evidence["seen"]
            assert finding.remedy
            assert finding.title
            assert "{" not in finding.check


def test_finding_id_is_stable() -> None:
    """Other programs keep these ids: the recipe of the design (SHA-256 of five parts) must not change."""
    assert finding_id("local", Endpoint("10.77.0.2", 110), "pop3-cleartext-login") == "dcf9a0b5ac4d07f9"


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: f"{recording.path.parent.name}/{recording.path.stem}")
def test_what_probes_really_learned_can_be_judged_and_stored(recording: Recording) -> None:
    """The facts of every recorded dialogue: no check fails on them, and each finding's evidence is JSON that quotes them."""
    match = recording.match("match")
    if match is None:
        return
    subject = service(
        match.service, product=match.product, version=match.version, facts=match.facts, transport=recording.transport
    )
    for finding in run_checks(CHECKS, subject, "local", Context(now=NOW)):
        assert json.loads(json.dumps(finding.evidence))["seen"]
