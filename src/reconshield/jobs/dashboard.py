"""What somebody sees first: what changed since they last looked, how each zone stands, what ends soon, and the last month.

    open_table   -> zones, heat map, certificates      computed once for a table, and kept with it
    exposures    -> the trend                          likewise, for they change only when a run ends
    changes      -> what is new since `since`          asked each time
    alerts       -> how many stand                     asked each time

So a page over a million observations costs a few questions, and shows what is true: the table is made anew as soon as a run
begins or ends, the policy is another one, or time alone changes a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from reconshield.addresses import AddressSet, parse_address, text_of
from reconshield.jobs.dashboard_zones import FAILING_CODES, ZoneState, zone_states
from reconshield.jobs.grants import list_grants
from reconshield.jobs.open_build import RUNS, current_table
from reconshield.jobs.open_table import RATINGS, OpenTable, endpoint_of, verdict_of
from reconshield.jobs.run_area import Cover, covers_of
from reconshield.model import Endpoint, Transport
from reconshield.policy import Policy
from reconshield.policy.verdict import Kind
from reconshield.report.changes import ORDER, RatedChange
from reconshield.scope import granted_area
from reconshield.store.alerts import count_alerts
from reconshield.store.by_port import ended_runs
from reconshield.store.changes import KeptChange, ShortChange, count_changes, find_changes_by, short_changes
from reconshield.store.db import Store
from reconshield.store.standing import closed_since

DAY = 86_400.0
DAYS = 30
SOON = 30 * DAY
SHOWN = 20
"""Changes, and certificates, that are listed; the rest is counted."""
READ = 5000
"""Of so many newest changes the worst are chosen."""
HOSTS, SERVICES = 30, 12


@dataclass(frozen=True, slots=True)
class News:
    """A change with when its run ended, and what the policy says of the endpoint now (None: it is not open, or no policy)."""

    run: str
    at: float
    change: RatedChange
    vantage: str
    verdict: Kind | None
    zone: str
    assets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """An entry of the policy that ends soon, or has ended lately: an expected exposure, or a finding that was accepted."""

    kind: str
    what: str
    owner: str
    reason: str
    ends: float
    line: int


@dataclass(frozen=True, slots=True)
class CertificateEnd:
    """A certificate that ends soon or has ended, and where it was shown."""

    endpoint: Endpoint
    vantage: str
    service: str | None
    zone: str
    owner: str | None
    ends: float


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The worst hosts by the worst services: the highest score of each, None where there is none. `more` hosts are left out."""

    hosts: tuple[tuple[str, tuple[str, ...]], ...]
    services: tuple[str, ...]
    cells: tuple[tuple[int | None, ...], ...]
    more: int


