"""Lists of what is open: the same as the exposures tell one by one, in any order, in pages."""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines import new_store
from jobs.standing import HOUR, NOW, a_few_runs, cells, grant, policy_of, scan, some_service
from reconshield.checks.software import STATED_IN
from reconshield.errors import UserError
from reconshield.jobs.exposures import load_exposures
from reconshield.jobs.judge import Judge
from reconshield.jobs.listing import SORTS, Filters, Page, list_open
from reconshield.jobs.mass_rating import HEADERS, PLAIN, facts_that_count
from reconshield.jobs.open_table import ROW, OpenTable, Tables
from reconshield.jobs.results import load_result
from reconshield.model import Endpoint
from reconshield.policy import Policy
from reconshield.store.db import Store
from reconshield.store.observations import save_block
from reconshield.store.runs import create_run, finish_run
from reconshield.store.services import save_service


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(str(tmp_path / "x.db")) as opened:
        yield opened


@pytest.fixture
def either_store(url: str) -> Iterator[Store]:
    with new_store(url) as opened:
        yield opened


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    return policy_of(tmp_path)


def everything(store: Store, policy: Policy | None, run: str | None = None, **more: Any) -> list[Any]:
    """All pages of a list, one after the other."""
    rows: list[Any] = []
    page = list_open(store, run, policy=policy, now=NOW, limit=37, **more)
    while True:
        assert page.before == len(rows)
        rows += page.rows
        if page.next_cursor is None:
            assert len(rows) == page.total
            return rows
        page = list_open(store, run, policy=policy, now=NOW, limit=37, cursor=page.next_cursor, **more)


@pytest.mark.parametrize("with_policy", [True, False])
def test_a_list_says_what_the_exposures_say_one_by_one(either_store: Store, policy: Policy, with_policy: bool) -> None:
    used = policy if with_policy else None
    a_few_runs(either_store)
    scan(either_store, 1, cells(random.Random(9), 0.05), vantage="wan", seed=9)
    told = {(row.endpoint, row.vantage): row for row in everything(either_store, used)}
    exposures = load_exposures(either_store, used, NOW)
    assert len(exposures) == len(told) > 150
    assert len({e.risk.score for e in exposures if e.risk}) > 10
    for each in exposures:
        row = told[each.endpoint, each.vantage]
        assert (row.score, row.rating) == ((each.risk.score, each.risk.rating) if each.risk else (None, None))
        assert (row.verdict, row.zone, row.assets, row.owner) == (each.verdict, each.zone, each.assets, each.owner)
        assert (row.opened, row.shut_before, row.seen) == (each.opened, each.shut_before, each.seen)
        assert (row.service, row.product) == ((each.service.service, each.service.product) if each.service else (None, None))


def test_the_list_of_a_run_says_what_its_report_says(either_store: Store, policy: Policy) -> None:
    a_few_runs(either_store)
    result = load_result(either_store, "latest", policy=policy)
    rows = {row.endpoint: row for row in everything(either_store, policy, "latest")}
    assert set(rows) == {seen.endpoint for seen in result.observations}
    for rated in result.services:
        row, standing = rows[rated.endpoint], result.standing[rated.endpoint]
        assert (row.score, row.rating) == (rated.risk.score, rated.risk.rating)
        assert (row.verdict, row.opened, row.zone, row.name) == (
            standing.verdict,
            standing.since,
            standing.zone,
            rated.service.name,
        )
        assert row.findings == sum(finding.endpoint == rated.endpoint for finding in result.findings)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_of_every_order_are_the_whole_list_once(store: Store, policy: Policy, sort: Any, descending: bool) -> None:
    a_few_runs(store)
    rows = everything(store, policy, sort=sort, descending=descending)
    assert len({row.endpoint for row in rows}) == len(rows) > 100
    keys = [row.score if sort == "risk" else row.endpoint.port if sort == "port" else getattr(row, sort) for row in rows]
    known = [key for key in keys if key is not None]
    assert keys[: len(known)] == known
    if sort == "verdict":
        order = ["forbidden", "unexpected", "expired", "not-measured", "missing", "accepted", "expected"]
        known = [-order.index(key) for key in known]
    if sort != "endpoint":
        assert known == sorted(known, reverse=descending)
    else:
        assert [row.endpoint.ip for row in rows][:: -1 if descending else 1][0] == "10.77.0.0"


