"""UDP beside `nmap -sU`, both as whole processes, in own namespaces. Needs root, iproute2, nft, nmap.

    python bench/udp.py [--rounds 3] [--only host|network]

Claims, without privileges (`--engine connect`): 1,000 UDP ports of one host, 20 of them live, 490 silent, the rest closed
(target with icmp_ratelimit=0), in no more time than `nmap -sU -T4`; and of 20 closed ports on a target that gives one error a
second, as Linux does, no fewer are told than by `nmap -sU` at its normal timing. No live port is missed. Live ports answer
whatever they are sent, so that what is compared is the engine and not whose payload suits. The two take turns; the median of
the rounds counts. Start-up is in both.

Claim, with packet sockets: 1,000 hosts × the 100 commonest UDP ports, 20 services live, the rest silent and (target with
icmp_ratelimit=0) closed, in at most a tenth of the time of `nmap -sU -T4`, and no live service missed. nmap is timed on the 50
hosts that have the services, and its time multiplied by 20. Ours runs with `--fast --yes`, as nmap does with -T4; at the
default ceiling of 25,000 a second the 136,000 questions alone take five and a half seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from xml.etree.ElementTree import fromstring

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from reconshield.jobs.scan_request import common_udp
from system.netns import Lab, Namespace, can_make_namespaces

TARGET = "10.94.1.2"
FIRST, COUNT = 40_000, 1000
LIVE = tuple(range(FIRST + 25, FIRST + COUNT, 50))
SILENT = tuple(port for port in range(FIRST, FIRST + COUNT) if port % 2 == 0)[:490]
NMAP = ("nmap", "-sU", "-n", "-Pn")
OURS = (sys.executable, "-m", "reconshield", "scan")
FLAGS = ("--authorized-by", "bench", "--level", "2", "--format", "jsonl", "--all-states")

NETWORK, HOSTS, NMAP_HOSTS = "10.94.8.0/21", 1000, 50
NETWORK_HOSTS = tuple(f"10.94.{8 + part}.1-200" for part in range(5))
NETWORK_LIVE = (53, 123, 161, 137, 69, 500, 1900, 5353, 5060, 111, 11211, 1194, 3478, 5351, 623, 5683, 4500, 17, 19, 389)
"""Ports of the live services, one a host, all among the 50 hosts that nmap is timed on."""
FLOWING = ("net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_msgs_per_sec=1000000", "net.ipv4.icmp_msgs_burst=100000")

States = dict[int, str]


def time_nmap(scanner: Namespace, timing: str, ports: str) -> tuple[float, States]:
    began = time.perf_counter()
    out = scanner.run(*NMAP, timing, "-vv", "-p", ports, "-oX", "-", TARGET, timeout=580)
    seconds = time.perf_counter() - began
    tree = fromstring(out[out.index("<nmaprun") :])
    found = {int(row.attrib["portid"]): row.find("state") for row in tree.iter("port")}
    states = {port: state.attrib["state"] for port, state in found.items() if state is not None}
    groups = {row.attrib["state"]: int(row.attrib["count"]) for row in tree.iter("extraports")}
    unlisted = [state for state, count in groups.items() for _ in range(count)]
    return seconds, states | {-number: state for number, state in enumerate(unlisted, 1)}


def time_ours(scanner: Namespace, ports: str) -> tuple[float, States]:
    began = time.perf_counter()
    out = scanner.run(*OURS, TARGET, "-p", f"U:{ports}", "--engine", "connect", *FLAGS, timeout=580)
    seconds = time.perf_counter() - began
    rows = [json.loads(line) for line in out.splitlines()]
    return seconds, {row["port"]: row["state"] for row in rows if row["type"] == "observation"}


def answer(sock: socket) -> None:
    while True:
        data, sender = sock.recvfrom(65535)
        if data == b"end":
            return
        sock.sendto(b"answer", sender)


def serve(target: Namespace, live: Iterable[int], silent: Iterable[int], stack: ExitStack) -> None:
    """Ports that answer whatever comes, and ports that do not."""

    def bind(port: int) -> socket:
        sock = stack.enter_context(socket(AF_INET, SOCK_DGRAM))
        sock.bind((TARGET, port))
        return sock

    def begin() -> None:
        for port in live:
            threading.Thread(target=answer, args=(bind(port),), daemon=True).start()
        for port in silent:
            bind(port)

    target.inside(begin)


def compare(scanner: Namespace, title: str, timing: str, ports: str, live: set[int], rounds: int) -> tuple[float, int, bool]:
    """Let both measure in turns: how much faster we are, how many more closed ports we tell, whether all live are found."""
    times: dict[str, list[float]] = {"nmap": [], "ours": []}
    states: dict[str, Counter[str]] = {}
    complete = True
    for _ in range(rounds):
        for name, row in times.items():
            seconds, found = time_nmap(scanner, timing, ports) if name == "nmap" else time_ours(scanner, ports)
            row.append(seconds)
            states[name] = Counter(found.values())
            if name == "ours":
                complete &= live <= {port for port, state in found.items() if state == "open"}
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratio = medians["nmap"] / medians["ours"]
    print(f"{title}; median (least) of {rounds}")
    for name, command in (("nmap", " ".join((*NMAP, timing))), ("ours", "reconshield scan")):
        print(f"  {medians[name]:7.2f} s ({min(times[name]):.2f})  {command:<24} {dict(sorted(states[name].items()))}")
    print(f"  {ratio:7.2f} × as fast as nmap; live ports all found: {'yes' if complete else 'NO'}", flush=True)
    return ratio, states["ours"]["closed"] - states["nmap"]["closed"], complete


def measure_network(rounds: int) -> bool:
    """The row with 1,000 hosts."""
    ports = ",".join(str(port) for first, last in common_udp().udp for port in range(first, last + 1))
    places = [(f"10.94.8.{2 * at + 1}", port) for at, port in enumerate(NETWORK_LIVE)]
    with Lab() as lab, tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        os.environ["RECONSHIELD_HOME"] = home
        scanner, target = lab.namespace("scan"), lab.namespace("farm")
        lab.link(scanner, target, "10.94.1.1/24", "10.94.1.2/24")
        scanner.run("ip", "route", "add", NETWORK, "via", "10.94.1.2")
        target.run("ip", "route", "add", "local", NETWORK, "dev", "lo")
        target.run("sysctl", "-qw", *FLOWING)
        kept = ", ".join(f"{ip} . {port}" for ip, port in places)
        target.firewall(f"""table ip farm {{
  set live {{ type ipv4_addr . inet_service; elements = {{ {kept} }} }}
  chain in {{ type filter hook input priority 0; ip daddr . udp dport @live accept; udp dport 0-1023 drop; }}
}}""")
        for ip, port in places:
            target.inside(partial(serve_one, ip, port, stack))
        times: dict[str, list[float]] = {"nmap": [], "ours": []}
        complete = True
        for _ in range(rounds):
            times["nmap"].append(time_network_nmap(scanner, ports) * (HOSTS // NMAP_HOSTS))
            seconds, opened, states = time_network_ours(scanner, ports)
            times["ours"].append(seconds)
            complete &= opened == set(places)
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratio = medians["nmap"] / medians["ours"]
    print(f"{HOSTS:,} hosts × 100 UDP ports: {len(places)} live, silent below 1,024, else closed and said; median of {rounds}")
    print(f"  {medians['nmap']:7.1f} s  nmap -sU -T4, timed on {NMAP_HOSTS} hosts and multiplied by {HOSTS // NMAP_HOSTS}")
    print(f"  {medians['ours']:7.1f} s  reconshield scan --fast {dict(sorted(states.items()))}")
    print(f"  {ratio:7.1f} × as fast as nmap; live services all found: {'yes' if complete else 'NO'}", flush=True)
    return complete and ratio >= 10


def time_network_nmap(scanner: Namespace, ports: str) -> float:
    began = time.perf_counter()
    scanner.run(*NMAP, "-T4", "-p", ports, "-oX", "-", "10.94.8.1-50", timeout=580)
    return time.perf_counter() - began


def time_network_ours(scanner: Namespace, ports: str) -> tuple[float, set[tuple[str, int]], Counter[str]]:
    began = time.perf_counter()
    out = scanner.run(*OURS, *NETWORK_HOSTS, "-p", f"U:{ports}", "--engine", "raw", "--fast", "--yes", *FLAGS[:-1], timeout=580)
    seconds = time.perf_counter() - began
    rows = [json.loads(line) for line in out.splitlines()]
    opened = {(row["ip"], row["port"]) for row in rows if row["type"] == "observation"}
    summary = next(row for row in rows if row["type"] == "summary")
    return seconds, opened, Counter({state: summary[state] for state in ("open", "closed", "open_filtered")})


def serve_one(ip: str, port: int, stack: ExitStack) -> None:
    sock = stack.enter_context(socket(AF_INET, SOCK_DGRAM))
    sock.bind((ip, port))
    threading.Thread(target=answer, args=(sock,), daemon=True).start()


def measure_host(rounds: int) -> bool:
    """The rows with one host."""
    with Lab() as lab, tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        os.environ["RECONSHIELD_HOME"] = home
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        lab.link(scanner, target, "10.94.1.1/24", f"{TARGET}/24")
        serve(target, LIVE, SILENT, stack)
        target.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
        title = f"{COUNT:,} ports: {len(LIVE)} live, {len(SILENT)} silent, the rest closed and said at once"
        ratio, _, complete = compare(scanner, title, "-T4", f"{FIRST}-{FIRST + COUNT - 1}", set(LIVE), rounds)
        target.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=1000")
        few = ",".join(map(str, [*LIVE[:4], *SILENT[:6], *range(42_000, 42_020)]))
        title = "30 ports: 4 live, 6 silent, 20 closed and said once a second"
        _, more, also = compare(scanner, title, "-T3", few, set(LIVE[:4]), 1)
    good = ratio >= 1 and more >= 0 and complete and also
    print(f"in no more time, and closed ports told no fewer: {'yes' if good else 'NO'}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description="UDP beside nmap -sU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("host", "network"))
    arguments = parser.parse_args()
    if not can_make_namespaces():
        raise SystemExit("this benchmark needs root, iproute2 and nftables")
    wanted = [arguments.only] if arguments.only else ["host", "network"]
    results = [{"host": measure_host, "network": measure_network}[name](arguments.rounds) for name in wanted]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
