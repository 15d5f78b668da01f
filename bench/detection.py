"""Goal: a core reads 400,000 rows/s of Zeek's conn.log, 150,000 of EVE and 250,000 packets/s, and judges within 500 MB.

    python bench/detection.py [ROWS]

Files made here (seeded): 5,000 inside hosts, 20,000 servers, web, DNS and mail. "Each its own": nearly every flow is a
conversation of its own, which is the worst case. "A day": 17 flows a conversation, the busiest many more, as hosts do that
talk to the same servers all day. Each is read by its reader alone, and read and judged by
`jobs.detect.detect_files`, as `detect run` does it, each in a process of its own, so that the peak memory is the latter's.
Rates are by the CPU time of the process, which is what a core does; the clock is beside it. The goal holds for reading, and
for reading and judging. EVE has a
fifth of the rows, the others a tenth. Nothing is extrapolated: the memory is that of the rows given. The peers read the same
files where they are installed: zeek-cut cuts columns, duckdb counts by three columns, tshark makes conversations of TCP. They
judge nothing, and their start counts; so they stand beside our reader alone. Three times each in turn, the least counts.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from reconshield.addresses import AddressSet
from reconshield.detect.readers import READERS
from reconshield.jobs.detect import detect_files, make_setting
from reconshield.policy import Policy, Zone
from reconshield.policy.zones import map_zones

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from detect.captures import ZEEK_FIELDS, conversation, pcap
from detect.exporters import argus, v5, v5_record
from detect.hostlogs import iso_stamp, packet

BEGIN = 1_795_000_000.0
GOALS = {"zeek": 400_000, "vpc": 400_000, "eve": 150_000, "pcap": 250_000}
MEMORY_GOAL = 500
ROUNDS = 3
"""So often each side of a comparison is measured; the least counts."""
INSIDE = 0xFFFF_0A00_0000
"""10.0.0.0, v4-mapped."""
SERVICES = (
    (443, "tcp", "ssl"),
    (443, "tcp", "ssl"),
    (80, "tcp", "http"),
    (53, "udp", "dns"),
    (993, "tcp", "ssl"),
    (8443, "tcp", ""),
)


Flow = tuple[float, str, str, int, str, str, int, int]
"""When, from, to, port, transport, protocol, octets sent and received."""
FLOWS_EACH = 1_000_000 / 60_000


def choose_day(count: int) -> Iterator[Flow]:
    """The flows of a day in which hosts come back to what they know; a few conversations have most of them. Eight in ten flows
    fall into ten hours of work, and no two are of the same size; one conversation in fifty is a machine's, all day the same.
    """
    dice = random.Random(11)
    known = [flow[1:] for flow in choose(max(1, round(count / FLOWS_EACH)))]
    times = sorted(8 * 3600 + dice.random() * 36_000 if dice.random() < 0.8 else dice.random() * 86_400 for _ in range(count))
    for at in times:
        number = int(dice.random() ** 2 * len(known))
        src, dst, port, transport, app, sent, received = known[number]
        wide = 0 if number % 50 == 0 else int(dice.expovariate(1 / 900))
        yield BEGIN + at, src, dst, port, transport, app, sent + wide, received + 4 * wide


def choose(count: int) -> Iterator[Flow]:
    """An even day of flows, nearly all different."""
    dice = random.Random(7)
    hosts = [f"10.{n >> 8 & 255}.{n & 255}.7" for n in range(5_000)]
    servers = [f"198.{18 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in range(20_000)]
    step = 86_400 / max(1, count)
    for number in range(count):
        port, transport, app = SERVICES[int(dice.random() * len(SERVICES))]
        host = hosts[int(dice.random() * 5_000)]
        server = servers[int(dice.random() ** 3 * 20_000)]
        yield BEGIN + number * step, host, server, port, transport, app, 200 + number % 900, 400 + number % 9_000


Choose = Callable[[int], Iterator[Flow]]


def write_zeek(path: Path, count: int, chosen: Choose = choose) -> int:
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn"]
    with path.open("w") as file:
        file.write("\n".join([*head, "\t".join(["#fields", *ZEEK_FIELDS])]) + "\n")
        file.writelines(
            f"{at:.6f}\tC{number:x}\t{src}\t{20_000 + number % 40_000}\t{dst}\t{port}\t{transport}\t{app or '-'}\t0.25\t"
            f"{sent}\t{received}\tSF\t0\t6\t7\n"
            for number, (at, src, dst, port, transport, app, sent, received) in enumerate(chosen(count))
        )
    return count


def write_eve(path: Path, count: int, chosen: Choose = choose) -> int:
    def event(number: int, row: tuple[float, str, str, int, str, str, int, int]) -> str:
        at, src, dst, port, transport, app, sent, received = row
        begun, ended = iso(at), iso(at + 0.25)
        extent: dict[str, object] = {"pkts_toserver": 6, "pkts_toclient": 7, "bytes_toserver": sent, "bytes_toclient": received}
        extent |= {"start": begun, "end": ended, "age": 0, "state": "closed", "reason": "timeout", "alerted": False}
        found: dict[str, object] = {"timestamp": ended, "flow_id": 10**15 + number, "event_type": "flow", "src_ip": src}
        found |= {"src_port": 20_000 + number % 40_000, "dest_ip": dst, "dest_port": port, "proto": transport.upper()}
        found |= {"app_proto": {"ssl": "tls", "": "failed"}.get(app, app), "flow": extent}
        if transport == "tcp":
            found["tcp"] = {
                "tcp_flags": "1b",
                "tcp_flags_ts": "1b",
                "tcp_flags_tc": "1b",
                "syn": True,
                "fin": True,
                "ack": True,
            }
        return json.dumps(found, separators=(",", ":"))

    with path.open("w") as file:
        file.writelines(event(number, row) + "\n" for number, row in enumerate(chosen(count)))
    return count


def write_vpc(path: Path, count: int) -> int:
    """Both directions of each flow, one behind the other."""
    names = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
    with path.open("w") as file:
        file.write(f"{names} tcp-flags\n")
        for number, (at, src, dst, port, transport, _, sent, received) in enumerate(choose(count // 2)):
            sport, tcp, begin = 20_000 + number % 40_000, transport == "tcp", int(at)
            ends = f"{6 if tcp else 17} 6", f"{begin} {begin + 59} ACCEPT OK"
            there, back = f"{src} {dst} {sport} {port}", f"{dst} {src} {port} {sport}"
            file.write(f"2 123456789012 eni-1 {there} {ends[0]} {sent} {ends[1]} {3 if tcp else 0}\n")
            file.write(f"2 123456789012 eni-1 {back} {ends[0]} {received} {ends[1]} {19 if tcp else 0}\n")
    return count // 2 * 2


def iso(at: float) -> str:
    whole = int(at)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((at - whole) * 1e6):06d}+0000"


def write_pcap(path: Path, count: int) -> int:
    """Whole TCP connections of nine packets, one after the other."""
    said = [
        ("client", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("server", b"HTTP/1.1 200 OK\r\n\r\n"),
        *[("server", bytes(900))] * 2,
    ]
    written = 0
    with path.open("wb") as file:
        file.write(pcap([]))
        for number, (at, src, dst, *_) in enumerate(choose(count // 9)):
            frames = conversation(at, src, 20_000 + number % 40_000, dst, 80, said)
            file.write(pcap(frames)[24:])
            written += len(frames)
    return written


def write_netflow(path: Path, count: int) -> int:
    """NetFlow v5: both directions of each flow, thirty records in a packet."""
    with path.open("wb") as file:
        records: list[bytes] = []
        for number, (at, src, dst, port, transport, _, sent, received) in enumerate(choose(count // 2)):
            sport, more = 20_000 + number % 40_000, {"proto": 6 if transport == "tcp" else 17, "packets": 6}
            records.append(v5_record(src, dst, sport, port, octets=sent, begin=at, end=at + 1, **more))
            records.append(v5_record(dst, src, port, sport, octets=received, begin=at + 0.1, end=at + 1, **more))
            if len(records) == 30:
                file.write(v5(*records, at=at + 15))
                records.clear()
        if records:
            file.write(v5(*records, at=at + 15))
    return count // 2 * 2


def write_netfilter(path: Path, count: int) -> int:
    with path.open("wb") as file:
        for number, (at, src, dst, port, transport, *_) in enumerate(choose(count)):
            said = packet(src, dst, port, proto=transport.upper(), sport=20_000 + number % 40_000)
            file.write(f"{iso_stamp(at)} gate kernel: [UFW BLOCK] {said}\n".encode())
    return count


def write_argus(path: Path, count: int) -> int:
    def row(number: int, found: tuple[float, str, str, int, str, str, int, int]) -> str:
        at, src, dst, port, transport, _, sent, received = found
        ends = f"{src},{20_000 + number % 40_000},   ->,{dst},{port}"
        return f"{at:.6f},0.25,{transport},{ends},CON,13,{sent + received},{sent}"

    path.write_bytes(argus(*(row(number, found) for number, found in enumerate(choose(count)))))
    return count


Write = Callable[[Path, int], int]
OWN = "each its own"
WRITERS: dict[str, tuple[tuple[str, Write], ...]] = {
    "zeek": ((OWN, write_zeek), ("a day", partial(write_zeek, chosen=choose_day))),
    "vpc": ((OWN, write_vpc),),
    "eve": ((OWN, write_eve), ("a day", partial(write_eve, chosen=choose_day))),
    "pcap": ((OWN, write_pcap),),
    "netflow": ((OWN, write_netflow),),
    "netfilter": ((OWN, write_netfilter),),
    "argus": ((OWN, write_argus),),
}
UNITS = {"pcap": "packets"}
SHARES = {"zeek": 1, "vpc": 1, "eve": 5}


def read_and_judge(path: Path) -> None:
    """In a process of its own: seconds by the clock and of the CPU, peak memory in MB, detections."""
    zone = Zone(name="office", targets=("10.0.0.0/8",), area=AddressSet(((INSIDE, INSIDE + 2**24 - 1),)), line=1)
    setting = make_setting(Policy("bench", zones=(zone,), zone_map=map_zones([zone.area])), BEGIN + 86_400)
    begun, cpu = time.perf_counter(), time.process_time()
    found = detect_files([path], setting, told=lambda _: None)
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bad = sum(read.bad for read in found.inputs)
    print(json.dumps([seconds, used, peak, found.matches.conversations, bad]))


def read_alone(path: Path) -> None:
    """In a process of its own: seconds of the CPU that its reader takes."""
    with path.open("rb") as file:
        head = file.read(65_536)
        reader = next(found for found in READERS if found.recognises(head))
        file.seek(0)
        begun = time.process_time()
        for _ in reader.read(iter(lambda: file.read(1 << 20), b"")):
            pass
        print(json.dumps(time.process_time() - begun))


ZEEK_SQL = "read_csv('{}', delim='\\t', comment='#', header=false, all_varchar=true)"
EVE_SQL = "read_json('{}', format='newline_delimited')"
DUCKDB = "import duckdb, sys; duckdb.sql('set threads=1'); duckdb.sql(sys.argv[1]).fetchall()"
PEERS = {
    "zeek": (
        ("zeek-cut", "id.orig_h id.resp_h id.resp_p"),
        ("duckdb", f"select column02, column04, column05, count(*) from {ZEEK_SQL}"),
    ),
    "vpc": (("duckdb", "select srcaddr, dstaddr, dstport, count(*) from read_csv('{}', delim=' ')"),),
    "eve": (("duckdb", f"select src_ip, dest_ip, dest_port, count(*) from {EVE_SQL}"),),
    "pcap": (("tshark", "conv,tcp"),),
}


def peer_command(name: str, what: str, path: Path) -> list[str]:
    if name == "duckdb":
        return [sys.executable, "-c", DUCKDB, what.format(path) + " group by all"]
    return ["tshark", "-r", str(path), "-q", "-z", what] if name == "tshark" else ["zeek-cut", *what.split()]


def installed(name: str) -> bool:
    return find_spec(name) is not None if name == "duckdb" else shutil.which(name) is not None


def run_peer(command: list[str], path: Path) -> float | str:
    """Seconds of the CPU that a program takes for a file, its start included; its complaint if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with path.open("rb") as file:
        done = subprocess.run(command, stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        return done.stderr.strip()[-120:]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_peers(format_: str, path: Path, count: int) -> None:
    """The least of several times of each peer, and of our reader in turn with it."""
    for name, what in PEERS.get(format_, ()):
        if not installed(name):
            print(f"  {name}: not installed, not compared")
            continue
        theirs, ours = [], []
        for _ in range(ROUNDS):
            theirs.append(run_peer(peer_command(name, what, path), path))
            ours.append(run_alone(path))
        if failed := next((found for found in theirs if isinstance(found, str)), ""):
            print(f"  {name}: failed: {failed}")
            continue
        least = min(found for found in theirs if isinstance(found, float))
        rate = f"{count / least:,.0f} {UNITS.get(format_, 'rows')}/s of CPU"
        print(f"  {name}: {rate}; ours reads {least / min(ours):.2f} times as many", flush=True)


def run_alone(path: Path) -> float:
    """Seconds of the CPU that our reader takes, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--alone", str(path)], capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def measure(format_: str, mix: str, write: Write, folder: Path, rows: int) -> None:
    path = folder / f"bench.{format_}"
    count = write(path, rows // SHARES.get(format_, 10))
    done = subprocess.run([sys.executable, __file__, "--read", str(path)], capture_output=True, text=True, check=True)
    seconds, used, peak, conversations, bad = json.loads(done.stdout)
    rate, unit = count / run_alone(path), UNITS.get(format_, "rows")
    memory = "reached" if peak <= MEMORY_GOAL else "missed"
    print(f"{format_}, {mix}: {count:,} {unit}, {path.stat().st_size >> 20} MB, {conversations:,} conversations, {bad} bad")
    print(f"  read: {rate:,.0f} {unit}/s of CPU   goal {goal_text(format_, rate)}")
    judged = f"{count / used:,.0f} {unit}/s of CPU ({seconds:.2f} s by the clock, {used:.2f} s CPU)"
    print(f"  read and judged: {judged}   goal {goal_text(format_, count / used)}")
    print(f"  peak {peak:.0f} MB at {count:,} {unit}   goal {MEMORY_GOAL}: {memory}", flush=True)
    measure_peers(format_, path, count)
    path.unlink()


def goal_text(format_: str, rate: float) -> str:
    if format_ not in GOALS:
        return "none"
    return f"{GOALS[format_]:,}: {'reached' if rate >= GOALS[format_] else 'missed'}"


def main() -> None:
    if sys.argv[1:2] == ["--read"]:
        read_and_judge(Path(sys.argv[2]))
        return
    if sys.argv[1:2] == ["--alone"]:
        read_alone(Path(sys.argv[2]))
        return
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    print(f"python bench/detection.py {rows}")
    with tempfile.TemporaryDirectory() as folder:
        for format_, mixes in WRITERS.items():
            for mix, write in mixes:
                measure(format_, mix, write, Path(folder), rows)


if __name__ == "__main__":
    main()
