"""The raw engine beside masscan, zmap and nmap: the same work in the same namespaces, in turns. Needs root, iproute2, nft.

    python bench/raw.py [sink] [live] [host] [police] [numpy] [overhead] [--rounds 3]

    sink      1,048,576 SYNs that a firewall drops, with one sender and with two; nobody waits for answers. Beside them a
              process that only kicks a ring filled once: no sender is faster by this way into the kernel
    live      a /16 with one port open everywhere, at full speed: packets a second on the wire, and how many were found
    host      all 65,535 TCP ports of one host: closed by RST; 4,096 of them dropped; half of them dropped. By the command,
              and by the engine alone, as in a process that runs already (the monitor, a worker, the app)
    police    a /16 of live hosts behind a policer of 20,000 SYNs a second (burst 500) with 2 % loss each way, no rate given
    numpy     the part that is Python and NumPy: order, cookie, packet
    overhead  the engine over a loop that only kicks a ring filled once, the limit of this way into the kernel

Times are those of whole processes, start and end included, the median of the rounds. Ours is the library in a process of its
own (`PROGRAM`), and the command in `host`. masscan does not always end
by itself, so its time ends when it says that all is sent and it waits. What else the machine does is in all of them:
read the ratios.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from reconshield.knowledge.index import write_index
from system.netns import Lab, Namespace, can_make_namespaces

OWN, NEXT = "10.94.0.1", "10.94.0.2"
SINK, LIVE, TWENTIETH = "10.160.0.0/12", "10.130.0.0/16", "10.130.0.0/20"
SYNS, HOSTS = 2**20, 2**16
HALF = "tcp dport & 1 == 0"
POLICER = """table inet police {
  chain pre { type filter hook prerouting priority -300; ip daddr 10.130.0.0/16 jump in; }
  chain in {
    tcp flags & (syn | ack) == syn limit rate over 20000/second burst 500 packets drop
    numgen random mod 100 < 2 drop
  }
  chain post { type filter hook postrouting priority 300; ip saddr 10.130.0.0/16 numgen random mod 100 < 2 drop; }
}"""

PROGRAM = """
import json, os, sys, time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command does: NumPy is to start no thread of its own
from reconshield.addresses import parse_ports, parse_target
from reconshield.scan import raw
from reconshield.scan.effort import Options
from reconshield.scan.crew import BlockDone
from reconshield.scan.engine import engine_rate
from reconshield.scan.plan import make_plan
from reconshield.scope import Request, authorise
target, ports = parse_target(sys.argv[1]), parse_ports(sys.argv[2]).ports
senders, retries, wait, rate = map(float, sys.argv[3:])
targets = authorise(Request((target,)), (), target.addresses, {}, time.time())
plan = make_plan(targets.addresses, ports, rate=engine_rate(ports, "raw"))
limits = {"rate": rate or None, "per_host": None, "per_net": None}
options = Options(**limits, senders=int(senders), retries=int(retries), first_wait=wait)
began, found = time.perf_counter(), 0
for event in raw.measure(plan, targets, range(plan.blocks), options):
    if isinstance(event, BlockDone):
        found += int((event.batch["state"] == 1).sum())
