"""What it costs to let many watch one scan: claim, a hundred clients need at most 100 MB.

    python bench/live.py [CLIENTS]

A scan of 127.0.0.1 runs in the background (65,535 ports at 8,000 a second); so many clients on one event loop read its states
as the web app's live page does. Printed are the memory that the clients add, how many states each of them got, and the CPU of
the whole process beside that of the same scan with nobody watching.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import psutil

from reconshield.jobs.live import LiveScans
from reconshield.jobs.scan import prepare_scan
from reconshield.jobs.scan_request import ScanRequest
from reconshield.settings import load_settings
from reconshield.store.db import open_store

REQUEST = ScanRequest(("127.0.0.1",), ports="1-65535", level=2, rate=8000, engine="connect", seed=7)


async def watch(live: LiveScans, run: str) -> int:
    return len([state async for state in live.changes("main", run)])


async def watch_all(live: LiveScans, run: str, clients: int) -> tuple[list[int], int]:
    """States that each client got, and the most memory meanwhile."""
    tasks = [asyncio.create_task(watch(live, run)) for _ in range(clients)]
    process, most = psutil.Process(), 0
    while not all(task.done() for task in tasks):
        most = max(most, process.memory_info().rss)
        await asyncio.sleep(0.2)
    return [await task for task in tasks], most


def scan(home: Path, clients: int) -> tuple[float, list[int], int]:
    """CPU seconds of a scan that so many watch, the states that each got, and the most memory."""
    settings = load_settings({"home": str(home)}, {})
    with open_store(settings.db) as store:
        live, begun = LiveScans(), time.process_time()
        run = live.start(store, prepare_scan(store, settings, REQUEST, time.time(), policy=None), "bench")
        states, most = asyncio.run(watch_all(live, run, max(clients, 1)))
        live.close(30)
        return time.process_time() - begun, states, most


def main(clients: int = 100) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scan(Path(folder, "a"), 1)  # loads code
        alone, _, before = scan(Path(folder, "b"), 1)
        together, states, most = scan(Path(folder, "c"), clients)
    print(f"{clients} clients: {(most - before) / 1e6:+.1f} MB over one client, {min(states)} to {max(states)} states each")
    print(f"CPU of the scan {alone:.2f} s with one client, {together:.2f} s with {clients}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
