"""How long the pages take that tell what stands open: the dashboard, the panel of a port, a list.

    python bench/dashboard.py [RUNS] [HOSTS] [PORTS]

A database of `tests/many_runs.py`: 100 runs, each with 100 hosts × 100 ports open (1,000,000 observations). Claims: the
dashboard takes at most 150 ms, the panel of one port 5 ms. `cold` is the first time after something changed, `warm` each time
after that; milliseconds by the clock, in brackets those of this process's CPU: far apart when the machine is busy elsewhere.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from many_runs import DAY, FIRST_PORT, NOW, fill, policy_of
from reconshield.jobs import run_area
from reconshield.jobs.dashboard import dashboard
from reconshield.jobs.listing import Filters, list_open
from reconshield.jobs.open_table import TABLES
from reconshield.jobs.port_exposure import port_exposure
from reconshield.store.db import open_store

TIMES = 15


def forget() -> None:
    """As if something had changed: nothing that was kept holds."""
    TABLES.forget()
    for memory in (run_area.COVERS, run_area.AREAS, run_area.CLOSED):
        memory.forget()


def show(what: str, do: Callable[[], Any], *, cold: bool = False, times: int = TIMES) -> None:
    clock, cpu = [], []
    for _ in range(times):
        if cold:
            forget()
        begun, worked = time.perf_counter(), time.process_time()
        do()
        cpu.append(time.process_time() - worked)
        clock.append(time.perf_counter() - begun)
    print(f"  {what:<44} {median(clock) * 1000:8.1f} ms ({median(cpu) * 1000:.1f})   best {min(clock) * 1000:.1f}")


def main(runs: int = 100, hosts: int = 100, ports: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder, open_store(str(Path(folder) / "x.db")) as store:
        begun = time.perf_counter()
        fill(store, runs, hosts, ports)
        policy = policy_of(Path(folder), hosts)
        gc.set_threshold(100_000, 20, 20)  # as the program does
        print(f"{runs} runs x {hosts * ports:,} open endpoints, stored in {time.perf_counter() - begun:.0f} s")
        dashboard(store, policy, NOW - DAY, NOW)  # loads code and the catalogue
        few = max(3, TIMES // max(1, hosts * ports // 10_000))
        show("dashboard, cold", lambda: dashboard(store, policy, NOW - DAY, NOW), cold=True, times=few)
        show("dashboard, warm", lambda: dashboard(store, policy, NOW - DAY, NOW))
        busy = iter(range(FIRST_PORT, FIRST_PORT + ports))
        show(f"port, {hosts} open on it, cold", lambda: port_exposure(store, policy, next(busy), "tcp", NOW), cold=True)
        show(f"port, {hosts} open on it, warm", lambda: port_exposure(store, policy, FIRST_PORT, "tcp", NOW))
        show("port that nobody measured", lambda: port_exposure(store, policy, 7, "tcp", NOW))
        show("list, first page", lambda: list_open(store, None, policy=policy, now=NOW))
        chosen = Filters(service=["redis"], rating=["critical"], text="z1")
        show(
            "list, filtered, by when it opened",
            lambda: list_open(store, None, policy=policy, now=NOW, sort="opened", filters=chosen),
        )
        show("list of a run, cold", lambda: list_open(store, "latest", policy=policy, now=NOW), cold=True, times=few)
        show("list of a run, warm", lambda: list_open(store, "latest", policy=policy, now=NOW))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
