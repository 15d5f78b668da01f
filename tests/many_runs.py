"""A database in which a hundred runs each found ten thousand endpoints open, for the pages that ask what stands open now.

    python tests/many_runs.py FILE [RUNS] [HOSTS] [PORTS]

Every host answers on every port; nothing changes but one endpoint a run, which opens and stays. The newest runs know what
speaks. All is written through the store but for the copies of services, which SQL makes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from sqlalchemy import text

from reconshield.addresses import AddressSet, PortSet
from reconshield.jobs.grants import add_grant
from reconshield.jobs.policy import load_policy
from reconshield.model import OBSERVATION_FIELDS, Confidence, Endpoint, Reason, Rung, Service, State, Tls
from reconshield.policy import Policy
from reconshield.scan.plan import Plan
from reconshield.store.db import Store, open_store
from reconshield.store.exposures import Turn, save_turns
from reconshield.store.observations import save_block
from reconshield.store.runs import create_run, finish_run
from reconshield.store.services import add_services
from reconshield.store.tables import SERVICES

DAY = 86_400.0
NOW = 1_795_000_000.0
FIRST_PORT = 8000
KINDS = (("http", "nginx", "1.24.0"), ("ssh", "OpenSSH", "9.2p1"), ("pop3", "Dovecot", None), ("redis", "Redis", "7.0.15"))


def network(hosts: int) -> AddressSet:
    first = int.from_bytes(bytes([10, 77, 0, 0]), "big") + (0xFFFF << 32)
    return AddressSet(((first, first + hosts - 1),))


def policy_of(home: Path, hosts: int) -> Policy:
    """Zones of 64 hosts each, an expectation for some ports, a closed one, and a schedule."""
    cidrs = [f"10.77.{number * 64 // 256}.{number * 64 % 256}/26" for number in range((hosts + 63) // 64)]
    tables = ["version = 1", *(f'[[zone]]\nname = "z{n}"\ntargets = ["{cidr}"]' for n, cidr in enumerate(cidrs))]
    tables.append(
        f'[[expect]]\non = "z0"\nports = "{FIRST_PORT}-{FIRST_PORT + 9}"\nreason = "web"\nowner = "ops"\nexpires = 2026-12-01'
    )
    tables.append(f'[[closed]]\non = "z1"\nports = "{FIRST_PORT + 50}"\nreason = "never"')
    (home / "reconshield.toml").write_text("\n\n".join(tables), encoding="utf-8")
    return load_policy(home, home / "reconshield.toml")


def fill(store: Store, runs: int = 100, hosts: int = 100, ports: int = 100, with_services: int | None = None) -> None:
    """The runs, one a day, the last one an hour before `NOW`. `with_services`: only so many of the newest have services."""
    area, last = network(hosts), FIRST_PORT + ports - 1
    add_grant(store, [area.text()], by="bench", now=NOW - 200 * DAY, until=NOW + 30 * DAY, actor="bench")
    plan = Plan(area, PortSet(tcp=((FIRST_PORT, last),)), 7, 6250)
    options = {"targets": [area.text()], "exclude": [], "shard": [0, 1], "dropped": []}
    first: str | None = None
    for number in range(runs):
        at = NOW - 3600 - (runs - 1 - number) * DAY
        run = create_run(
            store, plan=plan.to_json(), engine="connect", vantage="dmz-1", grants=["g1"], level=3, now=at, options=options
        )
        for block in range(plan.blocks):
            pairs = plan.pairs(block)
            rows = np.zeros(len(pairs.port), OBSERVATION_FIELDS)
            rows["hi"], rows["lo"], rows["port"], rows["transport"] = pairs
            rows["state"], rows["reason"], rows["ttl"], rows["rtt_us"], rows["at"] = State.OPEN, Reason.SYN_ACK, 64, 900, at + 5
            shut = number < runs - 1 - (rows["port"] - FIRST_PORT)
            shut &= rows["lo"] == area.first & (1 << 64) - 1
            rows["state"][shut], rows["reason"][shut] = State.CLOSED, Reason.RESET
            save_block(store, run.id, block, rows)
        if with_services is None or number >= runs - with_services:
            if first is None:
                add_services(store, run.id, services(area, ports, at))
                first = run.id
            else:
                copy_services(store, first, run.id)
        turns = [Turn(Endpoint("10.77.0.0", FIRST_PORT + runs - 1 - number), at - DAY, at + 5)] if number else []
        with store.together() as one:
            save_turns(one, replace(run, finished=at + 60), turns, [], "not believed")
            summary = {"probes": plan.size, "measured": plan.size, "rates": [[float(i), 4000.0] for i in range(60)]}
            finish_run(one, run.id, "complete", summary, at + 60)


def services(area: AddressSet, ports: int, at: float) -> list[Service]:
    """What speaks: four kinds in turn, with facts as probes leave them; each tenth endpoint has a certificate of its own."""
    found = []
    for host in range(area.count):
        ip = f"10.77.{host // 256}.{host % 256}"
        for port in range(FIRST_PORT, FIRST_PORT + ports):
            kind, product, version = KINDS[(host + port) % len(KINDS)]
            facts: dict[str, object] = {"greeting": f"{product} ready", "auth": "required" if port % 2 else "none"}
            if port % 10 == 0:
                ends = datetime.fromtimestamp(at + (host % 90) * DAY, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                facts["tls"] = {
                    "certificate": {"subject": f"CN=h{host}-{port}", "not_after": ends, "fingerprint": f"{host}-{port}"}
                }
            tls = Tls.IMPLICIT if port % 10 == 0 else Tls.NONE
            place = Endpoint(ip, port)
            found.append(
                Service(place, kind, Confidence.CONFIRMED, at + 9, product, version, (), tls, Rung.PROTOCOL, kind, facts)
            )
    return found


def copy_services(store: Store, source: str, run: str) -> None:
    columns = ", ".join(column.name for column in SERVICES.columns if column.name not in {"workspace", "run"})
    statement = (
        f"INSERT INTO services (workspace, run, {columns}) SELECT workspace, :run, {columns} FROM services WHERE run = :from"
    )
    with store.begin() as connection:
        connection.execute(text(statement), {"run": run, "from": source})


def main(path: str, runs: int = 100, hosts: int = 100, ports: int = 100) -> None:
    with open_store(path) as store:
        fill(store, runs, hosts, ports)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
