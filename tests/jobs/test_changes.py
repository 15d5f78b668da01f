"""What a run finds changed: a story of runs over one network, written to a real database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines import new_store
from reconshield.addresses import AddressSet, PortSet
from reconshield.jobs.changes import find_changes, load_changes, save_changes
from reconshield.jobs.letter import write_letter
from reconshield.model import Confidence, Endpoint, Service, State
from reconshield.policy import Policy
from reconshield.report.changes import RatedChange
from reconshield.report.result import NOT_BELIEVED
from reconshield.scan.plan import Plan
from reconshield.store.db import Store
from reconshield.store.exposures import list_exposures
from reconshield.store.observations import save_block
from reconshield.store.runs import Run, create_run, finish_run
from reconshield.store.services import save_service
from store.examples import NOW, answers

OPEN, CLOSED = State.OPEN, State.CLOSED
HOUR = 3600.0
HOST = "10.77.0.2"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with new_store(str(tmp_path / "x.db")) as opened:
        yield opened


def scan(
    store: Store,
    hour: int,
    cells: dict[int, State],
    *,
    ports: tuple[tuple[int, int], ...] = ((1, 200),),
    vantage: str = "local",
    version: str | None = None,
    note: str | None = None,
    finished: bool = True,
    policy: Policy | None = None,
    unconfirmed: tuple[int, ...] = (),
    shard: tuple[int, int] = (0, 1),
) -> list[str]:
    """A run over one host, ended as `scan` ends it; what it found, in short."""
    at = NOW + hour * HOUR
    plan = Plan(AddressSet.of(HOST), PortSet(tcp=ports), 7, 1000 if shard == (0, 1) else 50)
    options = {"targets": [HOST], "exclude": [], "shard": list(shard), "dropped": []}
    run = create_run(store, plan=plan.to_json(), engine="connect", vantage=vantage, grants=[], level=3, now=at, options=options)
    if finished:
        save_block(store, run.id, 0, answers(*((HOST, port, state) for port, state in cells.items()), at=at))
    for port in (port for port, state in cells.items() if state is OPEN and (version or note)):
        place = Endpoint(HOST, port)
        save_service(store, run.id, Service(place, "pop3", Confidence.CONFIRMED, at, "Dovecot", version, note=note), [])
    return end(store, replace(run, finished=at), policy, tuple(Endpoint(HOST, port) for port in unconfirmed))


def end(store: Store, run: Run, policy: Policy | None = None, unconfirmed: tuple[Endpoint, ...] = ()) -> list[str]:
    found = find_changes(store, run, policy, unconfirmed)
    with store.together() as one:
        save_changes(one, found)
        finish_run(one, run.id, "complete", None, run.finished or 0.0)
    assert [c.endpoint for _, c in load_changes(store, run.id)] == [c.endpoint for c in found.changes]
    return [short(change) for change in found.changes]


def short(change: RatedChange) -> str:
    """`opened 110: 1 -> 2 h`."""
    hours = [f"{(at - NOW) / HOUR:g}" if at is not None else "never" for at in (change.last_seen, change.first_seen)]
    fields = f" ({', '.join(change.fields)})" if change.fields else ""
    return f"{change.kind} {change.endpoint.port}{fields}: {' -> '.join(hours)} h" + (" flapping" if change.flapping else "")


def known(store: Store, *, ended: bool = False) -> list[tuple[Any, ...]]:
    def hour(at: float | None) -> float | None:
        return None if at is None else (at - NOW) / HOUR

    found = list_exposures(store, ended=ended)
    return [(e.endpoint.port, hour(e.shut_before), hour(e.opened), hour(e.open_until), hour(e.closed)) for e in found]


def test_the_first_run_is_the_beginning(store: Store) -> None:
    assert scan(store, 0, {22: OPEN, 110: CLOSED}) == []
    assert known(store) == [(22, None, 0, None, None)]


def test_a_port_opens_and_closes_again(store: Store) -> None:
    scan(store, 0, {22: OPEN, 110: CLOSED})
    assert scan(store, 1, {22: OPEN, 110: OPEN}) == ["opened 110: 0 -> 1 h"]
    assert scan(store, 2, {22: OPEN, 110: OPEN}) == []
    assert known(store) == [(22, None, 0, None, None), (110, 0, 1, None, None)]
    assert scan(store, 3, {22: OPEN}) == ["closed 110: 2 -> 3 h"]  # silent now, and covered
    assert known(store, ended=True) == [(22, None, 0, None, None), (110, 0, 1, 2, 3)]


def test_a_small_scan_says_nothing_of_other_ports(store: Store) -> None:
    scan(store, 0, {22: OPEN, 110: CLOSED})
    assert scan(store, 1, {110: CLOSED}, ports=((110, 110),)) == []
    assert scan(store, 2, {22: OPEN, 110: OPEN}) == ["opened 110: 1 -> 2 h"]  # the small one was the last to see it closed
    assert scan(store, 3, {8080: OPEN}, ports=((8080, 8080),)) == ["newly-measured 8080: never -> 3 h"]
    assert scan(store, 4, {22: OPEN, 110: OPEN}) == []


def test_what_was_planned_and_not_measured_is_lost(store: Store) -> None:
    scan(store, 0, {22: OPEN})
    assert scan(store, 1, {}, finished=False) == ["coverage-lost 22: 0 -> never h"]
    assert known(store) == [(22, None, 0, None, None)]  # nobody saw it closed
    assert scan(store, 2, {22: CLOSED}) == ["closed 22: 0 -> 2 h"]


def test_the_share_of_one_machine_says_nothing_of_the_others(store: Store) -> None:
    scan(store, 0, dict.fromkeys(range(1, 201), OPEN))
    lost = scan(store, 1, {}, finished=False, shard=(0, 4))
    assert len(lost) == 50
    assert all(change.startswith("coverage-lost") for change in lost)


def test_the_letter_forgets_what_was_not_measured_once_it_is(store: Store) -> None:
    scan(store, 0, {22: OPEN})
    scan(store, 1, {}, finished=False)
    kinds = [[item.change.kind for item in write_letter(store, None, NOW, NOW + 9 * HOUR).items]]
    scan(store, 2, {22: OPEN})
    kinds.append([item.change.kind for item in write_letter(store, None, NOW, NOW + 9 * HOUR).items])
    assert kinds == [["coverage-lost"], []]


def test_another_vantage_has_a_history_of_its_own(store: Store) -> None:
    scan(store, 0, {22: CLOSED}, vantage="office")
    assert scan(store, 1, {22: OPEN}, vantage="internet") == []
    assert scan(store, 2, {22: OPEN}, vantage="office") == ["opened 22: 0 -> 2 h"]


def test_a_run_from_before_changes_nothing(store: Store) -> None:
    scan(store, 5, {22: OPEN})
    assert scan(store, 1, {22: CLOSED, 23: OPEN}) == []
    assert known(store) == [(22, None, 5, None, None)]


def test_a_database_from_before_this_table_goes_on_without_a_jolt(store: Store) -> None:
    scan(store, 0, {22: OPEN, 23: CLOSED})
    with store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM exposures")
    assert scan(store, 1, {22: OPEN, 23: OPEN}) == ["opened 23: 0 -> 1 h"]


def test_another_version_is_told_with_both(store: Store) -> None:
    scan(store, 0, {110: OPEN}, version="2.3")
    assert scan(store, 1, {110: OPEN}) == []  # nobody asked
    assert scan(store, 2, {110: OPEN}, version="2.4") == ["version-changed 110 (version): 0 -> 2 h"]
    ((_, change),) = load_changes(store)
    assert change.service_before is not None
    assert change.service_after is not None
    assert (change.service_before.version, change.service_after.version) == ("2.3", "2.4")
    assert change.service_after.product == "Dovecot"


def test_what_opens_and_closes_all_the_time_is_marked(store: Store) -> None:
    told = [scan(store, hour, {110: OPEN if hour % 2 else CLOSED}) for hour in range(6)]
    assert told == [
        [],
        ["opened 110: 0 -> 1 h"],
        ["closed 110: 1 -> 2 h"],
        ["opened 110: 2 -> 3 h"],
        ["closed 110: 3 -> 4 h flapping"],
        ["opened 110: 4 -> 5 h flapping"],
    ]
    for hour in range(6, 12):
        assert scan(store, hour, {110: OPEN}) == []
    assert scan(store, 12, {110: CLOSED}) == ["closed 110: 11 -> 12 h"]  # it had settled


def test_silence_that_answered_when_it_was_asked_again_is_no_change(store: Store) -> None:
    scan(store, 0, {22: OPEN})
    assert scan(store, 1, {}, unconfirmed=(22,)) == []
    assert scan(store, 2, {22: OPEN}) == []
    assert known(store) == [(22, None, 0, None, None)]


def test_what_is_not_believed_neither_opens_nor_closes(store: Store) -> None:
    scan(store, 0, {22: OPEN, 23: CLOSED})
    assert scan(store, 1, {22: OPEN, 23: OPEN}, note=f"{NOT_BELIEVED}: it closed at once") == []
    assert known(store) == [(22, None, 0, None, None)]
    assert scan(store, 2, {22: CLOSED, 23: OPEN}) == ["closed 22: 0 -> 2 h", "opened 23: 0 -> 2 h"]


def test_a_newly_opened_endpoint_is_worth_more(store: Store) -> None:
    scan(store, 0, {110: CLOSED})
    scan(store, 1, {110: OPEN}, version="2.3")
    ((_, change),) = load_changes(store)
    assert change.risk is not None
    assert change.risk.factors[-1].name == "newly-opened"
    assert change.risk.score == 54


def test_many_changes_at_once(store: Store) -> None:
    scan(store, 0, dict.fromkeys(range(1, 201), CLOSED))
    assert len(scan(store, 1, dict.fromkeys(range(1, 201), OPEN))) == 200
    assert len(known(store)) == 200
    assert len(scan(store, 2, dict.fromkeys(range(1, 201), CLOSED))) == 200
    assert known(store) == []