@dataclass(frozen=True, slots=True)
class TrendDay:
    """How many endpoints were open at the end of a day of 24 hours; `measured`: a run ended in it. Time in Unix seconds."""

    end: float
    open: int
    measured: bool


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything at one moment. Counts are endpoints as each vantage sees them; times are Unix seconds.

    `counts` has the changes since `since` by kind, `news` the worst of them; `failing_new` are those that opened since then
    and are not as the policy wants them. `judged` is False where there is no policy.
    """

    since: float
    at: float
    judged: bool
    open: int
    by_rating: dict[str, int]
    unrated: int
    failing: int
    failing_new: int
    counts: dict[str, int]
    news: tuple[News, ...]
    zones: tuple[ZoneState, ...]
    endings: tuple[Ending, ...]
    certificates: tuple[CertificateEnd, ...]
    certificates_in_all: int
    heat: HeatMap
    trend: tuple[TrendDay, ...]
    alerts: dict[str, int]
    never_measured: bool
    """No run has ended yet."""


@dataclass(frozen=True, slots=True)
class Derived:
    """What is computed from a table once. `granted` are the addresses that grants covered then."""

    granted: AddressSet
    zones: tuple[ZoneState, ...]
    certificates: tuple[CertificateEnd, ...]
    certificates_in_all: int
    heat: HeatMap
    trend: tuple[TrendDay, ...]
    never_measured: bool


DERIVED: WeakKeyDictionary[OpenTable, Derived] = WeakKeyDictionary()


def dashboard(store: Store, policy: Policy | None, since: float, now: float) -> Dashboard:
    """What is to be seen now; `since` is when whoever looks has looked last."""
    table = current_table(store, policy, now)
    with store.snapshot() as one:
        known = derive(one, table, policy, granted_area(list_grants(one), now), now)
        news = news_of(one, table, policy, since)
        counts, alerts = count_changes(one, since), count_alerts(one)
    failing = np.isin(table.rows["verdict"], FAILING_CODES)
    ratings = np.bincount(table.rows["rating"].astype(np.int64) + 1, minlength=len(RATINGS) + 1).tolist()
    return Dashboard(
        since=since,
        at=now,
        judged=policy is not None,
        open=len(table),
        by_rating=dict(zip(RATINGS, ratings[1:], strict=True)),
        unrated=ratings[0],
        failing=int(failing.sum()),
        failing_new=int((failing & (table.rows["opened"] >= since)).sum()),
        counts=counts,
        news=tuple(news),
        zones=known.zones,
        endings=tuple(endings_of(policy, now)),
        certificates=known.certificates,
        certificates_in_all=known.certificates_in_all,
        heat=known.heat,
        trend=known.trend,
        alerts=alerts,
        never_measured=known.never_measured,
    )


def derive(store: Store, table: OpenTable, policy: Policy | None, granted: AddressSet, now: float) -> Derived:
    """What the table says in sum; kept for as long as the table is, unless a grant came, went or ended."""
    kept = DERIVED.get(table)
    if kept is not None and kept.granted == granted:
        return kept
    covers = covers_of(store, ended_runs(store, RUNS))
    certificates, in_all = certificates_of(table, policy, now)
    made = Derived(
        granted=granted,
        zones=tuple(zone_states(table, policy, covers, granted)),
        certificates=certificates,
        certificates_in_all=in_all,
        heat=heat_map(table, policy),
        trend=tuple(trend_of(store, table, covers, now)),
        never_measured=not covers,
    )
    DERIVED[table] = made
    return made


def news_of(store: Store, table: OpenTable, policy: Policy | None, since: float) -> list[News]:
    """The worst changes: worst kinds first, within a kind the highest risk, then the newest."""
    found = short_changes(store, since, READ)
    worst = sorted(found, key=lambda each: (ORDER.index(each.kind), -(each.score or 0), -each.at, each.number))[:SHOWN]
    whole = find_changes_by(store, [(each.run, each.number) for each in worst])
    return [news(table, policy, each, whole[each.run, each.number]) for each in worst if (each.run, each.number) in whole]


def news(table: OpenTable, policy: Policy | None, short: ShortChange, change: KeptChange) -> News:
    number = parse_address(change.endpoint.ip)
    at = find_row(table, change.endpoint, number, short.vantage)
    return News(
        run=short.run,
        at=short.at,
        change=RatedChange(**{name: getattr(change, name) for name in KeptChange.__slots__}),
        vantage=short.vantage,
        verdict=verdict_of(int(table.rows["verdict"][at])) if at is not None else None,
        zone=policy.zone_name(number) if policy else "wan",
        assets=tuple(asset.name for asset in policy.assets_of(number)) if policy else (),
    )


def find_row(table: OpenTable, endpoint: Endpoint, number: int, vantage: str) -> int | None:
    """Where an endpoint stands in a table."""
    near = np.flatnonzero(table.rows["lo"] == np.uint64(number & (1 << 64) - 1))
    rows, code = table.rows[near], Transport[endpoint.transport.upper()].value
    same = (rows["hi"] == np.uint64(number >> 64)) & (rows["port"] == endpoint.port) & (rows["transport"] == code)
    found = near[same & (rows["vantage"] == table.vantages.find(vantage))]
    return int(found[0]) if len(found) else None


def endings_of(policy: Policy | None, now: float) -> list[Ending]:
    """Entries that end within a month, and those that ended within the last one: the first to end first."""
    found: list[Ending] = []
    for entry in policy.expects if policy else ():
        if abs(entry.ends - now) <= SOON:
            parts = (*entry.on, *entry.service, *([f"ports {entry.ports}"] if entry.ports else []))
            found.append(Ending("expect", " ".join(parts), entry.owner, entry.reason, entry.ends, entry.line))
    for accepted in policy.accepts if policy else ():
        if abs(accepted.ends - now) <= SOON:
            what = " ".join((*accepted.finding, *accepted.on))
            found.append(Ending("accept", what, accepted.owner, accepted.reason, accepted.ends, accepted.line))
    return sorted(found, key=lambda ending: (ending.ends, ending.line))


def certificates_of(table: OpenTable, policy: Policy | None, now: float) -> tuple[tuple[CertificateEnd, ...], int]:
    """The certificates that end within a month or have ended, the first to end first, and how many there are."""
    ends = table.rows["ends"]
    ending = np.flatnonzero(ends <= now + SOON)  # nothing is said of those without: NaN compares as false
    first = ending[np.argsort(ends[ending], kind="stable")][:SHOWN]
    found = []
    for at in first.tolist():
        row = table.rows[at]
        endpoint = endpoint_of(row)
        owner = policy.owner_of(endpoint.ip) if policy else None
        service, zone = table.services.text(row["service"]), table.zones.texts[row["zone"]]
        found.append(CertificateEnd(endpoint, table.vantages.texts[row["vantage"]], service, zone, owner, float(row["ends"])))
    return tuple(found), len(ending)


def heat_map(table: OpenTable, policy: Policy | None) -> HeatMap:
    """The hosts with the highest score (of equals those with more of it), and the services that are worst on them."""
    rows = table.rows[table.rows["score"] >= 0]
    if len(rows) == 0:
        return HeatMap((), (), (), 0)
    first = np.flatnonzero(np.concatenate([[True], (np.diff(rows["hi"]) != 0) | (np.diff(rows["lo"]) != 0)]))
    worst, total = np.maximum.reduceat(rows["score"], first), np.add.reduceat(rows["score"].astype(np.int64), first)
    hosts = np.lexsort([np.arange(len(first)), -total, -worst])[:HOSTS]
    host_of = np.repeat(np.arange(len(first)), np.diff([*first.tolist(), len(rows)]))
    place = np.full(len(first), -1)
    place[hosts] = np.arange(len(hosts))
    mine = place[host_of] >= 0
    chosen, scores, where = rows["service"][mine], rows["score"][mine], place[host_of[mine]]
    grid = np.full((len(hosts), len(table.services.texts)), -1, np.int64)
    np.maximum.at(grid, (where, chosen), scores)
    order = np.lexsort([-(grid >= 0).sum(axis=0), -grid.max(axis=0)])
    columns = [code for code in order.tolist() if grid[:, code].max() >= 0][:SERVICES]
    numbers = [int(rows["hi"][first[host]]) << 64 | int(rows["lo"][first[host]]) for host in hosts.tolist()]
    return HeatMap(
        hosts=tuple((text_of(n), tuple(a.name for a in policy.assets_of(n)) if policy else ()) for n in numbers),
        services=tuple(table.services.texts[code] for code in columns),
        cells=tuple(tuple(score if score >= 0 else None for score in line) for line in grid[:, columns].tolist()),
        more=len(first) - len(hosts),
    )


def trend_of(store: Store, table: OpenTable, covers: Sequence[Cover], now: float) -> Iterable[TrendDay]:
    """The last thirty days, the oldest first, each of 24 hours that end at this time of day."""
    ended = closed_since(store, now - DAYS * DAY)
    opened = np.concatenate([table.rows["opened"], [at for at, _ in ended]])
    closed = np.concatenate([np.full(len(table), np.inf), [at for _, at in ended]])
    finished = np.array([cover.run.finished for cover in covers])
    for back in range(DAYS - 1, -1, -1):
        end = now - back * DAY
        looked = bool(((finished > end - DAY) & (finished <= end)).any())
        yield TrendDay(end, int(((opened <= end) & (closed > end)).sum()), looked)
