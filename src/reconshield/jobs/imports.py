"""Results of another tool become a run of their own, from a vantage of their own, so that nobody mistakes them for ours.

    file -> intake (readings as they come) -> blocks of answers, saved as they fill
                                           -> claims -> services; what has no claim is a guess by its port
    coverage: what the file lists, and hosts that it says were measured in whole; nothing else

The run carries the time of the measurement, not of the import, so it takes its place in the history. What an answer rests on
is the other tool's word: a service is at most `probable`, for the dialogue was not ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from reconshield.addresses import AddressSet, PortSet, text_of
from reconshield.errors import UserError
from reconshield.intake.formats import INTAKES, recognise
from reconshield.intake.reading import Intake, Origin
from reconshield.jobs.changes import end_run
from reconshield.jobs.coverage import COLUMNS, import_plan
from reconshield.jobs.gathering import Gathered
from reconshield.jobs.judge import Judge
from reconshield.model import Confidence, Rung, Service, State, Transport
from reconshield.report.result import RunState, Summary
from reconshield.rows import join
from reconshield.scan.batch import Batch, from_records
from reconshield.scan.plan import MAX_BLOCK, Plan
from reconshield.store.db import Store
from reconshield.store.observations import load_observations, save_block
from reconshield.store.runs import Run, change_run, create_run, find_run, finish_run
from reconshield.store.services import add_services, endpoints_without_service, save_service
from reconshield.text import count, plural, printable

CHUNK = 2**16
"""Bytes read at once, and answers kept in memory before they are saved."""
SERVICES_AT_ONCE = 2**12
LEVEL = 1
"""Nothing is sent for an import: it is passive."""
NAMED_ADDRESSES = 1024


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of an import: the run, and how many records of the file could not be used (the first of them in words)."""

    run: Run
    format: str
    tool: str
    records: int
    bad: int
    faults: tuple[str, ...]
    cut: str | None
    services: int


def import_file(store: Store, path: Path, *, format_: str = "auto", vantage: str | None = None) -> Imported:
    """Read a file and keep it as a run. Raises UserError when nothing in it could be read."""
    try:
        changed = path.stat().st_mtime
        with path.open("rb") as file:
            head = file.read(CHUNK)
            intake = choose_intake(head, path, format_)
            return keep(store, path, intake, chain([head], pieces_of(file)), vantage, changed)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"the file cannot be read: {reason}", where=str(path), hint=f"ls -l {path}") from error


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK), b"")


def choose_intake(head: bytes, path: Path, format_: str) -> Intake:
    """The format that was named, or the one that the file looks like."""
    names = ", ".join(intake.name for intake in INTAKES)
    if format_ != "auto":
        named = next((intake for intake in INTAKES if intake.name == format_), None)
        if named is None:
            raise UserError(f"unknown format {format_!r}", where=f"--format {format_}", hint=f"--format one of auto, {names}")
        return named
    found = recognise(head)
    if found is None:
        what = "the file is empty" if not head.strip() else "this looks like no result that can be imported"
        raise UserError(what, where=str(path), hint=f"name it: --format one of {names}")
    return found


def keep(store: Store, path: Path, intake: Intake, chunks: Iterable[bytes], vantage: str | None, changed: float) -> Imported:
    """Save everything that the reader yields; the run exists from the first reading on."""
    gathered, items = Gathered(Origin(intake.tool)), intake.read(chunks)
    for item in items:  # until there is something to keep
        gathered.note(item, changed)
        if gathered.held or gathered.whole:
            break
    else:
        raise nothing_read(path, intake, gathered)
    run = begin(store, gathered, path, intake, vantage, changed)
    try:
        for item in items:
            gathered.note(item, changed)
            if gathered.held >= CHUNK:
                flush(store, run, gathered)
        flush(store, run, gathered)
        services = name_services(store, run, gathered)
        finish(store, run, gathered, path, intake)
    except BaseException:
        finish_run(store, run.id, "failed", None, time.time())
        raise
    said = gathered.origin
    kept = find_run(store, run.id)
    return Imported(
        kept, intake.name, said.tool, gathered.records, gathered.bad, tuple(gathered.faults), gathered.cut, services
    )


def nothing_read(path: Path, intake: Intake, gathered: Gathered) -> UserError:
    said = "; ".join([*gathered.faults, *([gathered.cut] if gathered.cut else [])])
    message = f"nothing in the file could be read as {intake.name}" if said else "the file names no endpoint"
    return UserError(message, where=f"{path}{f': {said}' if said else ''}", hint="look into the file, or name its --format")


def begin(store: Store, gathered: Gathered, path: Path, intake: Intake, vantage: str | None, changed: float) -> Run:
    origin = gathered.origin
    tool = printable(origin.tool, 40)
    return create_run(
        store,
        plan=import_plan(None),
        engine=tool,
        vantage=vantage or f"import:{tool}",
        grants=(),
        level=LEVEL,
        now=origin.started or gathered.latest or changed,
        options=describe(gathered, path, intake, 0),
    )


