"""What pages ask of runs and findings: a part at a time, counted by the database; on both engines."""

from __future__ import annotations

from dataclasses import replace

from reconshield.model import Confidence, Endpoint, Finding, Service, Severity, State
from reconshield.store.db import Store
from reconshield.store.observations import save_block
from reconshield.store.runs import count_states, finish_run, get_run, page_of_runs
from reconshield.store.services import (
    count_findings_of,
    finding_kinds,
    findings_of_check,
    hosts_with_findings,
    ports_seen_open,
    save_service,
)
from store.examples import NOW, answers, begin_run

HOSTS = ("10.77.0.2", "10.77.0.3", "2001:db8::5")


def finding(check: str, severity: Severity, place: Endpoint) -> Finding:
    return Finding(check, f"{check}-{place}", place, severity, Confidence.CONFIRMED, check.title(), {"seen": "x"}, "mend it")


def test_runs_come_in_pages_whatever_began_in_one_second(store: Store) -> None:
    runs = [begin_run(store, NOW + number // 3) for number in range(8)]
    for run in runs[::2]:
        finish_run(store, run.id, "partial", None, NOW)
    newest = [run.id for run in reversed(runs)]
    found, last = [], None
    while page := page_of_runs(store, 3, before=last):
        found += [run.id for run in page]
        last = page[-1]
    assert found == newest
    assert [run.id for run in page_of_runs(store, 9, states=("partial",))] == [run.id for run in reversed(runs[::2])]
    assert count_states(store) == {"partial": 4, "running": 4}
    foreign = replace(store, workspace="other")
    assert page_of_runs(foreign, 9) == []
    assert get_run(foreign, newest[0]) is None
    assert get_run(store, newest[0][:-1]) is None
    known = get_run(store, newest[0])
    assert known is not None
    assert known.id == newest[0]


def test_findings_are_counted_by_check_the_worst_first(store: Store) -> None:
    run = begin_run(store)
    cells = [(host, port, State.OPEN) for host in HOSTS for port in (22, 6379)]
    save_block(store, run.id, 0, answers(*cells, (HOSTS[0], 9100, State.CLOSED)))
    for host in HOSTS:
        place = Endpoint(host, 6379)
        found = [finding("redis-no-auth", Severity.CRITICAL, place), finding("redis-version", Severity.INFO, place)]
        save_service(store, run.id, Service(place, "redis", Confidence.CONFIRMED, NOW), found)
    ssh = Endpoint(HOSTS[0], 22)
    save_service(store, run.id, Service(ssh, "ssh", Confidence.CONFIRMED, NOW), [finding("ssh-version", Severity.INFO, ssh)])
    kinds = [(kind.sample.check, kind.number, kind.hosts) for kind in finding_kinds(store, run.id)]
    assert kinds == [("redis-no-auth", 3, 3), ("redis-version", 3, 3), ("ssh-version", 1, 1)]
    assert [f.endpoint.ip for f in findings_of_check(store, run.id, "redis-no-auth", 1, 5)] == list(HOSTS[1:])
    assert count_findings_of(store, run.id) == 7
    assert hosts_with_findings(store, run.id, Severity.INFO) == 3
    assert hosts_with_findings(store, run.id, Severity.CRITICAL) == 3
    assert ports_seen_open(store, run.id) == [(22, "tcp", 3), (6379, "tcp", 3)]
    foreign = replace(store, workspace="other")
    assert finding_kinds(foreign, run.id) == []
    assert ports_seen_open(foreign, run.id) == []
