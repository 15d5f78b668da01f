"""What the dashboard shows, over runs in a real database."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engines import new_store
from jobs.standing import DAY, HOUR, NOW, a_few_runs, cells, grant, policy_of, scan
from reconshield.jobs.changes import load_changes
from reconshield.jobs.dashboard import DAYS, HOSTS, Dashboard, dashboard
from reconshield.jobs.exposures import load_exposures
from reconshield.jobs.grants import add_grant
from reconshield.policy import Policy
from reconshield.policy.verdict import FAILING
from reconshield.report.changes import ORDER
from reconshield.store.alerts import save_alerts
from reconshield.store.db import Store


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


def look(store: Store, policy: Policy | None, since: float = NOW - 5 * DAY, now: float = NOW) -> Dashboard:
    return dashboard(store, policy, since, now)


def test_nothing_measured_is_said_so(store: Store, policy: Policy) -> None:
    empty = look(store, None)
    assert (empty.never_measured, empty.open, empty.zones, empty.news, empty.heat.hosts) == (True, 0, (), (), ())
    assert [day.measured for day in empty.trend] == [False] * DAYS
    grant(store)
    named = look(store, policy)
    assert [(zone.name, zone.addresses, zone.not_measured, zone.last_scan) for zone in named.zones] == [
        ("cell-3", 8, 8, None),
        ("office", 56, 56, None),
    ]


def test_its_numbers_are_those_of_the_exposures(either_store: Store, policy: Policy) -> None:
    grant(either_store)
    a_few_runs(either_store, policy)
    seen, exposures = look(either_store, policy), load_exposures(either_store, policy, NOW)
    ratings = Counter(exposure.risk.rating if exposure.risk else "" for exposure in exposures)
    assert seen.open == len(exposures) > 100
    assert {word: number for word, number in seen.by_rating.items() if number} == {w: n for w, n in ratings.items() if w}
    assert seen.unrated == ratings[""]
    assert seen.failing == sum(exposure.verdict in FAILING for exposure in exposures)
    assert seen.failing_new == sum(e.verdict in FAILING and e.opened >= NOW - 5 * DAY for e in exposures) > 0
    zones = {zone.name: zone for zone in seen.zones}
    assert set(zones) == {"office", "cell-3"}
    for name, zone in zones.items():
        here = [exposure for exposure in exposures if exposure.zone == name]
        assert (zone.open, zone.failing) == (len(here), sum(exposure.verdict in FAILING for exposure in here))
        assert zone.by_rating["high"] == sum(exposure.risk is not None and exposure.risk.rating == "high" for exposure in here)
        assert (zone.not_measured, zone.last_scan) == (0, NOW - 2 * HOUR + 60)
    assert (zones["cell-3"].addresses, zones["cell-3"].secure, zones["office"].fresh_from) == (8, True, "nightly")


def test_changes_are_the_worst_first_and_know_what_the_policy_says(either_store: Store, policy: Policy) -> None:
    a_few_runs(either_store, policy)
    seen = look(either_store, policy)
    changes = [change for _, change in load_changes(either_store, since=NOW - 5 * DAY)]
    assert seen.counts == Counter(change.kind for change in changes)
    keys = [(ORDER.index(news.change.kind), -(news.change.risk.score if news.change.risk else 0)) for news in seen.news]
    assert keys == sorted((ORDER.index(c.kind), -(c.risk.score if c.risk else 0)) for c in changes)[: len(keys)]
    exposures = {exposure.endpoint: exposure for exposure in load_exposures(either_store, policy, NOW)}
    for news in seen.news:
        standing = exposures.get(news.change.endpoint)
        assert news.verdict == (standing.verdict if standing else None)
        assert news.vantage == "dmz-1"
    assert look(either_store, policy, since=NOW).news == ()


def test_a_zone_tells_what_nobody_measured_and_how_old_the_rest_is(store: Store, policy: Policy) -> None:
    grant(store)
    add_grant(store, ["192.0.2.0/30"], by="Ada", now=NOW - DAY, until=NOW + DAY, actor="ada")
    scan(store, 9 * 24, set(), targets="10.77.0.0/27")
    zones = {zone.name: zone for zone in look(store, policy).zones}
    assert (zones["office"].addresses, zones["office"].not_measured) == (56, 32)
    assert zones["office"].stale(NOW)
    assert not zones["office"].stale(NOW - 8 * DAY)
    assert (zones["office"].fresh, zones["office"].fresh_from) == (2 * DAY, "nightly")
    assert (zones["wan"].addresses, zones["wan"].not_measured, zones["wan"].fresh, zones["wan"].fresh_from) == (
        4,
        4,
        DAY,
        None,
    )
    assert not zones["wan"].stale(NOW)


def test_what_ends_soon_is_listed_the_first_first(store: Store, policy: Policy) -> None:
    scan(store, 9 * 24, set())
    scan(store, 1, cells(random.Random(1), 0.2))
    seen = look(store, policy)
    assert [(ending.kind, ending.owner) for ending in seen.endings] == [("expect", "ops"), ("accept", "ops")]
    assert [datetime.fromtimestamp(ending.ends - 1, UTC).date().isoformat() for ending in seen.endings][1] == "2026-12-05"
    end = datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert seen.certificates_in_all >= len(seen.certificates) > 5
    assert {certificate.ends for certificate in seen.certificates} == {end}
    assert look(store, policy, now=end - 31 * DAY).certificates == ()


def test_the_heat_map_has_the_worst_hosts_and_their_worst_services(store: Store, policy: Policy) -> None:
    a_few_runs(store, policy)
    heat, exposures = look(store, policy).heat, load_exposures(store, policy, NOW)
    worst: dict[tuple[str, str], int] = {}
    for exposure in exposures:
        if exposure.risk and exposure.service:
            key = exposure.endpoint.ip, exposure.service.service
            worst[key] = max(worst.get(key, 0), exposure.risk.score)
    hosts = {ip: max(score for (at, _), score in worst.items() if at == ip) for ip, _ in worst}
    shown = [ip for ip, _ in heat.hosts]
    assert len(shown) == HOSTS
    assert heat.more == len(hosts) - HOSTS
    assert [hosts[ip] for ip in shown] == sorted(hosts.values(), reverse=True)[:HOSTS]
    for ip, line in zip(shown, heat.cells, strict=True):
        assert list(line) == [worst.get((ip, service)) for service in heat.services]


def test_the_trend_counts_what_was_open_and_leaves_gaps(store: Store) -> None:
    def hosts(number: int) -> set[tuple[str, int]]:
        return {(f"10.77.0.{host}", 1000) for host in range(number)}

    for day, number in ((40, 2), (20, 5), (19, 5), (3, 3), (0.5, 4)):
        scan(store, day * 24 - 1, hosts(number), seed=int(day))
    trend = {round((NOW - day.end) / DAY): day for day in look(store, None).trend}
    assert [trend[back].open for back in (29, 20, 19, 10, 3, 2, 1, 0)] == [2, 2, 5, 5, 5, 3, 3, 4]
    assert [back for back, day in trend.items() if day.measured] == [19, 18, 2, 0]


def test_alerts_that_stand_are_counted_at_once(store: Store, policy: Policy) -> None:
    scan(store, 1, set())
    assert look(store, policy).alerts == {}
    row = {
        "number": 1,
        "fingerprint": "f",
        "kind": "opened",
        "severity": "high",
        "event": {},
        "opened_at": NOW,
        "changed_at": NOW,
        "revision": 1,
        "escalated": [],
    }
    save_alerts(store, [row], [])
    assert look(store, policy).alerts == {"high": 1}


def test_what_is_kept_is_made_anew_when_it_no_longer_holds(store: Store, policy: Policy) -> None:
    grant(store)
    scan(store, 5, {("10.77.0.2", 1008)}, seed=1)
    first = look(store, policy)
    assert look(store, policy).zones is first.zones
    scan(store, 4, {("10.77.0.2", 1008), ("10.77.0.3", 1008)}, seed=1)
    second = look(store, policy)
    assert (first.open, second.open) == (1, 2)
    assert [zone.open for zone in second.zones if zone.name == "office"] == [2]
    assert second.trend[-1].open == 2
    renamed = replace(policy, zones=(replace(policy.zones[0], name="rooms"), policy.zones[1]))
    assert {zone.name for zone in look(store, renamed).zones} == {"rooms", "cell-3"}
    add_grant(store, ["192.0.2.0/30"], by="Ada", now=NOW - DAY, until=NOW + DAY, actor="ada")
    assert {zone.name for zone in look(store, policy).zones} == {"office", "cell-3", "wan"}
    assert {zone.name for zone in look(store, policy, now=NOW + 2 * DAY).zones} == {"office", "cell-3"}
