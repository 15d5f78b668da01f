"""Makes the tables of `open_table` from the store.

exposures that have not ended, or a run's open endpoints   -> rows
the newest runs that saw them                              -> when, and what spoke; a few stragglers one by one
policy                                                     -> zone and verdict, for all rows at once
both                                                       -> the risk, once for all services that are alike
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from reconshield.addresses.arrays import endpoint_keys, find_keys
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
from reconshield.policy.matching import PLACE, Spoken
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
    Heard,
    Place,
    count_findings_in,
    heard_at,
    heard_in,
    open_now,
    opened_by,
    revision_of,
)

RUNS = 1000
WHOLE_RUNS = 10
"""So many runs are read in full to find what spoke; what none of them has is looked up by its key in the others."""
FEW, SINGLE = 50, 20_000
"""So few endpoints are looked up at once rather than a run read, and so many times in all. Of what is left then it is told when
it opened."""
EXPECTED = KINDS.index("expected")
AT, CONFIDENCE, FACTS, NOTE = 3, 4, 8, 9
PLACES = {"service": 3, "product": 5, "version": 6, "tls": 7, "name": 10}
"""Where columns stand in the rows of `store.standing`."""


@dataclass
class Draft:
    """A table while it is made. `facts` has the stored text of the facts of each row, None where nobody asked."""

    rows: Array
    facts: Array
    vantages: Names = field(default_factory=Names)
    services: Names = field(default_factory=Names)
    products: Names = field(default_factory=Names)
    versions: Names = field(default_factory=Names)
    names: Names = field(default_factory=Names)
    zones: Names = field(default_factory=Names)
    runs: Names = field(default_factory=Names)
    forms: Names = field(default_factory=Names)

    def note(self, rows: Array, spoke: Sequence[Any], which: Array) -> None:
        """What speaks on rows: for each of them one of `spoke`."""
        columns = list(zip(*spoke, strict=True))
        texts = {"service": self.services, "product": self.products, "version": self.versions}
        for name, names in (texts | {"tls": self.forms, "name": self.names}).items():
            self.rows[name][rows] = codes_of(names, columns[PLACES[name]])[which]
        self.rows["guess"][rows] = np.array([text == Confidence.GUESS for text in columns[CONFIDENCE]])[which]
        self.facts[rows] = np.array(columns[FACTS], object)[which]


def codes_of(names: Names, texts: Sequence[str | None]) -> Array:
    """The numbers of stored texts."""
    known = {text: names.code(unescape_text(text) if text is not None else None) for text in dict.fromkeys(texts)}
    return np.array([known[text] for text in texts])


def draft_of(size: int) -> Draft:
    rows = np.zeros(size, ROW)
    for name in ("service", "product", "version", "name", "tls", "score", "rating", "verdict", "run"):
        rows[name] = NONE
    rows["opened"] = rows["shut"] = rows["seen"] = rows["ends"] = np.nan
    return Draft(rows, np.full(size, None, object))


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
            *_, vantages, opened, shut = zip(*found, strict=True)
            set_places(draft.rows, found)
            draft.rows["opened"], draft.rows["shut"] = opened, np.array(shut, np.float64)  # None is NaN then
            draft.rows["vantage"] = [draft.vantages.code(vantage) for vantage in vantages]
            draft.rows = draft.rows.take(in_order(draft.rows))
        covers = covers_of(one, ended_runs(one, RUNS)) if found else []
        for code, vantage in enumerate(draft.vantages.texts):
            fill(one, draft, code, [cover for cover in covers if cover.run.vantage == vantage])
    return finish(draft, policy, now, now)


def build_run(store: Store, run: Run, policy: Policy | None, now: float) -> OpenTable:
    at = run.finished or now
    with store.snapshot() as one:
        with one.read() as connection:
            key = int(connection.execute(run_key(one, run.id)).scalar_one())
        heard = believed(heard_in(one, run.id, key))
        draft = draft_of(len(heard.seen))
        draft.vantages.code(run.vantage)
        if heard.seen:
            set_places(draft.rows, heard.seen)
            draft.rows = draft.rows.take(in_order(draft.rows))
            take(one, draft, np.arange(len(draft.rows)), run.id, heard)
            since = opened_by(one, run.vantage, at)
            times = np.array(
                [since.get(place, (None, None)) for place in places_of(draft.rows)], np.float64
            )  # None is NaN then
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
    left = np.flatnonzero(draft.rows["vantage"] == vantage)
    whole, single = WHOLE_RUNS, SINGLE
    for number, cover in enumerate(covers):
        if number >= WHOLE_RUNS:
            left = left[np.isnan(draft.rows["seen"][left])]
        if len(left) == 0:
            return
        if not may_have_seen(cover, draft.rows[left]):
            continue
        if len(left) > FEW and whole:
            heard = heard_in(store, cover.run.id, cover.run.key)
            whole -= 1
        elif len(left) <= single:
            heard = heard_at(store, cover.run.id, cover.run.key, places_of(draft.rows[left]))
            single -= len(left)
        else:
            return
        left = take(store, draft, left, cover.run.id, heard)


def take(store: Store, draft: Draft, left: Array, run: str, heard: Heard) -> Array:
    """Note what a run says of the rows that are left. Those of which it does not know what speaks are left then."""
    seen, spoke = find(draft.rows[left], heard.seen), find(draft.rows[left], heard.spoke)
    new = (seen >= 0) & np.isnan(draft.rows["seen"][left])
    draft.rows["run"][left[new | (spoke >= 0)]] = draft.runs.code(run)
    if new.any():
        draft.rows["seen"][left[new]] = np.array([row[AT] for row in heard.seen])[seen[new]]
    known = left[spoke >= 0]
    if len(known):
        draft.note(known, heard.spoke, spoke[spoke >= 0])
        findings = count_findings_in(store, run)
        which = find(draft.rows[known], findings)
        if (which >= 0).any():
            draft.rows["findings"][known[which >= 0]] = np.array([row[AT] for row in findings])[which[which >= 0]]
    rest: Array = left[spoke < 0]
    return rest


def find(rows: Array, among: Sequence[Any]) -> Array:
    """For each row the place of its endpoint among others as the tables have them, -1 for none."""
    if not len(among):
        return np.full(len(rows), NONE)
    theirs = np.zeros(len(among), PLACE)
    set_places(theirs, among)
    ours, keys = endpoint_keys(rows, theirs)
    order = np.argsort(keys)
    found = find_keys(ours, keys[order])
    return np.where(found >= 0, order[found], NONE)


def set_places(rows: Array, stored: Sequence[Any]) -> None:
    """The endpoints of rows of a table: address, port, transport come first in it."""
    ips, ports, transports, *_ = zip(*stored, strict=True)
    halves = halves_of(ips)
    rows["hi"], rows["lo"], rows["port"], rows["transport"] = halves["hi"], halves["lo"], ports, transports


def believed(heard: Heard) -> Heard:
    """Without the endpoints that look open and are not believed to be."""
    doubted = {(row[0], row[1], row[2]) for row in heard.spoke if (row[NOTE] or "").startswith(NOT_BELIEVED)}
    if not doubted:
        return heard
    seen, spoke = ([row for row in rows if (row[0], row[1], row[2]) not in doubted] for rows in heard)
    return Heard(seen, spoke)


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
    rows["seen"] = np.where(np.isnan(rows["seen"]), rows["opened"], rows["seen"])
    rows["zone"] = zone_codes(policy, draft.zones, rows["hi"], rows["lo"])
    if policy is not None:
        for code, vantage in enumerate(draft.vantages.texts):
            mine = np.flatnonzero(rows["vantage"] == code)
            rows["verdict"][mine] = verdicts_on(draft, policy, rows[mine], vantage, at)
    rate_rows(draft, policy, at)
    rows["rating"] = rating_codes(rows["score"])
    names = {name: getattr(draft, name) for name in Draft.__dataclass_fields__ if name not in {"rows", "facts"}}
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


def rate_rows(draft: Draft, policy: Policy | None, at: float) -> None:
    """The score of every row that somebody spoke to, and when its certificate ends."""
    spoke = np.flatnonzero(draft.rows["service"] >= 0)
    rows, facts, rater = draft.rows[spoke], draft.facts[spoke].tolist(), Rater("", at)
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
