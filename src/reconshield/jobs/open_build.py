"""Makes the tables of `open_table` from the store.

exposures that have not ended, or a run's open endpoints   -> rows
the newest runs that saw them                              -> when, and what spoke; a few stragglers one by one
policy                                                     -> zone and verdict, for all rows at once
both                                                       -> the risk, once for all services that are alike
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from reconshield.jobs.context import NEW_SECONDS
from reconshield.jobs.mass_rating import Context, Kind, Rater, facts_that_count, read_facts
from reconshield.jobs.open_table import (
    NONE,
    ROW,
    TABLES,
    Array,
    Names,
    OpenTable,
    halves_of,
    in_order,
    moments_ahead,
    rating_codes,
    zone_codes,
)
from reconshield.jobs.run_area import Cover, covers_of
from reconshield.model import Confidence, Reason, State, Transport
from reconshield.policy import Policy
from reconshield.policy.judgement import judge
from reconshield.policy.matching import Spoken
from reconshield.policy.verdict import KINDS, Measured
from reconshield.report.result import NOT_BELIEVED
from reconshield.scan.space import AddressSpace
from reconshield.store.by_port import ended_runs
from reconshield.store.db import Store
from reconshield.store.escape import unescape_text
from reconshield.store.observations import STORED, count_open_of
from reconshield.store.runs import Run, find_run, run_key
from reconshield.store.services import count_services_of
from reconshield.store.standing import (
    Place,
    count_findings_in,
    open_now,
    opened_by,
    revision_of,
    spoken_at,
    spoken_in,
)

RUNS = 1000
WHOLE_RUNS = 10
"""So many runs are read in full to find what spoke; what none of them has is looked up by its key in the others."""
FEW, SINGLE = 50, 20_000
"""So few endpoints are looked up at once rather than a run read, and so many times in all. Of what is left then it is told when
it opened."""
EXPECTED = KINDS.index("expected")
SEEN, SERVICE, CONFIDENCE, FACTS, NOTE = 3, 4, 5, 9, 10
PLACES = {"service": SERVICE, "product": 6, "version": 7, "tls": 8, "name": 11}
"""Where the columns of `store.standing` stand in its rows."""


@dataclass
class Draft:
    """A table while it is made. `spoke` has of each row what the newest run says that knows, `seen` when it was seen last."""

    rows: Array
    spoke: list[tuple[int, Sequence[Any]] | None]
    seen: list[float | None]
    vantages: Names = field(default_factory=Names)
    services: Names = field(default_factory=Names)
    products: Names = field(default_factory=Names)
    versions: Names = field(default_factory=Names)
    names: Names = field(default_factory=Names)
    zones: Names = field(default_factory=Names)
    runs: Names = field(default_factory=Names)
    forms: Names = field(default_factory=Names)

    def codes(self, names: Names, texts: Sequence[str | None]) -> list[int]:
        """The numbers of stored texts."""
        known = {text: names.code(unescape_text(text) if text is not None else None) for text in dict.fromkeys(texts)}
        return [known[text] for text in texts]


def draft_of(size: int) -> Draft:
    rows = np.zeros(size, ROW)
    for name in ("service", "product", "version", "name", "tls", "score", "rating", "verdict", "run"):
        rows[name] = NONE
    rows["opened"] = rows["shut"] = rows["seen"] = rows["ends"] = np.nan
    return Draft(rows, [None] * size, [None] * size)


def current_table(store: Store, policy: Policy | None, now: float) -> OpenTable:
    """Everything that is open now; kept until something changes."""
    key, mark = (store.where, store.workspace), revision_of(store)
    return TABLES.get(key, mark, policy, now, lambda: build_current(store, policy, now))


def run_table(store: Store, run_text: str, policy: Policy | None, now: float) -> OpenTable:
    """What a run found open, as of its end. Of one that goes on, what it has found so far."""
    run = find_run(store, run_text)
    ended = run.state != "running"
    so_far = () if ended else (count_open_of(store, run.id), count_services_of(store, run.id))
    key, mark = (store.where, store.workspace, run.id), (run.state, run.finished, so_far)
    return TABLES.get(key, mark, policy, now, lambda: build_run(store, run, policy, now), moves=not ended)


def build_current(store: Store, policy: Policy | None, now: float) -> OpenTable:
    with store.snapshot() as one:
        found = open_now(one)
        draft = draft_of(len(found))
        if found:
            ips, ports, transports, vantages, opened, shut = zip(*found, strict=True)
            halves = halves_of(ips)
            draft.rows["hi"], draft.rows["lo"] = halves["hi"], halves["lo"]
            draft.rows["port"], draft.rows["transport"], draft.rows["opened"] = ports, transports, opened
            draft.rows["shut"] = [np.nan if at is None else at for at in shut]
            draft.rows["vantage"] = [draft.vantages.code(vantage) for vantage in vantages]
            draft.rows = draft.rows[in_order(draft.rows)]
        covers = covers_of(one, ended_runs(one, RUNS)) if found else []
        for code, vantage in enumerate(draft.vantages.texts):
            fill(one, draft, code, [cover for cover in covers if cover.run.vantage == vantage])
    return finish(draft, policy, now, now)


def build_run(store: Store, run: Run, policy: Policy | None, now: float) -> OpenTable:
    at = run.finished or now
    with store.snapshot() as one:
        with one.read() as connection:
            key = int(connection.execute(run_key(one, run.id)).scalar_one())
        found = [row for row in spoken_in(one, run.id, key) if not (row[NOTE] or "").startswith(NOT_BELIEVED)]
        draft = draft_of(len(found))
        draft.vantages.code(run.vantage)
        if found:
            halves = halves_of(row[0] for row in found)
            draft.rows["hi"], draft.rows["lo"] = halves["hi"], halves["lo"]
            draft.rows["port"], draft.rows["transport"] = [row[1] for row in found], [row[2] for row in found]
            draft.rows = draft.rows[in_order(draft.rows)]
            places = places_of(draft.rows)
            take(one, draft, dict(zip(places, range(len(found)), strict=True)), run.id, found)
            since = opened_by(one, run.vantage, at)
            times = np.array([since.get(place, (None, None)) for place in places], np.float64)  # None becomes NaN
            draft.rows["opened"], draft.rows["shut"] = times[:, 0], times[:, 1]
    return finish(draft, policy, at, now)


def places_of(rows: Array) -> list[Place]:
    """The endpoints of rows as the tables have them."""
    packed = np.empty(len(rows), [("hi", ">u8"), ("lo", ">u8")])
    packed["hi"], packed["lo"] = rows["hi"], rows["lo"]
    whole = packed.tobytes()
    ips = [whole[begin : begin + 16] for begin in range(0, len(whole), 16)]
    return list(zip(ips, rows["port"].tolist(), rows["transport"].tolist(), strict=True))


def fill(store: Store, draft: Draft, vantage: int, covers: Sequence[Cover]) -> None:
    """Find for each row of a vantage when it was seen last, and the newest run that knows what speaks there.

    Of what was seen but not asked no more than `WHOLE_RUNS` runs are, as elsewhere (`lookback.SERVICE_RUNS`).
    """
    mine = np.flatnonzero(draft.rows["vantage"] == vantage)
    left = dict(zip(places_of(draft.rows[mine]), mine.tolist(), strict=True))
    whole, single = WHOLE_RUNS, SINGLE
    for number, cover in enumerate(covers):
        if number >= WHOLE_RUNS:
            left = {place: at for place, at in left.items() if draft.seen[at] is None}
        if not left:
            return
        if not may_have_seen(cover, draft.rows[list(left.values())]):
            continue
        if len(left) > FEW and whole:
            rows: Sequence[Any] = spoken_in(store, cover.run.id, cover.run.key)
            whole -= 1
        elif len(left) <= single:
            rows = spoken_at(store, cover.run.id, cover.run.key, list(left))
            single -= len(left)
        else:
            return
        take(store, draft, left, cover.run.id, rows)


def take(store: Store, draft: Draft, left: dict[Place, int], run: str, rows: Iterable[Sequence[Any]]) -> None:
    """Note what a run saw of those that are left, and strike off those of which it knows what speaks."""
    code, findings = draft.runs.code(run), count_findings_in(store, run)
    for row in rows:
        place = row[0], row[1], row[2]
        at = left.get(place)
        if at is None:
            continue
        if draft.seen[at] is None:
            draft.seen[at] = row[SEEN]
        if row[SERVICE] is None and draft.spoke[at] is not None:
            continue
        draft.spoke[at] = code, row
        if findings:
            draft.rows["findings"][at] = findings.get(place, 0)
        if row[SERVICE] is not None:
            del left[place]


def may_have_seen(cover: Cover, rows: Array) -> bool:
    """Whether a run was to measure any of these endpoints. Of an import of single endpoints only its rows know."""
    if not cover.targets:
        return True
    ports = cover.ports
    known = {(code, port) for code, port in set(zip(rows["transport"].tolist(), rows["port"].tolist(), strict=True))}
    planned = [(code, port) for code, port in known if (Transport(code).label, port) in ports]
    if not planned:
        return False
    return bool((AddressSpace(cover.targets).find(rows["hi"], rows["lo"]) >= 0).any())


def finish(draft: Draft, policy: Policy | None, at: float, now: float) -> OpenTable:
    """Zones, verdicts and risks as of `at`."""
    rows = draft.rows
    spoke, facts = set_columns(draft)
    rows["seen"] = np.where(np.isnan(rows["seen"]), rows["opened"], rows["seen"])
    rows["zone"] = zone_codes(policy, draft.zones, rows["hi"], rows["lo"])
    if policy is not None:
        for code, vantage in enumerate(draft.vantages.texts):
            mine = np.flatnonzero(rows["vantage"] == code)
            rows["verdict"][mine] = verdicts_on(draft, policy, rows[mine], vantage, at)
    rate_rows(draft, policy, spoke, facts, at)
    rows["rating"] = rating_codes(rows["score"])
    names = {name: getattr(draft, name) for name in Draft.__dataclass_fields__ if name not in {"rows", "spoke", "seen"}}
    seen_open = rows["opened"][~np.isnan(rows["shut"])].tolist() if at == now else []
    return OpenTable(rows, now, moments_ahead(policy, seen_open, NEW_SECONDS, now), policy is not None, **names)


def verdicts_on(draft: Draft, policy: Policy, rows: Array, vantage: str, at: float) -> Array:
    """What the policy says of each row, as places in `KINDS`."""
    seen = np.zeros(len(rows), STORED)
    for name in ("hi", "lo", "port", "transport"):
        seen[name] = rows[name]
    seen["state"], seen["at"] = State.OPEN, rows["seen"]
    seen["reason"] = np.where(seen["transport"] == Transport.UDP, Reason.UDP_RESPONSE, Reason.SYN_ACK)
    spoken = Spoken(("", *draft.services.texts), rows["service"].astype(np.int64) + 1, rows["guess"])
    return judge(policy, Measured(seen, vantage, at, spoken=spoken), at, open_only=True).kinds


def set_columns(draft: Draft) -> tuple[Array, list[str]]:
    """What the runs say into the columns. The places of rows that somebody spoke to, and the stored facts of each."""
    seen = [(at, *pair) for at, pair in enumerate(draft.spoke) if pair is not None]
    spoke = [(at, row) for at, _, row in seen if row[SERVICE] is not None]
    if seen:
        places, runs, _ = zip(*seen, strict=True)
        draft.rows["run"][list(places)] = runs
        draft.rows["seen"][list(places)] = [draft.seen[at] for at in places]
    if not spoke:
        return np.zeros(0, np.int64), []
    where = np.array([at for at, _ in spoke])
    columns = list(zip(*(row for _, row in spoke), strict=True))
    texts = (("service", draft.services), ("product", draft.products), ("version", draft.versions))
    for name, names in (*texts, ("tls", draft.forms), ("name", draft.names)):
        draft.rows[name][where] = draft.codes(names, columns[PLACES[name]])
    draft.rows["guess"][where] = [text == Confidence.GUESS for text in columns[CONFIDENCE]]
    return where, list(columns[FACTS])


def rate_rows(draft: Draft, policy: Policy | None, spoke: Array, facts: Sequence[str], at: float) -> None:
    """The score of every row that somebody spoke to, and when its certificate ends."""
    rows, rater = draft.rows[spoke], Rater("", at)
    secure = np.array([False, *(zone.secure for zone in policy.zones)] if policy else [False])
    new = ~np.isnan(rows["shut"]) & (at - rows["opened"] < NEW_SECONDS)
    read = {text: read_facts(text) for text in dict.fromkeys(facts)}
    ends = {text: certificate_end(found) for text, found in read.items()}
    counted = {text: facts_that_count(found) for text, found in read.items()}
    columns = [rows[name].tolist() for name in ("service", "guess", "port", "transport", "tls", "product", "version")]
    context = [(rows["verdict"] == EXPECTED).tolist(), new.tolist(), secure[rows["zone"]].tolist()]
    kinds = list(zip(*columns, *context, [counted[text] for text in facts], strict=True))
    scores = {kind: score_of(draft, rater, kind) for kind in set(kinds)}
    draft.rows["score"][spoke] = [scores[kind] for kind in kinds]
    draft.rows["ends"][spoke] = [ends[text] for text in facts]


def score_of(draft: Draft, rater: Rater, kind: tuple[Any, ...]) -> int:
    service, guess, port, transport, tls, product, version, expected, new, enclave, facts = kind
    name = draft.services.texts[service]
    alike = Kind(
        name,
        guess,
        rater.port_of(name, port),
        Transport(transport).label,
        draft.forms.texts[tls],
        draft.products.text(product),
        draft.versions.text(version),
        facts,
    )
    return rater.score(alike, Context(expected, new, enclave))


def certificate_end(facts: Mapping[str, Any]) -> float:
    """When the certificate of a service ends, NaN where it has none."""
    tls = facts.get("tls") or facts.get("starttls_tls")
    certificate = tls.get("certificate") if isinstance(tls, Mapping) else None
    stated = certificate.get("not_after") if isinstance(certificate, Mapping) else None
    try:
        moment = datetime.fromisoformat(str(stated)) if stated else None
    except ValueError:
        moment = None
    if moment is None:
        return float("nan")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
