"""How many endpoints a second are identified: listeners (HTTP, SMTP, Redis in turn) in one process, asked from another.

    python bench/identify.py [--endpoints 1000 10000] [--hosts 64] [--strangers]

Claim: at least 150 endpoints/s at level 3, and memory that does not grow with their number: the peak after 10,000 endpoints is
that after 1,000, printed as a ratio. The listeners sit on loopback
addresses 127.78.0.x on ports that are not theirs. `--strangers` treats them as hosts of others, with 16 conversations each.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import functools
import json
import multiprocessing
import resource
import sys
import time
from multiprocessing.connection import Connection

from reconshield.addresses import AddressSet, parse_target
from reconshield.identify.drive import identify_all
from reconshield.identify.limits import Limits
from reconshield.model import Endpoint
from reconshield.scope import Grant, GrantTarget, Refusal, Request, authorise

NETWORK = "127.78.0.0/24"
KINDS = ("http", "smtp", "redis")

ANSWERS = {
    b"EHLO reconshield.invalid\r\n": b"250-bench.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"*1\r\n$4\r\nPING\r\n": b"+PONG\r\n",
    b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n": b"$22\r\nredis_version:7.0.15\r\n\r\n",
}


async def serve_one(kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of one of the three kinds."""
    try:
        if kind == "smtp":
            writer.write(b"220 bench.test ESMTP Postfix (Debian/GNU)\r\n")
        while asked := await reader.read(4096):
            if kind == "http" and asked.startswith(b"GET "):
                writer.write(b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 20\r\n\r\n<title>bench</title>")
            elif kind != "http" and asked in ANSWERS:
                writer.write(ANSWERS[asked])
            else:
                break
    except ConnectionError:
        return
    finally:
        writer.close()


def serve(count: int, hosts: int, pipe: Connection) -> None:
    """Listen, tell the addresses, and serve until this process is ended."""

    async def run() -> None:
        made: list[tuple[str, int, str]] = []
        servers = []
        for number in range(count):
            kind = KINDS[number % 3]
            ip = f"127.78.0.{1 + number % hosts}"
            server = await asyncio.start_server(functools.partial(serve_one, kind), ip, 0, backlog=16)
            servers.append(server)
            made.append((ip, server.sockets[0].getsockname()[1], kind))
        pipe.send(made)
        await asyncio.Event().wait()

    allow_files()
    asyncio.run(run())


def allow_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(endpoints: list[tuple[str, int, str]], limits: Limits) -> dict[str, float]:
    grant = Grant("bench", "bench", (GrantTarget(NETWORK, parse_target(NETWORK).addresses or AddressSet()),), (), 3, 0.0, 1e11)
    own = parse_target("127.0.0.0/8").addresses or AddressSet()  # as on the command line: loopback is ours
    targets = authorise(Request((parse_target(NETWORK),)), [grant], own, {}, time.time())
    if isinstance(targets, Refusal):
        raise SystemExit(targets.message)
    truth = {(ip, port): kind for ip, port, kind in endpoints}
    started, cpu = time.monotonic(), time.process_time()
    found = collections.Counter(
        service.service == truth[service.endpoint.ip, service.endpoint.port]
        for service in identify_all(targets, (Endpoint(ip, port) for ip, port, _ in endpoints), None, limits)
    )
    seconds = time.monotonic() - started
    return {
        "endpoints": len(endpoints),
        "right": found[True],
        "seconds": round(seconds, 2),
        "per_second": round(len(endpoints) / seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--hosts", type=int, default=64)
    parser.add_argument("--strangers", action="store_true")
    asked = parser.parse_args()
    allow_files()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(max(asked.endpoints), asked.hosts, theirs), daemon=True
    )
    process.start()
    try:
        made, limits = ours.recv(), Limits(per_own_host=16) if asked.strangers else Limits()
        results = [measure(made[:count], limits) for count in sorted(asked.endpoints)]
    finally:
        process.terminate()
    for result in results:
        print(json.dumps({"hosts": asked.hosts, "strangers": asked.strangers, **result}))
    if len(results) > 1:
        print(f"peak memory ratio {results[-1]['peak_mb'] / results[0]['peak_mb']:.2f}")
    return 0 if all(result["right"] == result["endpoints"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