def test_filters_leave_what_fits_and_facets_count_what_would(store: Store, policy: Policy) -> None:
    a_few_runs(store)
    rows = everything(store, policy)
    chosen = Filters(rating=["high", "critical"], zone=["cell-3"], text="10.77.0.1")
    page: Page = list_open(store, None, policy=policy, now=NOW, filters=chosen, limit=500)
    wanted = [
        row
        for row in rows
        if row.rating in {"high", "critical"} and row.zone == "cell-3" and row.endpoint.ip.startswith("10.77.0.1")
    ]
    assert list(page.rows) == wanted
    assert (page.total, page.unfiltered) == (len(wanted), len(rows))
    zones = dict(page.facets["zone"])
    assert zones["cell-3"] == len(wanted)
    assert zones["office"] == sum(
        row.rating in {"high", "critical"} and row.zone == "office" and "10.77.0.1" in row.endpoint.ip for row in rows
    )
    silent = list_open(store, None, policy=policy, now=NOW, filters=Filters(service=["none"]), limit=500).rows
    assert {row.endpoint for row in silent} == {row.endpoint for row in rows if row.service is None}
    for nothing in (Filters(service=["gopher-9"]), Filters(text="no such thing"), Filters(rating=["odd"]), Filters(port=[9])):
        assert list_open(store, None, policy=policy, now=NOW, filters=nothing).total == 0
    assert list_open(store, None, policy=policy, now=NOW, filters=Filters(port=[1003], transport=["tcp"])).total > 0


