"""A run that is read piece by piece says the same, to the letter, as one that is read whole, and no risk is another one."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.standing import a_few_runs, policy_of
from reconshield.jobs.context import load_context, open_context
from reconshield.jobs.judge import Judge
from reconshield.jobs.results import load_result
from reconshield.jobs.run_export import STREAMED, export_run
from reconshield.jobs.run_stream import Beside
from reconshield.model import Endpoint, Turn
from reconshield.policy import Policy
from reconshield.report.formats import find_format, render_result
from reconshield.report.result import NOT_BELIEVED
from reconshield.store import services as kept
from reconshield.store.db import Store, open_store
from reconshield.store.runs import find_run


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    with open_store(url) as opened:
        a_few_runs(opened, policy_of(tmp_path))
        yield opened


@pytest.fixture(params=["policy", "none"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> Policy | None:
    return policy_of(tmp_path) if request.param == "policy" else None


def doubt_some(store: Store, run: str) -> None:
    """Some services are not believed; of these nothing is told but that something was open."""
    findings = {finding.endpoint: finding for finding in kept.findings(store, run)}
    for service in kept.services(store, run)[::7]:
        doubted = replace(service, note=f"{NOT_BELIEVED}: too much is open here")
        kept.save_service(store, run, doubted, [findings[service.endpoint]] if service.endpoint in findings else [])


@pytest.mark.parametrize("name", STREAMED)
def test_pieces_say_what_the_whole_says(store: Store, policy: Policy | None, name: str) -> None:
    run = find_run(store, "latest").id
    doubt_some(store, run)
    whole = render_result(load_result(store, run, policy=policy), name, with_evidence=False)
    pieces = list(export_run(store, run, find_format(name), policy=policy))
    assert pieces == list(whole)
    assert len(pieces) > 100


def test_what_is_alike_is_rated_as_each_alone_would_be(store: Store, policy: Policy | None) -> None:
    run = find_run(store, "latest")
    context, judge = load_context(store, run, policy), Judge(run.vantage, run.finished or run.started)
    result = load_result(store, run.id, policy=policy)
    for rated in result.services:
        assert rated == judge.rate(rated.service, context.points(rated.endpoint))
        assert result.standing[rated.endpoint] == context.standing(rated.endpoint)
    assert len({rated.risk.score for rated in result.services}) > 5


def test_no_dialogue_is_kept_for_those_that_come_after(store: Store) -> None:
    run = find_run(store, "latest")
    context = load_context(store, run, None)
    for service in kept.services(store, run.id):
        spoken = replace(service, evidence=(Turn("null", b"", b"much" * 1000),))
        assert context.rate(spoken).service == spoken
    assert context.alike.known
    assert not any(first.service.evidence for first in context.alike.known.values())


def test_for_risks_alone_less_is_known_and_they_are_the_same(store: Store, policy: Policy | None) -> None:
    run = find_run(store, "latest")
    less, more = open_context(store, run, policy, new_only=True), open_context(store, run, policy)
    for service in kept.services(store, run.id):
        assert list(less.points(service.endpoint)) == list(more.points(service.endpoint))
    assert len(less.exposures) <= len(more.exposures)


def test_what_belongs_to_an_endpoint_comes_beside_it() -> None:
    first, second, third = (Endpoint(ip, 22) for ip in ("10.0.0.9", "10.0.0.10", "2001:db8::1"))
    beside = Beside([(first, "a"), (first, "b"), (third, "c")])
    assert [beside.at(place) for place in (first, first, second, third)] == [["a", "b"], ["a", "b"], [], ["c"]]
    assert beside.at(Endpoint("2001:db8::2", 1)) == []
