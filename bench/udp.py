"""UDP without privileges beside `nmap -sU`, both as whole processes, in own namespaces. Needs root, iproute2, nft, nmap.

    python bench/udp.py [--rounds 3]

Claims: 1,000 UDP ports of one host, 20 of them live, 490 silent, the rest closed (target with icmp_ratelimit=0), in no more
time than `nmap -sU -T4`; and of 20 closed ports on a target that gives one error a second, as Linux does, no fewer are told
than by `nmap -sU` at its normal timing. No live port is missed. Live ports answer whatever they are sent, so that what is
compared is the engine and not whose payload suits. The two take turns; the median of the rounds counts. Start-up is in both.
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
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket
from xml.etree.ElementTree import fromstring

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from system.netns import Lab, Namespace, can_make_namespaces

TARGET = "10.94.1.2"
FIRST, COUNT = 40_000, 1000
LIVE = tuple(range(FIRST + 25, FIRST + COUNT, 50))
SILENT = tuple(port for port in range(FIRST, FIRST + COUNT) if port % 2 == 0)[:490]
NMAP = ("nmap", "-sU", "-n", "-Pn")
OURS = (sys.executable, "-m", "reconshield", "scan", TARGET)
FLAGS = ("--authorized-by", "bench", "--level", "2", "--format", "jsonl", "--all-states")

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
    out = scanner.run(*OURS, "-p", f"U:{ports}", *FLAGS, timeout=580)
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


def main() -> int:
    parser = argparse.ArgumentParser(description="UDP without privileges beside nmap -sU")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if not can_make_namespaces():
        raise SystemExit("this benchmark needs root, iproute2 and nftables")
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
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