print(json.dumps({"found": found, "seconds": time.perf_counter() - began}))
"""

KICK = """
import sys, time
from reconshield.scan.packets import ETH_IPV4, ethernet, shape_syn
from reconshield.scan.ring import SendRing
from reconshield.scan.wires import CHUNK, CHUNKS
from reconshield.addresses import parse_address
ring, source = SendRing(sys.argv[1], ETH_IPV4, CHUNKS * CHUNK), parse_address(sys.argv[2])
shape = shape_syn(ethernet(bytes.fromhex(sys.argv[3].replace(":", "")), bytes(6), source), source)
frame = shape.frame.copy()
frame[30:34] = [10, 160, 0, 1]
for count in (4 * CHUNK, int(sys.argv[4])):
    began = time.perf_counter()
    for _ in range(count // CHUNK):
        at, _ = ring.take(CHUNK, frame)
        ring.push(at, CHUNK)
print(time.perf_counter() - began)
"""

WATCH = """
import select, sys, time
seen = []
while not select.select([sys.stdin], [], [], 0.002)[0]:
    with open(f"/sys/class/net/{sys.argv[1]}/statistics/tx_packets") as counter:
        seen.append((time.perf_counter(), int(counter.read())))
total = seen[-1][1] - seen[0][1]
first, last = (next(at for at, count in seen if count - seen[0][1] >= share * total) for share in (0.01, 0.99))
print(0.98 * total / (last - first))
"""


@dataclass(frozen=True, slots=True)
class Wire:
    """The scanner's namespace, the target's, and the devices between them."""

    scanner: Namespace
    target: Namespace
    device: str
    far: str
    mac: str


@dataclass(frozen=True, slots=True)
class Took:
    """A round of one program: seconds, what it found, and packets a second on the wire while it sent (0 if not watched)."""

    seconds: float
    found: int = 0
    rate: float = 0.0


Side = Callable[[], Took]


def ours(wire: Wire, network: str, *, senders: int = 1, retries: int = 1, wait: float = 1.2, rate: float = 0.0) -> Took:
    began = time.perf_counter()
    out = wire.scanner.python(PROGRAM, network, "80", str(senders), str(retries), str(wait), str(rate), timeout=300)
    return Took(time.perf_counter() - began, json.loads(out)["found"])


def engine(wire: Wire, network: str, ports: str, *, retries: int = 1, wait: float = 1.2) -> Took:
    """The engine alone, with one sender: what it takes in a process that runs already."""
    out = json.loads(wire.scanner.python(PROGRAM, network, ports, "1", str(retries), str(wait), "0", timeout=300))
    return Took(out["seconds"], out["found"])


def kicks(wire: Wire) -> Took:
    """The kernel's part alone: the packets of a ring filled once, again and again."""
    return Took(float(wire.scanner.python(KICK, wire.device, OWN, wire.mac, str(SYNS), timeout=300)))


def process_of_kicks(wire: Wire) -> Took:
    """The same with the start and the end of its process."""
    began = time.perf_counter()
    kicks(wire)
    return Took(time.perf_counter() - began)


def command(wire: Wire, *words: str) -> Took:
    """`reconshield scan` as a user starts it."""
    fixed = ("--authorized-by", "bench", "--level", "2", "--fast", "--yes", "--format", "jsonl")
    began = time.perf_counter()
    out = wire.scanner.run(sys.executable, "-m", "reconshield", "scan", *words, *fixed, timeout=300)
    seconds = time.perf_counter() - began
    [summary] = [row for row in map(json.loads, out.splitlines()) if row["type"] == "summary"]
    return Took(seconds, summary["open"])


def zmap(wire: Wire, network: str, wait: int, *more: str) -> Took:
    """Without its configuration file, so that private networks are not left out; to the same next hop."""
    with tempfile.NamedTemporaryFile("r") as found:
        words = ["-p", "80", network, "-c", str(wait), "-G", wire.mac, "-i", wire.device, "-b", "/dev/null", "-o", found.name]
        rate = () if more else ("-r", "0")
        began = time.perf_counter()
        wire.scanner.run("zmap", *words, "-S", OWN, "-q", "-C", "/dev/null", *rate, *more, timeout=300)
        return Took(time.perf_counter() - began, len(set(found.read().split())))


def masscan(wire: Wire, network: str, rate: int, wait: float = 0.0) -> Took:
    """Until it says that it waits, and `wait` seconds more: by itself it does not always end."""
    words = ["masscan", network, "-p80", "--rate", str(rate), "--wait", "100", "--source-ip", OWN, "-e", wire.device]
    words += ["--source-port", "50000", "--router-mac", wire.mac.replace(":", "-")]
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile() as found,
        subprocess.Popen(
            ["ip", "netns", "exec", wire.scanner.name, *words], stdout=found, stderr=subprocess.PIPE, bufsize=0
        ) as process,
    ):
        assert process.stderr is not None
        said = b""
        while b"waiting" not in said and (part := process.stderr.read(256)):
            said = said[-256:] + part
        sent = time.perf_counter() - began
        time.sleep(wait)
        process.kill()
        found.seek(0)
        return Took(sent, len(set(re.findall(rb"on (\S+)", found.read()))))


def nmap(wire: Wire, *words: str) -> Took:
    began = time.perf_counter()
    out = wire.scanner.run("nmap", "-sS", "-n", "-Pn", "-T4", *words, "-oG", "-", timeout=600)
    return Took(time.perf_counter() - began, len(re.findall(r"\d+/open/tcp", out)))


def watched(wire: Wire, side: Side) -> Side:
    """The same, with the device's counter read every 2 ms: packets a second from the first hundredth of them to the last."""

    def work() -> Took:
        words = ["ip", "netns", "exec", wire.scanner.name, sys.executable, "-c", WATCH, wire.device]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watcher:
            time.sleep(0.3)
            took = side()
            said, _ = watcher.communicate("\n")
        return replace(took, rate=float(said))

    return work


