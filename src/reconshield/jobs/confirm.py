"""Ask once more where something answered before and nothing does now, before anybody is told that it closed.

A refusal is an answer and needs no second word; silence may be a lost packet, a full table in a firewall, a host that thins out
its errors. Only endpoints of the run's own plan are asked, with its own targets, so no grant is stretched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from reconshield.addresses import AddressSet, PortSet
from reconshield.addresses.arrays import endpoint_keys, find_keys
from reconshield.inventory import Array, endpoints_of
from reconshield.jobs.lookback import load_bare, planned
from reconshield.model import Endpoint, Reason, State, Transport
from reconshield.scan.engine import BlockDone, Options, measure
from reconshield.scan.plan import Plan, make_plan
from reconshield.scope import Targets
from reconshield.store.db import Store
from reconshield.store.exposures import open_before
from reconshield.store.runs import Run

MOST = 65_536
"""So many endpoints are asked again; what fell silent beyond that is no lost packet."""
MOST_GROUPS = 50
ANSWERS = (Reason.SYN_ACK, Reason.CONN_REFUSED, Reason.RESET, Reason.PORT_UNREACH, Reason.UDP_RESPONSE)
"""What only the host itself says. The rest is silence, or said by something on the way."""
RATE = 1000.0
RETRIES = 2
"""Silence is asked again so often at least, one time more than a scan does: what outlasted the scan's own repetition, half a
second later where the way is short, was no single packet, and the news of a closed port has a few seconds' time."""


def ask_again(
    store: Store, run: Run, plan: Plan, targets: Targets, options: Options, stop: threading.Event
) -> frozenset[Endpoint]:
    """The endpoints that were known to be open, were silent in this run, and answer when asked once more."""
    silent = find_silent(store, run, plan)
    if len(silent) == 0 or stop.is_set():
        return frozenset()
    answered: set[Endpoint] = set()
    patient = replace(options, retries=max(options.retries, RETRIES))
    for addresses, ports in islice(group(silent), MOST_GROUPS):
        again = make_plan(addresses & targets.addresses, ports, rate=RATE, seed=plan.seed)
        for step in measure(again, targets, list(range(again.blocks)), patient, stop):
            if isinstance(step, BlockDone):
                answered |= set(endpoints_of(step.batch[step.batch["state"] == State.OPEN]))
    return frozenset(answered & set(endpoints_of(silent)))


def find_silent(store: Store, run: Run, plan: Plan) -> Array:
    """Endpoints that are known to be open, and of which the run has heard nothing, or nothing but a router."""
    known = open_before(store, run.vantage)
    known = known.compress(planned(plan, known)) if len(known) else known
    if len(known) == 0:
        return known
    seen = load_bare(store, run)
    known = known.compress(seen.covers(known))
    rows = seen.observations
    refused = np.isin(
        rows["reason"], [Reason.SYN_ACK, Reason.CONN_REFUSED, Reason.RESET, Reason.PORT_UNREACH, Reason.UDP_RESPONSE]
    )
    ours, theirs = endpoint_keys(known, rows.compress(refused))
    return known.compress(find_keys(ours, np.sort(theirs)) < 0)[:MOST]


def group(rows: Array) -> Iterator[tuple[AddressSet, PortSet]]:
    """The endpoints as few products of addresses and ports; one for all of them where that asks for little more."""
    everywhere = AddressSet(
        tuple((hi << 64 | lo,) * 2 for hi, lo in zip(rows["hi"].tolist(), rows["lo"].tolist(), strict=True))
    )
    all_ports = ports_in(rows)
    if everywhere.count * all_ports.count <= max(4 * len(rows), 1000):
        yield everywhere, all_ports
        return
    for key in np.unique(rows["transport"].astype(np.int64) << 16 | rows["port"]).tolist():
        here = rows[(rows["transport"].astype(np.int64) << 16 | rows["port"]) == key]
        pairs = zip(here["hi"].tolist(), here["lo"].tolist(), strict=True)
        yield AddressSet(tuple((hi << 64 | lo,) * 2 for hi, lo in pairs)), ports_in(here)


def ports_in(rows: Array) -> PortSet:
    tcp, udp = (np.unique(rows["port"][rows["transport"] == kind]).tolist() for kind in (Transport.TCP, Transport.UDP))
    return PortSet(tuple((port, port) for port in tcp), tuple((port, port) for port in udp))
