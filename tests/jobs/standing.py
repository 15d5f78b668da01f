"""A network whose endpoints speak everything that there is, over a few runs: for the pages that tell what stands open."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from reconshield.addresses import PortSet, parse_target
from reconshield.jobs.changes import end_run
from reconshield.jobs.grants import add_grant
from reconshield.jobs.judge import Judge
from reconshield.jobs.policy import load_policy
from reconshield.knowledge.catalog import service_files
from reconshield.model import Confidence, Endpoint, Service, State, Tls
from reconshield.policy import Policy
from reconshield.report.result import Summary
from reconshield.scan.plan import Plan
from reconshield.store.db import Store
from reconshield.store.observations import save_block
from reconshield.store.runs import Run, create_run
from reconshield.store.services import add_services, save_service
from store.examples import answers

NOW = 1_795_000_000.0
HOUR, DAY = 3600.0, 86_400.0
NET = "10.77.0.0/26"
FINDINGS = 20
"""Services of a run that are judged too."""
PORTS = ((1000, 1019),)
FACTS: dict[str, tuple[Any, ...]] = {
    "auth": ("required", "none"),
    "anonymous": (True, False),
    "anonymous_read": (True, False),
    "login_clear": ("offered", "refused"),
    "starttls": ("offered", "required"),
    "package": ("1.0.1e-2+deb7u3", "9.2p1-2+deb12u2"),
    "os": ("Debian", "Ubuntu", "Windows"),
    "ntlm_version": ("10.0.14393",),
    "greeting": ("220 mail.example.org ready", "220 Red Hat mail \ud800"),
    "headers": ({"server": "Apache/2.2.15 OpenSSL/1.0.1e-fips"}, {"x-powered-by": "PHP/5.3.3"}, {"server": "nginx"}),
    "tls": ({"certificate": {"subject": "CN=x", "not_after": "2026-12-01T00:00:00Z"}}, {"version": "1.3"}),
}
SERVICES = [*sorted(path.stem for path in service_files()), "unknown", "nobody-knows-this"]
PROGRAMS = (("OpenSSH", "7.2p2"), ("OpenSSL", "1.0.1e"), ("vsftpd", "2.3.4"), ("Redis", "7.0.15"), (None, None), ("x", None))


def some_service(place: Endpoint, at: float, chance: random.Random) -> Service:
    """Anything that a probe could have said, and more."""
    name = chance.choice(SERVICES)
    facts = {key: chance.choice(values) for key, values in FACTS.items() if chance.random() < 0.35}
    product, version = chance.choice(PROGRAMS)
    confidence = chance.choice(list(Confidence))
    named = chance.choice((None, "web.example.org"))
    return Service(place, name, confidence, at, product, version, (), chance.choice(list(Tls)), facts=facts, name=named)


def policy_of(home: Path) -> Policy:
    text = """
version = 1
[[zone]]
name = "office"
targets = ["10.77.0.0/26"]
owner = "office team"
[[zone]]
name = "cell-3"
targets = ["10.77.0.16/29"]
secure = true
owner = "plant"
[[asset]]
name = "mail-1"
addresses = ["10.77.0.2"]
owner = "mail team"
[[expect]]
on = "office"
ports = "1000-1004"
reason = "they are wanted"
owner = "ops"
expires = 2026-11-30
[[expect]]
on = "office"
service = ["ssh", "redis", "http"]
reason = "they are wanted too"
owner = "ops"
expires = 2027-06-30
[[expect]]
on = "cell-3"
ports = "1010"
reason = "was"
owner = "plant"
expires = 2026-10-01
[[closed]]
on = "office"
ports = "1007"
[[accept]]
finding = "redis-no-auth"
reason = "test bed"
owner = "ops"
expires = 2026-12-05
[[schedule]]
name = "nightly"
targets = "office"
every = "1d"
fresh = "2d"
"""
    (home / "reconshield.toml").write_text(text, encoding="utf-8")
    return load_policy(home, home / "reconshield.toml")


def grant(store: Store) -> None:
    add_grant(store, [NET], by="Ada", now=NOW - 100 * DAY, until=NOW + 50 * DAY, actor="ada")


def scan(
    store: Store,
    hours: float,
    open_cells: set[tuple[str, int]],
    *,
    seed: int = 7,
    targets: str = NET,
    ports: tuple[tuple[int, int], ...] = PORTS,
    vantage: str = "dmz-1",
    policy: Policy | None = None,
    identified: bool = True,
) -> Run:
    """A run that found these open, everything else silent; what speaks is anything."""
    at, chance = NOW - hours * HOUR, random.Random(seed)
    plan = Plan(parse_target(targets).addresses, PortSet(tcp=ports), seed, 200)  # type: ignore[arg-type]
    options = {"targets": [targets], "exclude": [], "shard": [0, 1], "dropped": []}
    run = create_run(store, plan=plan.to_json(), engine="connect", vantage=vantage, grants=[], level=3, now=at, options=options)
    cells = sorted(open_cells)
    rows = answers(*((ip, port, State.OPEN) for ip, port in cells), at=at + 5)
    where = plan.block_of(rows["hi"], rows["lo"], rows["port"], rows["transport"])
    for number in range(plan.blocks):
        save_block(store, run.id, number, rows[where == number])
    asked = [Endpoint(ip, port) for ip, port in cells if identified and (port + seed) % 9]
    services = [some_service(place, at + 9, chance) for place in asked]
    add_services(store, run.id, services[FINDINGS:])
    for service in services[:FINDINGS]:
        save_service(store, run.id, service, Judge(vantage, at).find(service)[1])
    end_run(store, run, Summary("complete", plan.size, plan.size, len(cells), 0, 0, 0, 0, 0, 1.0), at + 60, policy=policy)
    return run


def cells(chance: random.Random, share: float) -> set[tuple[str, int]]:
    """A share of all endpoints of the network."""
    return {(f"10.77.0.{host}", port) for host in range(64) for port in range(1000, 1020) if chance.random() < share}


def a_few_runs(store: Store, policy: Policy | None = None) -> set[tuple[str, int]]:
    """Runs of three weeks, of which each opens and closes some; what is open at the end."""
    chance = random.Random(3)
    now_open = cells(chance, 0.12)
    for number, hours in enumerate((20 * 24, 9 * 24, 3 * 24, 2)):
        if number:
            now_open = (now_open - cells(chance, 0.2)) | cells(chance, 0.05)
        scan(store, hours, now_open, seed=number, policy=policy)
    return now_open