def run(sides: dict[str, Side], rounds: int) -> dict[str, Took]:
    """Let all take their turns; the first round warms up. Gives the medians."""
    times: dict[str, list[Took]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            took = side()
            if number:
                times[name].append(took)
    medians = {}
    for name, each in times.items():
        seconds, found, rate = (statistics.median(column) for column in zip(*map(astuple, each), strict=True))
        medians[name] = Took(seconds, round(found), rate)
        watched = f"{rate:9,.0f} packets/s  " if rate else ""
        print(f"  {seconds:7.2f} s ({min(t.seconds for t in each):.2f})  found {round(found):6,}  {watched}{name}")
    return medians


def judge(what: str, ratio: float, wanted: float, *, most: bool = False) -> bool:
    good = ratio <= wanted if most else ratio >= wanted
    print(f"  {ratio:7.2f} × {what}, wanted {'at most ' if most else ''}{wanted:g}: {'yes' if good else 'NO'}", flush=True)
    return good


def bench_sink(wire: Wire, rounds: int) -> bool:
    print(f"{SYNS:,} SYNs into a sink")
    with rules(wire, f'table netdev sink {{ chain in {{ type filter hook ingress device "{wire.far}" priority 0; drop; }}; }}'):
        wire.scanner.run("ip", "neighbour", "replace", NEXT, "lladdr", wire.mac, "dev", wire.device, "nud", "permanent")
        took = run(
            {
                "one sender": lambda: ours(wire, SINK, retries=0, wait=0.0),
                "two senders": lambda: ours(wire, SINK, senders=2, retries=0, wait=0.0),
                "kicks alone": lambda: process_of_kicks(wire),
                "masscan": lambda: masscan(wire, SINK, 100_000_000),
                "zmap": lambda: zmap(wire, SINK, 0),
            },
            rounds,
        )
    for them in ("masscan", "zmap"):
        print(f"  {took[them].seconds / took['kicks alone'].seconds:7.2f} × kicks alone beside {them}")
    wanted = {("one sender", "masscan"): 1.15, ("two senders", "masscan"): 2.2, ("one sender", "zmap"): 1.8}
    wanted |= {("two senders", "zmap"): 3.5}
    good = [judge(f"{us} beside {them}", took[them].seconds / took[us].seconds, n) for (us, them), n in wanted.items()]
    return all(good)


def bench_live(wire: Wire, rounds: int) -> bool:
    print(f"a live /16 ({HOSTS:,} addresses), one port, full speed")
    wait = 2
    took = run(
        {
            "ours": watched(wire, lambda: ours(wire, LIVE, senders=2)),
            "zmap": watched(wire, lambda: zmap(wire, LIVE, wait)),
            "masscan": watched(wire, lambda: masscan(wire, LIVE, 100_000_000, wait)),
        },
        rounds,
    )
    us, them = took["ours"], took["zmap"]
    print(f"  {(them.seconds - wait) / us.seconds:7.2f} × zmap's time, start and end included, its {wait} s of waiting not")
    faster = judge("as many packets a second as zmap", us.rate / them.rate, 1.5)
    return judge("of all found", us.found / HOSTS, 1.0) and faster


def bench_host(wire: Wire, rounds: int) -> bool:
    listening = "22,80,443"
    cases = [
        ("65,535 ports, closed by RST", "", 1.5),
        ("65,535 ports, 4,096 dropped", "tcp dport 1024-5119 drop", 8.0),
        ("65,535 ports, half dropped", f"tcp dport != {{ {listening} }} {HALF} drop", 4.0),
    ]
    good = True
    for title, rule, wanted in cases:
        print(title)
        with rules(wire, f"table inet host {{ chain in {{ type filter hook input priority 0; {rule}; }}; }}"):
            took = run(
                {
                    "reconshield scan -p -": lambda: command(wire, NEXT, "-p", "-"),
                    "the engine alone": lambda: engine(wire, NEXT, "1-65535"),
                    "nmap -sS -n -Pn -T4 -p-": lambda: nmap(wire, "-p-", NEXT),
                },
                rounds,
            )
        us, alone, them = took.values()
        judge("as fast as nmap, the engine alone", them.seconds / alone.seconds, wanted)
        good &= judge("as fast as nmap", them.seconds / us.seconds, wanted) and us.found == alone.found == them.found == 3
    return good


def bench_police(wire: Wire, rounds: int) -> bool:
    print("a live /16 behind 20,000 SYNs/s (burst 500) with 2 % loss each way; no rate is given to us")
    with rules(wire, POLICER):
        took = run(
            {
                "ours, no ceiling": lambda: ours(wire, LIVE),
                "ours, 25,000/s as --normal": lambda: ours(wire, LIVE, rate=25_000),
                "zmap, full speed": lambda: zmap(wire, LIVE, 2),
                "zmap -r 15000": lambda: zmap(wire, LIVE, 2, "-r", "15000"),
                "masscan --rate 15000": lambda: masscan(wire, LIVE, 15_000, 2),
                f"nmap {TWENTIETH} (a sixteenth)": lambda: nmap(wire, "-p80", TWENTIETH),
            },
            rounds,
        )
    us = took["ours, no ceiling"]
    found = judge("of all found", us.found / HOSTS, 0.999)
    return judge("seconds", us.seconds, 8.0, most=True) and found


def bench_overhead(wire: Wire, rounds: int) -> bool:
    print(f"{SYNS:,} SYNs into a sink: the engine over a loop that kicks a filled ring")

    with rules(wire, f'table netdev sink {{ chain in {{ type filter hook ingress device "{wire.far}" priority 0; drop; }}; }}'):
        wire.scanner.run("ip", "neighbour", "replace", NEXT, "lladdr", wire.mac, "dev", wire.device, "nud", "permanent")
        took = run(
            {"kicks alone": lambda: kicks(wire), "engine": lambda: engine(wire, SINK, "80", retries=0, wait=0.0)}, rounds
        )
    return judge("the time of the kicks", took["engine"].seconds / took["kicks alone"].seconds, 1.1, most=True)


def bench_numpy(rounds: int) -> bool:
    import numpy as np

    from reconshield.addresses import PortSet, parse_address, parse_target
    from reconshield.scan.cookies import Cookies, SourcePorts
    from reconshield.scan.packets import ethernet, shape_syn
    from reconshield.scan.plan import make_plan
    from reconshield.scan.syn import SynMethod
    from reconshield.scan.wires import CHUNK

    source, area = parse_address(OWN), parse_target(SINK).addresses
    assert area is not None
    plan = make_plan(area, PortSet(tcp=((80, 80),)), rate=4.0 * CHUNK * 8)
    method = SynMethod(Cookies(bytes(range(16))), SourcePorts(np.arange(61_440, 65_536, dtype=np.uint16)))
    shape = shape_syn(ethernet(bytes(6), bytes(6), source), source)
    rows = np.zeros((CHUNK, 128), dtype=np.uint8)
    mac, attempt = np.zeros((CHUNK, 6), dtype=np.uint8), np.zeros(CHUNK, dtype=np.uint8)
    times = []
    for number in range(50 * rounds):
        began = time.perf_counter()
        pairs = plan.pairs(number % plan.blocks)
        for at in range(0, pairs.hi.size - CHUNK + 1, CHUNK):
            part = slice(at, at + CHUNK)
            shape.fill(rows, method.ask(pairs.hi[part], pairs.lo[part], pairs.port[part], attempt, mac, is_v4=True))
        times.append((time.perf_counter() - began) / pairs.hi.size * 1e9)
    print(
        f"order, cookie and packet of {pairs.hi.size:,} SYNs: median {statistics.median(times):.0f} ns, least {min(times):.0f}"
    )
    return judge("ns a packet", statistics.median(times), 200, most=True)


@contextmanager
def rules(wire: Wire, text: str) -> Iterator[None]:
    wire.target.firewall(text)
    try:
        yield
    finally:
        wire.target.run("nft", "flush", "ruleset")


@contextmanager
def make_wire() -> Iterator[Wire]:
    """A scanner, and a target that answers for two networks."""
    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        device, far = lab.link(scanner, target, f"{OWN}/24", f"{NEXT}/24")
        scanner.run("ip", "route", "add", "10.128.0.0/9", "via", NEXT)
        target.run("ip", "route", "add", "local", "10.128.0.0/9", "dev", "lo")
        mac = target.run("cat", f"/sys/class/net/{far}/address").strip()
        with target.listeners([("0.0.0.0", port) for port in (22, 80, 443)]):
            yield Wire(scanner, target, device, far, mac)


PEERS = {"sink": ("masscan", "zmap"), "live": ("masscan", "zmap"), "host": ("nmap",), "police": ("masscan", "nmap", "zmap")}
BENCHES = {"sink": bench_sink, "live": bench_live, "host": bench_host, "police": bench_police, "overhead": bench_overhead}


def main() -> int:
    parser = argparse.ArgumentParser(description="the raw engine beside masscan, zmap and nmap")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"numpy, {', '.join(BENCHES)}; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not can_make_namespaces():
        raise SystemExit("this benchmark needs root, iproute2 and nftables")
    chosen = arguments.rows or ["numpy", *BENCHES]
    missing = sorted({tool for name in chosen for tool in PEERS.get(name, ()) if shutil.which(tool) is None})
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; apt-get install {' '.join(missing)}")
    # A checkout whose catalogue was edited reads every file anew at each start, and where no bytecode may be written every
    # module is compiled; an installed package does neither.
    write_index()
    compileall.compile_dir(str(Path(__file__).resolve().parents[1] / "src"), quiet=1)
    good = bench_numpy(arguments.rounds) if "numpy" in chosen else True
    with make_wire() as wire, tempfile.TemporaryDirectory() as home:
        os.environ["RECONSHIELD_HOME"] = home
        for name, bench in BENCHES.items():
            if name in chosen:
                good &= bench(wire, arguments.rounds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
