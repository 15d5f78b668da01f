"""How much of one core does a monitor take that has 10,000 assets on schedule and nothing to do?

    python bench/monitor.py [SECONDS]

A policy with 10,000 assets in 100 zones, one schedule a zone (each measured a minute ago), two channels; a real monitor process
with its metrics served. After it has settled, its CPU time over SECONDS (60) is divided by the time that passed, once left
alone and once with Prometheus asking every 15 s. Claim: at most 5 % of one core.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from reconshield.jobs.policy import load_policy
from reconshield.jobs.scheduled import call_due
from reconshield.settings import load_settings
from reconshield.store import occurrences as kept
from reconshield.store.db import open_store

ZONES, ASSETS = 100, 100
LIMIT = 5.0
PORT = 29110
SETTLE = 20.0


def policy_text() -> str:
    tables = ["version = 1"]
    for zone in range(ZONES):
        tables.append(
            f'[[zone]]\nname = "z{zone}"\ntargets = ["127.{100 + zone // 250}.{zone % 250}.0/24"]\nowner = "team {zone}"'
        )
        tables.append(f'[[schedule]]\nname = "s{zone}"\ntargets = "z{zone}"\nports = "1-1024"\nevery = "24h"')
        for asset in range(ASSETS):
            address = f"127.{100 + zone // 250}.{zone % 250}.{asset + 1}"
            tables.append(f'[[asset]]\nname = "a{zone}-{asset}"\naddresses = ["{address}"]')
    tables.append('[[channel]]\nname = "log"\nkind = "file"\npath = "alerts.jsonl"')
    tables.append('[[route]]\nto = "log"\nescalate = { after = "1h", to = "log" }')
    return "\n\n".join(tables)


def fill(home: Path) -> None:
    """Every schedule came due and was measured whole."""
    settings, now = load_settings({"home": str(home)}, {}), time.time()
    with open_store(settings.db) as store:
        call_due(store, load_policy(home, home / "reconshield.toml"), now)
        for occurrence in kept.unfinished(store):
            kept.change_occurrence(store, occurrence.schedule, occurrence.slot, state="complete", finished_at=now)


def share_of_core(process: psutil.Process, seconds: float, scrape: bool) -> float:
    """Per cent of one core over a time."""
    before, begin = process.cpu_times(), time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        if scrape:
            with urlopen(f"http://127.0.0.1:{PORT}/metrics") as answer:
                answer.read()
        time.sleep(min(15.0, max(seconds - passed, 0.0)))
    after = process.cpu_times()
    return 100 * (after.user + after.system - before.user - before.system) / (time.monotonic() - begin)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "reconshield.toml").write_text(policy_text())
        fill(home)
        told = [sys.executable, "-m", "reconshield", "--home", folder, "--quiet", "monitor", "start"]
        child = subprocess.Popen(
            [*told, "--policy", str(home / "reconshield.toml"), "--metrics", f"127.0.0.1:{PORT}"], cwd=home
        )
        try:
            time.sleep(SETTLE)
            process = psutil.Process(child.pid)
            alone, asked = (share_of_core(process, seconds, scrape) for scrape in (False, True))
            memory = process.memory_info().rss / 1e6
        finally:
            child.kill()
            child.wait()
    print(f"{ZONES * ASSETS:,} assets, {ZONES} schedules, nothing due, {seconds:g} s each, {memory:.0f} MB")
    print(f"left alone {alone:.2f} % of one core; asked for metrics every 15 s {asked:.2f} %; limit {LIMIT:g} %")
    return int(max(alone, asked) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
