"""The connect engine beside `nmap -sT`, both as whole processes, in namespaces of their own. Needs root, iproute2, nft, nmap.

    python bench/connect.py [--rounds 5]

Claims: all 65,535 TCP ports of one host that answers with RST in no more time than nmap takes; 4,096 ports of which every other
one is dropped by a firewall in at most a quarter of it. Both find the same open ports, and those are the ones that are open.
The two take turns; the median of the rounds counts. What else the machine does is in both.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import reconshield
from reconshield.knowledge.index import write_index
from system.netns import Lab, Namespace, can_make_namespaces

TARGET = "10.94.0.2"
OPEN = (22, 80, 110, 443, 993, 1025, 2049, 3306, 4001, 6379, 27_017, 40_000, 50_001, 65_535)
HALF_DROPPED = (
    "table inet half { chain in { type filter hook input priority 0; tcp dport & 1 == 0 tcp dport != { %s } drop; }; }"
)

NMAP = ("nmap", "-sT", "-n", "-Pn", "-T4")
OURS = (sys.executable, "-m", "reconshield", "scan", TARGET)
FLAGS = ("--engine", "connect", "--authorized-by", "bench", "--level", "2", "--fast", "--yes", "--format", "jsonl")


def time_nmap(scanner: Namespace, ports: str) -> tuple[float, set[int]]:
    began = time.perf_counter()
    out = scanner.run(*NMAP, "-p", ports, "-oG", "-", TARGET, timeout=300)
    return time.perf_counter() - began, {int(port) for port in re.findall(r"(\d+)/open/tcp", out)}


def time_ours(scanner: Namespace, ports: str) -> tuple[float, set[int]]:
    began = time.perf_counter()
    out = scanner.run(*OURS, "-p", ports, *FLAGS, timeout=300)
    seconds = time.perf_counter() - began
    lines = [json.loads(line) for line in out.splitlines()]
    return seconds, {line["port"] for line in lines if line["type"] == "observation" and line["state"] == "open"}


def compare(scanner: Namespace, title: str, ports: str, wanted: float, rounds: int) -> bool:
    """Let both measure the same ports in turns. True if our median is fast enough."""
    first, last = (int(number) for number in ports.split("-"))
    truth = {port for port in OPEN if first <= port <= last}
    times: dict[str, list[float]] = {"nmap": [], "ours": []}
    sides: dict[str, Callable[[Namespace, str], tuple[float, set[int]]]] = {"nmap": time_nmap, "ours": time_ours}
    for number in range(rounds + 1):  # the first round warms both up and does not count
        for name, side in sides.items():
            seconds, found = side(scanner, ports)
            if found != truth:
                raise SystemExit(f"{name} found {sorted(found)}, open are {sorted(truth)}")
            if number:
                times[name].append(seconds)
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratio = medians["nmap"] / medians["ours"]
    print(f"{title}; the same {len(truth)} open ports, median (least) of {rounds}")
    print(f"  {medians['nmap']:6.2f} s ({min(times['nmap']):.2f})  {' '.join(NMAP)} -p {ports}")
    print(f"  {medians['ours']:6.2f} s ({min(times['ours']):.2f})  reconshield scan -p {ports} {' '.join(FLAGS)}")
    print(f"  {ratio:6.2f} × as fast as nmap, wanted {wanted:g} ×: {'yes' if ratio >= wanted else 'NO'}", flush=True)
    return ratio >= wanted


def main() -> int:
    parser = argparse.ArgumentParser(description="the connect engine beside nmap -sT")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    if not can_make_namespaces():
        raise SystemExit("this benchmark needs root, iproute2 and nftables")
    # A checkout that was edited reads its catalogue and compiles its modules anew; an installed package never does.
    compileall.compile_dir(Path(reconshield.__file__).parent, quiet=1)
    write_index()
    with Lab() as lab, tempfile.TemporaryDirectory() as home:
        os.environ["RECONSHIELD_HOME"] = home
        scanner, target = lab.namespace("scan"), lab.namespace("host")
        lab.link(scanner, target, "10.94.0.1/24", f"{TARGET}/24")
        with target.listeners([(TARGET, port) for port in OPEN]):
            closed = compare(scanner, "65,535 ports, closed by RST", "1-65535", 1.0, rounds)
            target.firewall(HALF_DROPPED % ", ".join(map(str, OPEN)))
            dropped = compare(scanner, "4,096 ports, every other one dropped", "1-4096", 4.0, rounds)
    return 0 if closed and dropped else 1


if __name__ == "__main__":
    sys.exit(main())
