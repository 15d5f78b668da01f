"""Kill monitors and workers at random moments: no scan lost, no block missing, no alert lost, none told twice but by its key.

    python tests/system/kill_monitor.py 100              (a hundred kills, on SQLite)
    python tests/system/kill_monitor.py 100 --postgresql (a monitor and two workers on a private PostgreSQL)

Each round begins with data of its own in which some ports were seen closed. They are open now, a schedule is due, and a webhook
receiver listens. Processes are killed (SIGKILL) and started again at random moments until the round has had its kills; then
they may end their work. In the end the scan must be whole, each port that opened one alert, and each alert told: at least once,
and every further time with the key of the first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from alert.receivers import Posts, web_server
from postgres import make_database, private_server, server_programs
from reconshield.jobs.alerting import list_alerts
from reconshield.model import Endpoint
from reconshield.scan.plan import Plan
from reconshield.store import occurrences as kept
from reconshield.store import outbox
from reconshield.store.db import Store, open_store
from reconshield.store.observations import blocks_done
from reconshield.store.runs import find_run, list_runs
from reconshield.store.services import services
from system.scanning import environment

PLACE = f"127.{80 + os.getpid() % 40}.{os.getpid() % 251}"
"""Loopback addresses of our own, so that two of these programs do not meet."""
NETWORK, HOST = f"{PLACE}.0/30", f"{PLACE}.2"
PORTS = (7200, 8199)
OPEN = range(7210, 8199, 50)
PATIENCE = 300.0
"""Seconds for what is left to do: a scan that was lost never ends, so a busy machine gets its time."""
POLICY = """
version = 1
[[schedule]]
name = "all"
targets = "{network}"
ports = "{first}-{last}"
every = "24h"
level = 3
rate = 700
[[channel]]
name = "soc"
kind = "webhook"
url = "{url}"
secret = "env:KILL_SECRET"
[[route]]
to = "soc"
"""


@dataclass
class Round:
    """One round: its data, its processes, and the kills they suffered (seconds after their start)."""

    home: Path
    url: str
    roles: tuple[tuple[str, ...], ...]
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    begun: dict[int, float] = field(default_factory=dict)
    kills: list[float] = field(default_factory=list)

    def start(self, number: int) -> None:
        told = [sys.executable, "-m", "reconshield", "--home", str(self.home), "--db", self.url, "--quiet", *self.roles[number]]
        log = (self.home / f"log-{number}").open("ab")
        environ = environment() | {"KILL_SECRET": "s"}
        self.running[number] = subprocess.Popen(told, stdout=log, stderr=log, env=environ, cwd=self.home)
        self.begun[number] = time.monotonic()
        log.close()

    def kill(self, number: int) -> None:
        child = self.running[number]
        child.send_signal(signal.SIGKILL)
        child.wait()
        self.kills.append(round(time.monotonic() - self.begun[number], 2))

    def stop(self) -> None:
        for child in self.running.values():
            child.kill()
            child.wait()


def greet(listener: socket.socket) -> None:
    """As much of SSH as is needed to be named, and slow enough to be killed at it."""
    with contextlib.suppress(OSError):
        while True:
            made, _ = listener.accept()
            threading.Thread(target=answer, args=(made,), daemon=True).start()


def answer(made: socket.socket) -> None:
    with contextlib.suppress(OSError), made:
        made.settimeout(5)
        made.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        made.recv(1024)
        time.sleep(0.1)


def policy_text(url: str) -> str:
    return POLICY.format(network=NETWORK, first=PORTS[0], last=PORTS[1], url=url)


@contextmanager
def open_ports() -> Iterator[None]:
    with ExitStack() as stack:
        for port in OPEN:
            listener = stack.enter_context(socket.create_server((HOST, port), backlog=64))
            stack.callback(listener.shutdown, socket.SHUT_RDWR)  # a thread that waits in accept would keep it open
            threading.Thread(target=greet, args=(listener,), daemon=True).start()
        yield


def make_baseline(home: Path, url: str) -> None:
    """A run in which every port was closed."""
    told = ["--home", str(home), "--db", url, "--quiet", "scan", NETWORK, "-p", f"{PORTS[0]}-{PORTS[1]}", "--level", "3"]
    subprocess.run([sys.executable, "-m", "reconshield", *told], check=True, stdout=subprocess.DEVNULL, env=environment())


def play(one: Round, kills: int, dice: random.Random) -> None:
    """Start everything, kill one process after the other, start it again, wait until the work is done."""
    for number in range(len(one.roles)):
        if number not in one.running:
            one.start(number)
    for _ in range(kills):
        time.sleep(dice.choice([dice.uniform(0.2, 3.0), dice.uniform(2.0, 9.0)]))
        number = dice.randrange(len(one.roles))
        one.kill(number)
        one.start(number)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not is_done(one.url):
        time.sleep(0.25)


def is_done(url: str) -> bool:
    with open_store(url) as store:
        last = kept.newest(store, "all")
        return (
            last is not None and last.state == "complete" and not outbox.count_deliveries(store).get("soc", {}).get("waiting")
        )


def complaints(store: Store, posts: Posts, kills: int) -> list[str]:
    """What is wrong in the end; empty when nothing was lost and nothing doubled."""
    wrong = []
    last = kept.newest(store, "all")
    if last is None or last.state != "complete" or last.run is None:
        return [f"the scan ended as {last.state if last else 'nothing'}: {last.note if last else ''}"]
    runs = list_runs(store)
    wrong += [] if len(runs) == 2 else [f"{len(runs) - 1} runs for one slot"]
    plan = Plan.from_json(find_run(store, last.run).plan)
    done = blocks_done(store, last.run)
    wrong += [] if done == set(range(plan.blocks)) else [f"blocks: {len(done)} of {plan.blocks}"]
    expected = {Endpoint(HOST, port) for port in OPEN}
    named = Counter(service.endpoint for service in services(store, last.run))
    wrong += [] if named == Counter(expected) else [f"services: {sum(named.values())} of {len(expected)}"]
    alerts = Counter(m.event.endpoint for m in list_alerts(store, everything=True) if m.event.kind == "opened")
    wrong += [] if alerts == Counter(expected) else [f"alerts: {len(alerts)} endpoints, {sum(alerts.values())} alerts"]
    told = [json.loads(body) for _, body, _ in posts.got]
    keys = Counter(headers["webhook-id"] for headers, _, _ in posts.got)
    reached = {(a["ip"], a["port"]) for one in told for a in one["alerts"] if a["change"] == "opened"}
    wrong += [] if reached == {(e.ip, e.port) for e in expected} else [f"told: {len(reached)} of {len(expected)}"]
    by_alert: dict[tuple[str, int, str], set[str]] = {}
    for one in told:
        for alert in one["alerts"]:
            by_alert.setdefault((alert["id"], alert["revision"], alert["status"]), set()).add(one["key"])
    twice = [alert for alert, found in by_alert.items() if len(found) > 1]
    wrong += [f"{len(twice)} alerts told under two keys"] if twice else []
    repeats = sum(keys.values()) - len(keys)
    wrong += [f"{repeats} repeats for {kills} kills"] if repeats > kills else []
    return wrong


def rounds(kills: int, seed: int, server: str | None = None) -> Iterator[tuple[list[float], list[str]]]:
    """The kills of each round, and what was wrong in the end, until there were enough kills."""
    dice, had = random.Random(seed), 0
    roles: tuple[tuple[str, ...], ...] = (("monitor", "start"),)
    roles = (*roles, ("worker",), ("worker",)) if server else roles
    with tempfile.TemporaryDirectory() as folder:
        while had < kills:
            home = Path(folder) / f"round-{had}"
            home.mkdir()
            url = make_database(server) if server else str(home / "reconshield.db")
            make_baseline(home, url)
            with web_server() as posts, open_ports():
                (home / "reconshield.toml").write_text(policy_text(posts.url))
                one = Round(home, url, roles)
                try:
                    play(one, min(dice.choice([1, 2, 3]), kills - had), dice)
                finally:
                    one.stop()
                with open_store(url) as store:
                    wrong = complaints(store, posts, len(one.kills))
                if wrong:
                    wrong += [(home / f"log-{n}").read_text()[-2000:] for n in range(len(roles))]
            had += len(one.kills)
            shutil.rmtree(home)
            yield one.kills, wrong


def main() -> int:
    reader = argparse.ArgumentParser()
    reader.add_argument("kills", type=int, nargs="?", default=100)
    reader.add_argument("seed", type=int, nargs="?", default=int(time.time()))
    reader.add_argument("--postgresql", action="store_true")
    asked = reader.parse_args()
    bad = had = 0
    with ExitStack() as stack:
        programs = server_programs() if asked.postgresql else None
        server = stack.enter_context(private_server(programs, fsync=False)) if programs else None
        for kills, wrong in rounds(asked.kills, asked.seed, server):
            bad, had = bad + bool(wrong), had + len(kills)
            print(
                f"{had}/{asked.kills}  killed after {kills} s  {'; '.join(wrong) or 'nothing lost, nothing doubled'}",
                flush=True,
            )
    print(f"seed {asked.seed}: {had} kills, {bad} rounds wrong")
    return bad


if __name__ == "__main__":
    sys.exit(main())
