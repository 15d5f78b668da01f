"""Kill scans at random moments and go on with them, N times: every open endpoint must be there once, none twice.

    python tests/system/kill_scan.py 100          (as root; the test does five)

Each round is a scan with data of its own: SIGKILL, `--resume`, half of the time SIGKILL again, `--resume` to the end.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from reconshield.jobs.results import load_result
from reconshield.model import Endpoint
from reconshield.report.result import RunResult
from reconshield.settings import load_settings
from reconshield.store.db import open_store
from reconshield.store.runs import Run, list_runs
from system.listeners import listening
from system.netns import Lab, Namespace
from system.scanning import command, environment

HOST = "10.97.0.2"
PORTS = (1, 3000)
OPEN = range(7, 3000, 120)
SPEED = ("--per-host", "2000")
"""Slow enough that a kill meets every part of the work: 1.5 s of measuring, then 25 endpoints to identify, 16 at once."""


def greet(connection: socket.socket) -> None:
    """As much of SSH as is needed to be named, and slow enough to be killed at it."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    connection.recv(1024)
    time.sleep(0.4)
    connection.close()


@contextmanager
def target() -> Iterator[Namespace]:
    """A scanner's namespace, with a host at the other end of its cable that has the open ports."""
    with Lab() as lab, ExitStack() as stack:
        scanner, host = lab.namespace("scan"), lab.namespace("kill")
        lab.link(scanner, host, "10.97.0.1/24", f"{HOST}/24")
        for port in OPEN:
            stack.enter_context(listening(host, HOST, port, greet))
        yield scanner


def kill_and_resume(scanner: Namespace, home: Path, moments: list[float]) -> tuple[int, list[float]]:
    """Kill a scan after each of these seconds, then let it end. Gives its exit code and the kills that came in time."""
    start = [HOST, "-p", f"{PORTS[0]}-{PORTS[1]}", "--authorized-by", "test", "--level", "3", *SPEED]
    killed: list[float] = []
    for moment in [*moments, None]:
        runs = stored_runs(home)
        if any(run.state == "complete" for run in runs):
            return 0, killed  # the kill came between the last transaction and the end of the process
        begun = bool(runs)
        told = command(scanner, home, "--quiet", "scan", *(["--resume", "latest", *SPEED] if begun else start))
        child = subprocess.Popen(told, stdout=subprocess.DEVNULL, env=environment())
        try:
            return child.wait(timeout=300 if moment is None else moment), killed
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
            killed += [] if moment is None else [moment]
    return -signal.SIGKILL, killed


def stored_runs(home: Path) -> list[Run]:
    """The runs that a home knows; none before its database exists."""
    settings = load_settings({"home": str(home)}, {})
    if not (home / "reconshield.db").exists():
        return []
    with open_store(settings.db, settings.workspace) as store:
        return list_runs(store)


def load(home: Path) -> RunResult:
    settings = load_settings({"home": str(home)}, {})
    with open_store(settings.db, settings.workspace) as store:
        return load_result(store, "latest")


def complaints(result: RunResult) -> list[str]:
    """What is wrong with a run that was killed and resumed; empty when all is there once."""
    expected = sorted(Endpoint(HOST, port) for port in OPEN)
    seen = sorted(observation.endpoint for observation in result.observations)
    known = sorted(rated.service.endpoint for rated in result.services)
    judged = [(finding.endpoint, finding.check) for finding in result.findings]
    wrong = [] if seen == expected else [f"open endpoints: {len(seen)} of {len(expected)}"]
    wrong += [] if known == expected else [f"services: {len(known)} of {len(expected)}"]
    once = len(judged) == len(set(judged)) and {endpoint for endpoint, _ in judged} == set(expected)
    wrong += [] if once else [f"findings: {len(judged)}, {len(set(judged))} different"]
    whole = (result.summary.state, result.summary.measured, result.summary.open)
    wanted = ("complete", PORTS[1] - PORTS[0] + 1, len(expected))
    return wrong + ([] if whole == wanted else [f"summary: {whole}, not {wanted}"])


def rounds(number: int, seed: int) -> Iterator[tuple[list[float], list[str]]]:
    """The kills of each round, as seconds after a start, and what was wrong in the end."""
    dice = random.Random(seed)
    with target() as scanner:
        for _ in range(number):
            moments = [round(dice.uniform(0.5, 3.5), 2) for _ in range(dice.choice([1, 2]))]
            with tempfile.TemporaryDirectory() as folder:
                code, killed = kill_and_resume(scanner, Path(folder), moments)
                yield killed, complaints(load(Path(folder))) + ([f"exit {code}"] if code else [])


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    bad = 0
    for count, (moments, wrong) in enumerate(rounds(number, seed), 1):
        bad += bool(wrong)
        print(f"{count}/{number}  killed after {moments} s  {'; '.join(wrong) or 'all there once'}", flush=True)
    print(f"seed {seed}: {number - bad} of {number} rounds right")
    return bad


if __name__ == "__main__":
    sys.exit(main())