def describe(gathered: Gathered, path: Path, intake: Intake, endpoints: int) -> dict[str, Any]:
    """What is kept beside the results: the file, what the tool says of itself, and the counts that a plan would give."""
    return {
        "targets": name_targets(gathered),
        "exclude": [],
        "shard": [0, 1],
        "dropped": remarks(gathered),
        "imported": {
            "file": path.name,
            "format": intake.name,
            "version": printable(gathered.origin.version, 40),
            "arguments": printable(gathered.origin.arguments, 400),
            "ports": measured_ports(gathered).text(),
            "addresses": len(gathered.addresses),
            "endpoints": endpoints,
            "bad": gathered.bad,
        },
    }


def flush(store: Store, run: Run, gathered: Gathered) -> None:
    """Save what was gathered as blocks of at most the size that an engine would make."""
    parts = [*gathered.rows, *([from_records(gathered.waiting)] if gathered.waiting else [])]
    gathered.rows, gathered.waiting, gathered.held = [], [], 0
    if not parts:
        return
    whole = join(parts)
    for first in range(0, len(whole), MAX_BLOCK):
        save_block(store, run.id, gathered.blocks, whole[first : first + MAX_BLOCK])
        gathered.blocks += 1


def name_services(store: Store, run: Run, gathered: Gathered) -> int:
    """A service for every open endpoint: what the file claims, else a guess by the port. Returns how many were claimed."""
    judge = Judge(run.vantage, run.started)
    waiting = iter(endpoints_without_service(store, run.id))
    claimed = 0
    while endpoints := list(islice(waiting, SERVICES_AT_ONCE)):
        plain: list[Service] = []
        for endpoint in endpoints:
            claim = gathered.claims.get(endpoint)
            claimed += claim is not None
            service = claim or replace(judge.guess(endpoint, run.started, None), rung=Rung.SYN_ACK)
            findings = judge.find(service)[1] if service.confidence is not Confidence.GUESS else ()
            if findings:
                save_service(store, run.id, service, findings)
            else:
                plain.append(service)
        add_services(store, run.id, plain)
    return claimed


def finish(store: Store, run: Run, gathered: Gathered, path: Path, intake: Intake) -> None:
    """Write the coverage and the counts, and end the run."""
    whole = whole_plan(gathered)
    summary = summarise(store, run, gathered, whole)
    run = replace(run, plan=import_plan(whole), options=describe(gathered, path, intake, summary.probes), state=summary.state)
    change_run(store, run.id, {"plan": run.plan, "options": run.options})
    end_run(store, run, summary, max(gathered.latest, run.started))


def whole_plan(gathered: Gathered) -> Plan | None:
    """The hosts that were measured in whole, with the ports that the tool was told to measure."""
    ports = gathered.origin.ports
    if not gathered.whole or not ports:
        return None
    return Plan(AddressSet(tuple((number, number) for number in gathered.whole)), ports, 0, MAX_BLOCK)


def measured_ports(gathered: Gathered) -> PortSet:
    listed = {name: tuple((port, port) for port in sorted(ports)) for name, ports in gathered.ports.items()}
    ports = PortSet(**listed)
    return ports | gathered.origin.ports if gathered.whole and gathered.origin.ports else ports


def name_targets(gathered: Gathered) -> list[str]:
    """The addresses as networks and ranges, while they are few."""
    if len(gathered.addresses) > NAMED_ADDRESSES:
        first, last = min(gathered.addresses), max(gathered.addresses)
        return [f"{count(len(gathered.addresses))} addresses from {text_of(first)} to {text_of(last)}"]
    return list(AddressSet(tuple((number, number) for number in gathered.addresses)).cidrs())


def remarks(gathered: Gathered) -> list[str]:
    """What of the file is not in the run, one sentence each."""
    said = []
    if gathered.bad:
        more = f" and {count(gathered.bad - len(gathered.faults))} more" if gathered.bad > len(gathered.faults) else ""
        said.append(f"{plural(gathered.bad, 'record', 'records')} could not be used: {'; '.join(gathered.faults)}{more}")
    return said + ([gathered.cut] if gathered.cut else [])


def summarise(store: Store, run: Run, gathered: Gathered, whole: Plan | None) -> Summary:
    """Count the answers, and the silence of the hosts that were measured in whole."""
    answered = load_observations(store, run.id)
    states = np.bincount(answered["state"], minlength=6)
    silent_tcp, silent_udp = count_silent(whole, answered) if whole else (0, 0)
    total = len(answered) + silent_tcp + silent_udp
    state: RunState = "partial" if gathered.cut else "complete"
    return Summary(
        state=state,
        probes=total,
        measured=total,
        open=int(states[State.OPEN]),
        closed=int(states[State.CLOSED]),
        filtered=int(states[State.FILTERED]) + silent_tcp,
        unreachable=int(states[State.UNREACHABLE]),
        open_filtered=int(states[State.OPEN_FILTERED]) + silent_udp,
        retransmitted=0,
        seconds=max(gathered.latest - run.started, 0.0),
    )


def count_silent(whole: Plan, answered: Batch) -> tuple[int, int]:
    """How many TCP and UDP endpoints of the plan have no answer."""
    within = whole.block_of(*(answered[name] for name in COLUMNS)) >= 0
    tcp, udp = (int((within & (answered["transport"] == kind)).sum()) for kind in (Transport.TCP, Transport.UDP))
    hosts, ports = whole.targets.count, whole.ports
    return hosts * PortSet(tcp=ports.tcp).count - tcp, hosts * PortSet(udp=ports.udp).count - udp
