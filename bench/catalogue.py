"""Claim: a cold look-up of a port takes 0.25 s, a warm one 2 ms, a search 0.3 s with its start; a site is built in 60 s.

    python bench/catalogue.py [--no-site]

Cold is a process of its own, from start to exit, output thrown away, the median of some runs after one that warms the disk's
cache. Warm is `profile` and all its sections in one process, over every documented endpoint. A stale index of a source
checkout is renewed first, as packaging does. CPU seconds stand beside clock seconds, for other programs slow the clock.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reconshield.jobs.site import build_site
from reconshield.knowledge.index import load_index, write_index
from reconshield.knowledge.profile import profile
from reconshield.knowledge.sections import sections_of

RUNS = 9
COLD = (
    ("look-up, cold", ("port", "110"), 0.25),
    ("look-up, cold, no entry", ("port", "40001"), 0.25),
    ("look-up by name, cold", ("port", "postgresql", "--json"), 0.25),
    ("search", ("ports", "dovecot"), 0.30),
    ("search, mistyped", ("ports", "elasticsearh"), 0.30),
)


def run_cold(arguments: tuple[str, ...], home: str) -> tuple[float, float]:
    """Seconds on the clock and of the processors for one process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environ = {**os.environ, "RECONSHIELD_HOME": home}
    command = [sys.executable, "-m", "reconshield", *arguments]
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(name: str, clock: float, cpu: float | None, limit: float, unit: str = "s") -> bool:
    shown = f"{cpu:8.3f} {unit} CPU" if cpu is not None else ""
    word = "ok" if clock <= limit else "ok by CPU, slow clock" if cpu is not None and cpu <= limit else "MISSED"
    sys.stdout.write(f"{name:<28}{clock:8.3f} {unit:<3}{shown:<18} of {limit:g} {unit}  {word}\n")
    return word != "MISSED"


def measure_warm() -> float:
    """Milliseconds for one documented number with all its sections, the mean over all of them."""
    ports = sorted({row.port for service in load_index().services.values() for row in service.endpoints})
    for port in ports:
        profile(port)
    started = time.perf_counter()
    for port in ports:
        for found in profile(port):
            sections_of(found)
    return 1000 * (time.perf_counter() - started) / len(ports)


def measure_site() -> tuple[float, float, int]:
    """Clock and CPU seconds of a build, and how many files there are."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        built = build_site(Path(folder), now=time.time())
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before[0].ru_utime - before[0].ru_stime + time.process_time() - before[1]
        return built.seconds, cpu / (os.cpu_count() or 1), built.files


def main() -> int:
    write_index()
    good = []
    with tempfile.TemporaryDirectory() as home:
        for name, arguments, limit in COLD:
            run_cold(arguments, home)
            pairs = [run_cold(arguments, home) for _ in range(RUNS)]
            good.append(
                show(name, statistics.median(row[0] for row in pairs), statistics.median(row[1] for row in pairs), limit)
            )
    good.append(show("look-up, warm", measure_warm(), None, 2.0, "ms"))
    if "--no-site" not in sys.argv[1:]:
        clock, cpu, files = measure_site()
        good.append(show(f"site, {files:,} files", clock, cpu, 60.0))
    return not all(good)


if __name__ == "__main__":
    sys.exit(main())
