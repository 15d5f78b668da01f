"""The panel of a port's page, from runs in a real database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines import new_store
from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.jobs.changes import end_run
from reconshield.jobs.grants import add_grant, revoke_grant
from reconshield.jobs.judge import Judge
from reconshield.jobs.policy import load_policy
from reconshield.jobs.port_exposure import PortExposure, port_exposure
from reconshield.jobs.port_timeline import MONTH, draw
from reconshield.model import Confidence, Endpoint, Finding, Service, Severity, State
from reconshield.policy import Policy
from reconshield.report.result import Summary
from reconshield.scan.plan import Plan
from reconshield.store.db import Store
from reconshield.store.exposures import Exposure
from reconshield.store.observations import save_block
from reconshield.store.runs import create_run, find_run, finish_run
from reconshield.store.services import save_service
from store.examples import answers

NOW = 1_795_000_000.0
HOUR, DAY = 3600.0, 86_400.0
NET = "10.77.0.0/29"
EXPIRES = 'reason = "mail"\nowner = "mail team"\nexpires = 2027-01-31'


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with new_store(url) as opened:
        yield opened


def grant(store: Store) -> None:
    add_grant(store, [NET], exclude_texts=["10.77.0.7"], by="Ada", now=NOW - 100 * DAY, until=NOW + DAY, actor="ada")


def policy(tmp_path: Path, *tables: str) -> Policy:
    file = tmp_path / "reconshield.toml"
    text = ["version = 1", f'[[zone]]\nname = "dmz"\ntargets = ["{NET}"]\nowner = "net team"', *tables]
    text.append('[[asset]]\nname = "mail-1"\naddresses = ["10.77.0.2"]\nowner = "mail team"')
    file.write_text("\n\n".join(text), encoding="utf-8")
    return load_policy(tmp_path, file)


def scan(
    store: Store,
    hours: float,
    cells: dict[str, State],
    *,
    targets: str = NET,
    ports: tuple[int, int] = (100, 119),
    port: int = 110,
    name: str = "pop3",
    vantage: str = "dmz-1",
    blocks: int | None = None,
    shard: tuple[int, int] = (0, 1),
) -> str:
    """A run over the network, some hours before now, ended as a scan ends it; `blocks`: it was stopped after so many."""
    at = NOW - hours * HOUR
    plan = Plan(parse_target(targets).addresses or AddressSet(), PortSet(tcp=(ports,)), 7, 20)
    options = {"targets": [targets], "exclude": [], "shard": list(shard), "dropped": []}
    run = create_run(store, plan=plan.to_json(), engine="connect", vantage=vantage, grants=[], level=3, now=at, options=options)
    rows = answers(*((ip, port, state) for ip, state in cells.items()), at=at + 5)
    where = plan.block_of(rows["hi"], rows["lo"], rows["port"], rows["transport"])
    for number in plan.shard(*shard):
        if blocks is None or number < blocks:
            save_block(store, run.id, number, rows[where == number])
    for ip in (ip for ip, state in cells.items() if state is State.OPEN):
        place = Endpoint(ip, port)
        service = Service(place, name, Confidence.CONFIRMED, at + 9, "Dovecot", facts={"login_clear": "offered"})
        finding = Finding(
            "pop3-cleartext-login", ip, place, Severity.MEDIUM, Confidence.CONFIRMED, "clear", {"seen": "x"}, "ssl"
        )
        if blocks is None:
            save_service(store, run.id, service, [finding])
    done = plan.size if blocks is None else blocks * 20
    end_run(store, run, Summary("complete" if blocks is None else "partial", plan.size, done, 0, 0, 0, 0, 0, 0, 1.0), at + 60)
    return run.id


def look(store: Store, policy: Policy | None = None, port: int = 110, transport: str | None = "tcp") -> PortExposure:
    return port_exposure(store, policy, port, transport, NOW)


def test_without_grants_nobody_has_looked_and_nobody_may(store: Store) -> None:
    assert look(store).kind == "no-grants"
    grant(store)
    found = look(store)
    assert (found.kind, found.total, found.measured, found.grants) == ("not-measured", 7, 0, ("g1",))
    revoke_grant(store, "g1", NOW - 1, "ada")
    assert look(store).kind == "no-grants"


def test_silence_is_not_exposed_only_where_it_was_measured(store: Store) -> None:
    grant(store)
    scan(store, 2, {"10.77.0.2": State.CLOSED, "10.77.0.3": State.CLOSED}, targets="10.77.0.0/30")
    found = look(store)
    assert (found.kind, found.measured, found.total) == ("partly-measured", 4, 7)
    assert (found.closed, found.filtered, found.open) == (2, 2, 0)
    assert found.unmeasured == "10.77.0.4 to 10.77.0.6" or "10.77.0.4" in found.unmeasured
    run = scan(store, 1, {"10.77.0.2": State.CLOSED, "10.77.0.7": State.CLOSED})
    found = look(store)
    assert (found.kind, found.measured, found.closed, found.filtered) == ("not-exposed", 7, 1, 6)
    assert [(each.run, each.vantage, each.addresses) for each in found.looks] == [(run, "dmz-1", 7)]
    assert (found.newest, found.vantages) == (NOW - HOUR + 60, ("dmz-1",))
    assert look(store, port=120).kind == "not-measured"
    assert look(store, transport="udp").kind == "not-measured"
    assert look(store, transport=None).transport == "tcp"


def test_what_was_stopped_counts_where_it_had_been(store: Store) -> None:
    grant(store)
    scan(store, 1, {}, blocks=4)
    found = look(store)
    assert 0 < found.measured < 7
    assert found.kind == "partly-measured"
    scan(store, 0.5, {}, shard=(0, 2))
    assert look(store).measured < 7
    scan(store, 0.4, {}, shard=(1, 2))
    assert look(store).kind == "not-exposed"


def test_an_open_port_is_told_with_all_that_belongs_to_it(store: Store, tmp_path: Path) -> None:
    grant(store)
    scan(store, 3, {"10.77.0.2": State.CLOSED})
    run = scan(store, 1, {"10.77.0.2": State.OPEN, "10.77.0.3": State.CLOSED})
    found = look(store, policy(tmp_path))
    assert (found.kind, found.measured, found.open, found.closed, found.filtered) == ("unexpected", 7, 1, 1, 5)
    (row,) = found.rows
    assert (str(row.endpoint), row.assets, row.owner, row.zone, row.run) == (
        "10.77.0.2:110/tcp",
        ("mail-1",),
        "mail team",
        "dmz",
        run,
    )
    assert (row.shut_before, row.opened, row.seen) == (NOW - 3 * HOUR + 5, NOW - HOUR + 5, NOW - HOUR + 5)
    assert row.service
    assert row.service.product == "Dovecot"
    assert row.risk
    assert [finding.risk for finding in row.findings] == [row.risk]
    assert "newly-opened" in [factor.name for factor in row.risk.factors]
    assert row.verdict
    assert (row.verdict.kind, row.verdict.service) == ("unexpected", row.service)
    assert look(store).kind == "unexpected"
    assert look(store).rows[0].verdict is None


@pytest.mark.parametrize(
    ("tables", "kind", "verdict"),
    [
        ((f'[[expect]]\non = "mail-1"\nports = "110"\n{EXPIRES}',), "expected", "expected"),
        ((f'[[expect]]\non = "mail-1"\nservice = "pop3"\n{EXPIRES}',), "expected", "expected"),
        ((f'[[expect]]\non = "mail-1"\nservice = "imap"\n{EXPIRES}',), "unexpected", "unexpected"),
        (('[[closed]]\non = "dmz"\nports = "110"',), "forbidden", "forbidden"),
        ((f'[[expect]]\non = "mail-1"\nports = "110"\n{EXPIRES.replace("2027", "2026")}',), "unexpected", "expired"),
    ],
)
def test_the_policy_decides_what_the_panel_says(
    store: Store, tmp_path: Path, tables: tuple[str, ...], kind: str, verdict: str
) -> None:
    grant(store)
    scan(store, 1, {"10.77.0.2": State.OPEN})
    found = look(store, policy(tmp_path, *tables))
    assert found.kind == kind
    assert found.rows[0].verdict
    assert found.rows[0].verdict.kind == verdict
    context = [f.points for f in found.rows[0].risk.factors if f.name == "allow-listed"] if found.rows[0].risk else []
    assert context == ([-25] if kind == "expected" else [])


def test_what_was_measured_too_long_ago_is_stale(store: Store, tmp_path: Path) -> None:
    grant(store)
    scan(store, 9 * 24, {"10.77.0.2": State.CLOSED})
    found = look(store)
    assert (found.kind, found.stale, found.fresh, found.fresh_from) == ("stale", 7, DAY, None)
    weekly = '[[schedule]]\nname = "weekly"\ntargets = "dmz"\nports = "1-1000"\nevery = "7d"\nfresh = "10d"'
    other = '[[schedule]]\nname = "web"\ntargets = "dmz"\nports = "443"\nevery = "1h"\nfresh = "2h"'
    found = look(store, policy(tmp_path, weekly, other))
    assert (found.kind, found.fresh, found.fresh_from) == ("not-exposed", 10 * DAY, "weekly")
    scan(store, 1, {}, targets="10.77.0.0/30")
    assert (look(store).kind, look(store).stale) == ("stale", 3)


def test_the_worst_is_the_heading_and_the_worst_rows_are_shown(store: Store, tmp_path: Path) -> None:
    grant(store)
    scan(store, 1, {f"10.77.0.{n}": State.OPEN for n in range(1, 6)})
    tables = (
        f'[[expect]]\non = ["10.77.0.1", "10.77.0.2"]\nports = "110"\n{EXPIRES}',
        '[[closed]]\non = "10.77.0.4"\nports = "110"',
    )
    found = port_exposure(store, policy(tmp_path, *tables), 110, "tcp", NOW, limit=3)
    assert (found.kind, found.open) == ("forbidden", 5)
    assert [(row.endpoint.ip, row.verdict.kind) for row in found.rows if row.verdict] == [
        ("10.77.0.4", "forbidden"),
        ("10.77.0.3", "unexpected"),
        ("10.77.0.5", "unexpected"),
    ]
    assert len(found.timelines) == 3


def test_only_this_port_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    grant(store)
    scan(store, 2, {f"10.77.0.{n}": State.OPEN for n in range(1, 6)}, port=111)
    scan(store, 1, {"10.77.0.2": State.OPEN})
    rated: list[str] = []
    plain = Judge.rate

    def counting(self: Judge, service: Service, *more: object) -> object:
        rated.append(str(service.endpoint))
        return plain(self, service, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(Judge, "rate", counting)
    assert [str(row.endpoint) for row in look(store).rows] == ["10.77.0.2:110/tcp"]
    assert rated == ["10.77.0.2:110/tcp"]


def test_each_vantage_sees_for_itself(store: Store) -> None:
    grant(store)
    scan(store, 2, {"10.77.0.2": State.OPEN}, vantage="wan")
    scan(store, 1, {"10.77.0.2": State.CLOSED})
    found = look(store)
    assert [(row.vantage, row.seen) for row in found.rows] == [("wan", NOW - 2 * HOUR + 5)]
    assert found.vantages == ("dmz-1",)


def test_a_run_that_goes_on_is_looked_at_anew(store: Store) -> None:
    grant(store)
    scan(store, 1, {"10.77.0.2": State.CLOSED}, blocks=2)
    before = look(store).measured
    run = find_run(store, "latest")
    for number in range(2, Plan.from_json(run.plan).blocks):
        save_block(store, run.id, number, answers())
    finish_run(store, run.id, "complete", None, NOW - 60)
    assert look(store).measured == 7 > before


def interval(opened: float, shut: float | None = None, until: float | None = None, closed: float | None = None) -> Exposure:
    return Exposure(Endpoint("10.77.0.2", 110), "dmz-1", opened, "r", shut, until, closed)


def test_a_timeline_tells_what_was_known_and_when_nothing_was() -> None:
    days = [NOW - day * DAY for day in (29, 28, 27, 20, 19, 18, 1)]
    story = [interval(days[2], days[1], days[3], days[4])]
    line = draw(Endpoint("10.77.0.2", 110), "dmz-1", story, days, DAY, NOW)
    assert [((NOW - piece.begin) / DAY, (NOW - piece.end) / DAY, piece.known) for piece in line.pieces] == [
        (30, 29, "not-measured"),
        (29, 27, "not-open"),
        (27, 26, "open"),
        (26, 20, "not-measured"),
        (20, 19, "open"),
        (19, 17, "not-open"),
        (17, 1, "not-measured"),
        (1, 0, "not-open"),
    ]
    assert [(window.kind, window.after, window.by) for window in line.windows] == [
        ("opened", days[1], days[2]),
        ("closed", days[3], days[4]),
    ]


def test_a_timeline_without_runs_knows_what_its_intervals_say() -> None:
    line = draw(Endpoint("10.77.0.2", 110), "dmz-1", [interval(NOW - MONTH - DAY / 2)], [], DAY, NOW)
    assert [(piece.known, round((NOW - piece.end) / DAY, 1)) for piece in line.pieces] == [("open", 29.5), ("not-measured", 0)]
    empty = draw(Endpoint("10.77.0.2", 110), "dmz-1", [], [], DAY, NOW)
    assert [piece.known for piece in empty.pieces] == ["not-measured"]


def test_a_month_of_runs_draws_a_timeline(store: Store) -> None:
    grant(store)
    for day in range(10, 0, -1):
        scan(store, day * 24 - 1, {"10.77.0.2": State.OPEN if day <= 4 else State.CLOSED})
    (line,) = look(store).timelines
    known = [piece.known for piece in line.pieces]
    assert known == ["not-measured", "not-open", "open"]
    assert [window.kind for window in line.windows] == ["opened"]
    assert line.windows[0].by - (line.windows[0].after or 0) == DAY


def test_what_was_not_recognised_is_said_so(store: Store, tmp_path: Path) -> None:
    grant(store)
    scan(store, 1, {"10.77.0.2": State.OPEN}, name="unknown")
    (row,) = look(store, policy(tmp_path)).rows
    assert row.verdict
    assert row.verdict.because == "no [[expect]] entry; what speaks was not recognised"