def test_a_table_is_made_anew_when_something_changed_and_only_then(
    store: Store, policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import reconshield.jobs.open_build as build

    made: list[str] = []
    plain = build.build_current

    def counting(*arguments: Any) -> Any:
        made.append("")
        return plain(*arguments)

    monkeypatch.setattr(build, "build_current", counting)

    def total(used: Policy | None = policy, now: float = NOW) -> int:
        return list_open(store, None, policy=used, now=now).total

    scan(store, 3, {("10.77.0.2", 1003)})
    assert (total(), total(), len(made)) == (1, 1, 1)
    scan(store, 2, {("10.77.0.2", 1003), ("10.77.0.3", 1003)}, seed=1)
    assert (total(), total(), len(made)) == (2, 2, 2)
    begun = create_run(store, plan={"v": 1}, engine="connect", vantage="dmz-1", grants=[], level=3, now=NOW - HOUR)
    assert (total(), len(made)) == (2, 3)
    finish_run(store, begun.id, "failed", None, NOW - 60)
    assert (total(), total(), len(made)) == (2, 2, 4)
    same = policy_of(tmp_path)
    assert same is not policy
    assert (total(same), len(made)) == (2, 4)
    other = replace(policy, closed=())
    assert (total(other), len(made)) == (2, 5)
    assert (total(other, NOW + 599), len(made)) == (2, 5)
    assert (total(other, NOW + 601), len(made)) == (2, 6)


def test_time_alone_changes_a_table_at_the_moment_it_matters(store: Store, policy: Policy) -> None:
    scan(store, 8 * 24, set())
    scan(store, 7 * 24 - 0.05, {("10.77.0.40", 1008)}, seed=4)
    (before,) = list_open(store, None, policy=policy, now=NOW).rows
    (after,) = list_open(store, None, policy=policy, now=NOW + 200).rows
    assert (before.score or 0) - (after.score or 0) == 10
    ends = next(entry.ends for entry in policy.expects if entry.expires.month == 11)
    scan(store, 1, {("10.77.0.40", 1001)}, seed=4)
    verdicts = [list_open(store, None, policy=policy, now=at).rows[0].verdict for at in (ends - 1, ends + 1)]
    assert verdicts == ["expected", "expired"]


def test_a_run_that_goes_on_lists_what_it_has_found_so_far(store: Store, policy: Policy) -> None:
    from reconshield.addresses import PortSet, parse_target
    from reconshield.model import State
    from reconshield.scan.plan import Plan
    from store.examples import answers

    plan = Plan(parse_target("10.77.0.0/28").addresses, PortSet(tcp=((1000, 1001),)), 7, 16)  # type: ignore[arg-type]
    run = create_run(
        store, plan=plan.to_json(), engine="connect", vantage="dmz-1", grants=[], level=3, now=NOW - 60, options={}
    )
    assert list_open(store, run.id, policy=policy, now=NOW).total == 0
    save_block(store, run.id, 0, answers(("10.77.0.3", 1000, State.OPEN), at=NOW - 50))
    (row,) = list_open(store, run.id, policy=policy, now=NOW + 30).rows
    assert (row.service, row.score) == (None, None)
    save_service(store, run.id, some_service(Endpoint("10.77.0.3", 1000), NOW - 40, random.Random(1)), [])
    (row,) = list_open(store, run.id, policy=policy, now=NOW + 60).rows
    assert row.score is not None
    assert list_open(store, None, policy=policy, now=NOW).total == 0


def test_workspaces_do_not_see_each_other(store: Store, policy: Policy) -> None:
    scan(store, 3, {("10.77.0.2", 1003)})
    assert list_open(replace(store, workspace="other"), None, policy=policy, now=NOW).total == 0
    assert list_open(store, None, policy=policy, now=NOW).total == 1


def test_a_bad_cursor_and_a_bad_sort_are_mistakes(store: Store, policy: Policy) -> None:
    grant(store)
    scan(store, 3, {("10.77.0.2", 1003)})
    for bad in ("x", "e30", "W10", "WzEsMiwzLDQsNSw2XQ!", "WzEsMiwzLDQsIngiLC0xXQ"):
        with pytest.raises(UserError):
            list_open(store, None, policy=policy, now=NOW, cursor=bad)
    with pytest.raises(UserError, match="cannot be sorted"):
        list_open(store, None, policy=policy, now=NOW, sort="ip")  # type: ignore[arg-type]


def test_a_cursor_goes_on_where_its_row_was(store: Store, policy: Policy) -> None:
    a_few_runs(store)
    first = list_open(store, None, policy=policy, now=NOW, sort="endpoint", descending=False, limit=10)
    gone = first.rows[-1].endpoint
    still = {(row.endpoint.ip, row.endpoint.port) for row in everything(store, policy)} - {(gone.ip, gone.port)}
    scan(store, 1, still, seed=8)
    after = list_open(
        store, None, policy=policy, now=NOW, sort="endpoint", descending=False, limit=10, cursor=first.next_cursor
    )
    assert after.before == 10
    assert after.rows[0].endpoint > gone


class Watched(Mapping[str, Any]):
    """Facts that remember what was asked of them."""

    def __init__(self, facts: Mapping[str, Any], asked: set[str]) -> None:
        self.facts, self.asked = facts, asked

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return self.facts[key]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("a rating looks at single facts")

    def __len__(self) -> int:
        return len(self.facts)


def test_a_rating_looks_at_nothing_but_the_facts_that_count() -> None:
    chance, asked = random.Random(5), set[str]()
    for _ in range(2000):
        service = some_service(Endpoint("10.77.0.2", 1000), NOW, chance)
        Judge("", NOW).rate(replace(service, facts=Watched(service.facts, asked)))
    assert "auth" in asked
    assert asked <= {*PLAIN, *STATED_IN, "headers"}
    assert facts_that_count({"headers": {"x-odd": "OpenSSL/1.0.1e", "server": "nginx"}, "tls": {"a": 1}}) == "{}"
    assert set(HEADERS) == {"server", "x-powered-by"}


def test_what_many_ask_for_at_once_is_made_once() -> None:
    made: list[int] = []
    table = OpenTable(np.zeros(0, ROW), NOW, NOW + 10, False)

    def make() -> OpenTable:
        made.append(1)
        time.sleep(0.1)
        return table

    tables, found = Tables(), list[OpenTable]()
    threads = [threading.Thread(target=lambda: found.append(tables.get("k", 1, None, NOW, make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), found) == (1, [table] * 8)
    assert tables.get("k", 2, None, NOW + 1, make, moves=True) is table
    assert len(made) == 1
    tables.get("k", 2, None, NOW + 5, make, moves=True)
    tables.get("k", 3, None, NOW + 5, make)
    tables.get("other", 3, None, NOW + 5, make)
    assert len(made) == 4


def test_a_maker_that_fails_leaves_the_next_one_its_turn() -> None:
    tables = Tables()

    def fail() -> OpenTable:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        tables.get("k", 1, None, NOW, fail)
    assert len(tables.get("k", 1, None, NOW, lambda: OpenTable(np.zeros(0, ROW), NOW, NOW + 10, False))) == 0
