"""Claim: a million open endpoints are stored in 10 s on SQLite, in 20 s on PostgreSQL; two such runs compared in 2 s, 500 MB.

    python bench/store.py [ROWS]

Endpoints of 10.0.0.0/12 in random order, in 20 blocks; every answer is open, the worst case: each goes into its block and into
a row. The second run differs in one endpoint of a hundred. Everything is on disk with the engine's own guarantees (SQLite
synchronous=FULL, PostgreSQL fsync=on). Comparing includes loading both runs; its memory is the peak of a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconshield.inventory import Measurement, diff
from reconshield.model import OBSERVATION_FIELDS, Reason, State, Transport
from reconshield.store.db import open_store
from reconshield.store.observations import load_observations, save_block
from reconshield.store.runs import create_run

BLOCKS = 20
NOW = 1_790_000_000.0


def make_rows(count: int) -> NDArray[Any]:
    """`count` different endpoints in random order, as a permuted plan visits them."""
    random = np.random.default_rng(7)
    pairs = random.permutation(count)
    rows = np.zeros(count, OBSERVATION_FIELDS)
    rows["lo"] = 0xFFFF0A000000 + pairs // 16
    rows["port"] = 1 + pairs % 16 * 4000 + pairs // 16 % 4000
    rows["transport"], rows["state"], rows["reason"], rows["ttl"] = Transport.TCP, State.OPEN, Reason.SYN_ACK, 64
    rows["rtt_us"] = random.integers(100, 200_000, count)
    rows["at"] = NOW + np.arange(count) * 1e-5
    return rows


def change_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """A later run: half a hundredth closed, as many new, everything measured again."""
    later = rows.copy()
    later["at"] += 86400
    few = len(rows) // 200
    later["state"][:few], later["reason"][:few] = State.CLOSED, Reason.RESET
    later["lo"][few : 2 * few] += 1 << 24
    return later


def store_run(url: str, rows: NDArray[Any]) -> tuple[str, float, float]:
    """The run's id, seconds by the clock, and seconds of this process's CPU: far apart when the machine is busy elsewhere."""
    with open_store(url) as store:
        begun, cpu = time.perf_counter(), time.process_time()
        run = create_run(store, plan={"seed": 7}, engine="raw", vantage="bench", grants=[], level=2, now=NOW)
        for number, block in enumerate(np.array_split(rows, BLOCKS)):
            save_block(store, run.id, number, block)
        return run.id, time.perf_counter() - begun, time.process_time() - cpu


def covers_everything(rows: NDArray[Any]) -> NDArray[Any]:
    return np.ones(len(rows), bool)


def compare_runs(url: str, first: str, second: str) -> None:
    """In its own process, so that its peak memory is its own."""
    with open_store(url) as store:
        begun = time.perf_counter()
        before, after = (Measurement(load_observations(store, run), "bench", NOW, covers_everything) for run in (first, second))
        loaded = time.perf_counter() - begun
        changes = diff(before, after)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  diff   {seconds:6.2f} s (loading {loaded:.2f} s)   {len(changes):,} changes   peak {peak:.0f} MB")


def measure(name: str, url: str, count: int) -> None:
    rows = make_rows(count)
    first, seconds, cpu = store_run(url, rows)
    second, again, _ = store_run(url, change_rows(rows))
    print(f"{name}: {count:,} open observations, {BLOCKS} blocks")
    speed = f"{count / seconds:,.0f} rows/s"
    print(f"  store  {seconds:6.2f} s (CPU here {cpu:.2f} s), second run {again:.2f} s   {speed}", flush=True)
    subprocess.run([sys.executable, __file__, "--compare", url, first, second], check=True)


def main() -> None:
    if sys.argv[1:2] == ["--compare"]:
        compare_runs(*sys.argv[2:])
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(f"python bench/store.py {count}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        measure("SQLite", str(path), count)
        print(f"  file   {path.stat().st_size >> 20:6} MB for both runs")
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from postgres import private_server, server_programs

    programs = server_programs()
    if programs is None:
        print("PostgreSQL: not measured, no server in /usr/lib/postgresql")
        return
    with private_server(programs, fsync=True) as url:
        measure("PostgreSQL", url, count)


if __name__ == "__main__":
    main()
