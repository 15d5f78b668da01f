"""Claim: the app is ready in 3 s, answers the page of a port in 10 ms and 500 times a second on its one worker, paints first
with 60 KB and weighs 200 KB with every script, and lets 100 browsers watch a scan within 100 MB.

    python bench/web.py [--runs 100] [--hosts 100] [--ports 100] [--seconds 8] [--keep FOLDER]

The real `reconshield serve` in a process of its own, on loopback, over a database in which every one of RUNS runs found
HOSTS x PORTS endpoints open (a million observations unless said otherwise). Requests bring a session and go to a hundred
different pages of ports in turn, open and not open here. Pages a second come from `wrk` where it is installed, else from a
client of this file, which shares the machine's cores with the app; which one it was is printed. Beside the clock stands the CPU
that the app's process took for a request: on a machine that is busy with other things only that says something of the app.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import many_runs
from reconshield.access import Failures, Role
from reconshield.jobs import accounts
from reconshield.jobs.grants import add_grant
from reconshield.store.db import Store, open_store
from reconshield.store.sessions import save_failures

TICKS = os.sysconf("SC_CLK_TCK")
WATCHERS, ACCOUNTS, LOOPBACK = 100, 10, "127.77.0.0/24"
SENTENCE = "a long enough sentence"
OPEN_SHARE = 50
"""Of a hundred pages so many are of ports that are open here, on every host; the others are documented ones."""
WRK = """
local paths = {{{paths}}}
local at = 0
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at], {{Cookie = "{cookie}"}})
end
done = function(summary, latency, requests)
  io.write(string.format("done %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Served:
    """The running app, and who is signed in."""

    process: subprocess.Popen[str]
    host: str
    port: int
    cookies: list[str]
    csrf: str
    ready: float

    @property
    def cookie(self) -> str:
        """Of the administrator."""
        return self.cookies[0]

    @property
    def cpu(self) -> float:
        """Seconds of CPU that its process has taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def resident(self) -> float:
        """MB in memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024

    def get(self, path: str, connection: HTTPConnection | None = None, packed: bool = False) -> tuple[HTTPResponse, bytes]:
        made = connection or HTTPConnection(self.host, self.port, timeout=30)
        headers = {"cookie": f"rs_session={self.cookie}"} | ({"accept-encoding": "gzip"} if packed else {})
        made.request("GET", path, headers=headers)
        answer = made.getresponse()
        return answer, answer.read()

    def post(self, path: str, **fields: str) -> HTTPResponse:
        made = HTTPConnection(self.host, self.port, timeout=30)
        headers = {"cookie": f"rs_session={self.cookie}", "content-type": "application/x-www-form-urlencoded"}
        made.request("POST", path, urlencode({"csrf": self.csrf, **fields}), headers)
        answer = made.getresponse()
        answer.read()
        return answer


def line(what: str, wanted: str, measured: str, fits: bool) -> None:
    print(f"{what:<44} wanted {wanted:<14} measured {measured:<44} {'ok' if fits else 'NOT MET'}", flush=True)


def seed(home: Path, runs: int, hosts: int, ports: int) -> tuple[list[str], str]:
    """The database, and accounts that are signed in: their cookies, and the first one's token against forgery."""
    many_runs.NOW = time.time()
    with open_store(str(home / "reconshield.db")) as store:
        if not accounts.list_members(store):
            many_runs.fill(store, runs, hosts, ports, with_services=2)
            many_runs.policy_of(home, hosts)
            add_grant(store, [LOOPBACK], by="bench", now=time.time(), actor="bench")
            code = accounts.setup_link(store, time.time())
            accounts.finish_setup(store, code, "bench", SENTENCE, time.time(), client="", agent="")
        new = accounts.log_in(store, "bench", SENTENCE, "", time.time(), client="", agent="bench")
        others = [join(store, new.visitor, f"watcher-{number}") for number in range(ACCOUNTS)]
    return [new.token, *others], new.visitor.csrf


def join(store: Store, boss: accounts.Visitor, name: str) -> str:
    """The cookie of a member, who is invited if there is none of that name."""
    now = time.time()
    if any(member.account == name for member in accounts.list_members(store)):
        return accounts.log_in(store, name, SENTENCE, "", now, client="", agent="bench").token
    code = accounts.invite(store, boss, Role.VIEWER, now)
    return accounts.finish_setup(store, code, name, SENTENCE, now, client="", agent="bench").token


@contextmanager
def served(home: Path, cookies: list[str], csrf: str) -> Iterator[Served]:
    """The app as people start it; `ready` is from the start of the process to its first answer."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "reconshield", "serve", "--port", "0", "--policy", str(home / "reconshield.toml")]
    environment = os.environ | {"RECONSHIELD_HOME": str(home), "RECONSHIELD_DB": str(home / "reconshield.db")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=home)
    try:
        assert process.stdout is not None
        place = urlsplit(next(text.split()[1] for text in process.stdout if text.startswith("app")))
        app = Served(process, str(place.hostname), int(place.port or 0), cookies, csrf, 0.0)
        answer, _ = app.get("/healthz")
        assert answer.status == 200
        yield Served(process, app.host, app.port, cookies, csrf, time.perf_counter() - begun)
    finally:
        process.terminate()
        process.wait(20)


def pages(app: Served) -> list[str]:
    """Pages of ports that are open here, and of documented ones that are not."""
    documented = sorted({int(found) for found in re.findall(rb'href="/ports/(\d+)"', app.get("/ports")[1])})
    here = [many_runs.FIRST_PORT + number for number in range(OPEN_SHARE)]
    return [f"/ports/{port}" for port in (*here, *[port for port in documented if port not in here][: 100 - OPEN_SHARE])]


def alone(app: Served, paths: list[str], count: int = 400, changing: Path | None = None) -> tuple[float, float, float]:
    """One visitor, one request after the other: median and 99th centile in ms, CPU of the app in ms a request. `changing`:
    somebody else writes to that database before each, so nothing that was kept is right any more.
    """
    connection = HTTPConnection(app.host, app.port, timeout=30)
    taken, cpu = [], app.cpu
    for number in range(count):
        if changing is not None:
            change(changing)
        begun = time.perf_counter()
        answer, _ = app.get(paths[number % len(paths)], connection)
        assert answer.status == 200
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98], 1000 * (app.cpu - cpu) / count


def change(home: Path) -> None:
    with open_store(str(home / "reconshield.db")) as store:
        save_failures(store, "bench:", Failures(0, time.time()), time.time() + 60)


def many(app: Served, paths: list[str], seconds: int) -> tuple[str, float, float, int]:
    """Who asked, requests a second, CPU of the app in ms a request, and how many failed."""
    cpu = app.cpu
    if shutil.which("wrk"):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(WRK.format(paths=", ".join(f'"{path}"' for path in paths), cookie=f"rs_session={app.cookie}"))
            script.flush()
            command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-s", script.name, f"http://{app.host}:{app.port}"]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        done, micros, failed = map(int, re.findall(r"^done (\d+) (\d+) (\d+)", said, re.MULTILINE)[0])
        return "wrk", done / micros * 1e6, 1000 * (app.cpu - cpu) / done, failed
    done, failed = asyncio.run(hammer(app, paths, seconds))
    return "own client", done / seconds, 1000 * (app.cpu - cpu) / max(done, 1), failed


async def hammer(app: Served, paths: list[str], seconds: int) -> tuple[int, int]:
    """Eight connections that ask without a pause: answers, and how many of them were no page."""
    end, counts = time.perf_counter() + seconds, [0, 0]

    async def ask(first: int) -> None:
        reader, writer = await asyncio.open_connection(app.host, app.port)
        number = first
        while time.perf_counter() < end:
            number += 1
            path = paths[number % len(paths)]
            writer.write(f"GET {path} HTTP/1.1\r\nhost: {app.host}\r\ncookie: rs_session={app.cookie}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head, re.IGNORECASE)[0]))
            counts[0] += 1
            counts[1] += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(ask(12 * number) for number in range(8)))
    return counts[0], counts[1]


def weight(app: Served, path: str) -> tuple[int, int, int]:
    """Bytes as they cross the network: HTML and style sheet, everything that the page names, and the HTML unpacked."""
    answer, body = app.get(path, packed=True)
    plain = gzip.decompress(body) if answer.getheader("content-encoding") == "gzip" else body
    first, whole = len(body), len(body)
    for found in sorted(set(re.findall(rb'(?:src|href)="(/static/[^"]+)"', plain))):
        _, content = app.get(found.decode(), packed=True)
        whole += len(content)
        first += len(content) if b".css" in found else 0
    return first, whole, len(plain)


def watch(app: Served) -> tuple[float, int]:
    """MB by which the app grows while browsers watch a scan, and how many of them were told of it."""
    answer = app.post("/scans", targets=LOOPBACK, ports="1-20000", engine="connect", level="2", manner="polite")
    run = str(answer.getheader("location")).rpartition("/")[2]
    path = f"/scans/{run}/events"
    before, lines = app.resident, []
    try:
        for number in range(WATCHERS):
            made = socket.create_connection((app.host, app.port), 20)
            who = app.cookies[1 + number % ACCOUNTS]
            made.sendall(f"GET {path} HTTP/1.1\r\nhost: {app.host}\r\ncookie: rs_session={who}\r\n\r\n".encode())
            lines.append(made)
        time.sleep(10)
        grown = app.resident - before
        told = sum(b"event: progress" in made.recv(65536) for made in lines)
    finally:
        for made in lines:
            made.close()
        app.post(f"/scans/{run}/stop")
    return grown, told


def measure(app: Served, home: Path, seconds: int) -> None:
    line("start to first answer", "<= 3 s", f"{app.ready:.2f} s, CPU {app.cpu:.2f} s", app.ready <= 3)
    paths = pages(app)
    for path in paths:  # what is rendered once a port, and how its runs are remembered
        app.get(path)
    median, slow, cpu = alone(app, paths)
    line("page of a port, one visitor", "<= 10 ms", f"median {median:.1f}, 99 % {slow:.1f}, CPU {cpu:.2f} ms", median <= 10)
    who, pace, cpu, failed = many(app, paths, seconds)
    text = f"{pace:.0f}/s ({who}), {failed} failed; CPU {cpu:.2f} ms"
    line("pages of ports, one worker", ">= 500/s", text, pace >= 500 and not failed)
    median, slow, cpu = alone(app, paths, 100, changing=home)
    text = f"median {median:.1f}, 99 % {slow:.1f}, CPU {cpu:.2f} ms"
    line("the same after every change of the database", "<= 10 ms", text, median <= 10)
    if app.get("/")[0].status == 200:
        median, slow, cpu = alone(app, ["/"], 20, changing=home)
        line("overview", "<= 150 ms", f"median {median:.0f}, slowest {slow:.0f}, CPU {cpu:.0f} ms", median <= 150)
    else:
        line("overview", "<= 150 ms", "there is no such page", False)
    for path in ("/ports/110", f"/ports/{many_runs.FIRST_PORT}"):
        first, whole, plain = weight(app, path)
        text = f"{first / 1000:.1f} KB (HTML is {plain / 1000:.1f} KB unpacked)"
        line(f"{path}: first paint, HTML and CSS", "<= 60 KB", text, first <= 60_000)
        line(f"{path}: with every script", "<= 200 KB", f"{whole / 1000:.1f} KB", whole <= 200_000)
    grown, told = watch(app)
    line(
        f"{WATCHERS} browsers watch a scan",
        "<= 100 MB more",
        f"{grown:.1f} MB, {told} were told",
        grown <= 100 and told == WATCHERS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--ports", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--keep", type=Path, help="a folder for the database, filled once")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        home = wish.keep or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        cookies, csrf = seed(home, wish.runs, wish.hosts, wish.ports)
        load = os.getloadavg()[0]
        print(f"{wish.runs * wish.hosts * wish.ports:,} observations; {os.cpu_count()} cores, load {load:.1f} before it began")
        with served(home, cookies, csrf) as app:
            measure(app, home, wish.seconds)


if __name__ == "__main__":
    main()
