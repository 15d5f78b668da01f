"""The connect engine on loopback, with real listeners. What needs a firewall or a second host is in tests/system."""

from __future__ import annotations

import resource
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from reconshield.addresses import AddressSet, PortSet, parse_target
from reconshield.errors import Refused, UserError
from reconshield.model import Reason, State
from reconshield.scan import connect, lane
from reconshield.scan.batch import Batch, records
from reconshield.scan.connect import BlockDone, Options, Progress, measure
from reconshield.scan.plan import Plan
from reconshield.scope import Request, Targets, authorise

HOST, HOST6 = "127.77.1.1", "::1"


def own(*texts: str) -> Targets:
    """Loopback targets, exempt from grants and host limits."""
    decided = authorise(Request(tuple(map(parse_target, texts))), (), AddressSet.of(*texts), {}, 0.0)
    assert isinstance(decided, Targets)
    return decided


@contextmanager
def listeners(host: str, count: int) -> Iterator[set[int]]:
    """Free ports with a listener on each."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.create_server((host, 0), family=family)) for _ in range(count)]
        yield {sock.getsockname()[1] for sock in socks}


def scan(plan: Plan, targets: Targets, options: Options | None = None) -> tuple[Batch, list[Progress]]:
    """All blocks as one batch; each comes exactly once, whole."""
    events = list(measure(plan, targets, range(plan.blocks), options))
    assert events[0] == Progress(0, 0, 0.0, 0, None, None)  # said at once: what is needed afterwards can be loaded meanwhile
    done = [event for event in events if isinstance(event, BlockDone)]
    assert sorted(event.number for event in done) == list(range(plan.blocks))
    for event in done:
        pairs = plan.pairs(event.number)
        assert np.array_equal(event.batch["port"], pairs.port)
        assert np.array_equal(event.batch["lo"], pairs.lo)
    return np.concatenate([event.batch for event in done]), [event for event in events if isinstance(event, Progress)]


def open_ports(batch: Batch) -> set[int]:
    return {int(port) for port in batch["port"][batch["state"] == State.OPEN]}


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_open_and_closed(host: str) -> None:
    with listeners(host, 20) as ports:
        plan = Plan(own(host).addresses, PortSet(tcp=tuple((max(1, p - 1), min(65535, p + 1)) for p in ports)), 5, 7)
        before = time.time()
        batch, progress = scan(plan, own(host))
    seen = {one.endpoint.port: one for one in records(batch)}
    assert {port for port in ports if seen[port].state is State.OPEN} == ports
    assert {(one.state, one.reason) for one in seen.values()} <= {
        (State.OPEN, Reason.SYN_ACK),
        (State.CLOSED, Reason.CONN_REFUSED),
    }
    assert all(one.endpoint.ip == host and one.rtt_ms and before - 1 < one.at < time.time() + 1 for one in seen.values())
    assert (progress[-1].done, progress[-1].open) == (plan.size, len(open_ports(batch)))


@pytest.mark.parametrize("cores", [1, 2])
def test_every_port_of_a_host(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread and in two processes: 65,535 ports, 300 of them open, the source ports of the scan among them."""
    monkeypatch.setattr("reconshield.scan.connect._count_cores", lambda: cores)
    with listeners(HOST, 300) as ports:
        plan = Plan(own(HOST).addresses, PortSet(tcp=((1, 65_535),)), seed=9, block_size=5000)
        batch, _ = scan(plan, own(HOST))
    assert ports <= open_ports(batch)
    # Whoever listens on all addresses of this machine is open as well; nobody else is: no connection met itself.
    for port in open_ports(batch) - ports:
        with socket.create_connection((HOST, port), timeout=2) as again:
            assert again.getsockname() != again.getpeername()
    assert np.unique(batch["port"]).size == 65_535


def test_closing_sends_reset_and_no_byte() -> None:
    """The service sees a connection that is reset at once."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        scan(Plan(own(HOST).addresses, PortSet(tcp=((port, port),)), 1, 1), own(HOST))
        server.settimeout(5)
        accepted, _ = server.accept()
        with accepted, pytest.raises(ConnectionResetError):
            accepted.recv(1)


STARVED = """
import resource, sys
from contextlib import suppress
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
sys.path.insert(0, sys.argv[1])
from test_connect import HOST, Options, Plan, PortSet, open_ports, own, scan, listeners
from reconshield.errors import UserError
from reconshield.scan import lane
lane.PATIENCE = 0.3
with listeners(HOST, 20) as ports:
    plan = Plan(own(HOST).addresses, PortSet(tcp=((20_000, 60_999),)), seed=9, block_size=2000)
    hogs = []
    with suppress(OSError):
        while True:
            hogs.append(open("/dev/null"))
    del hogs[-int(sys.argv[2]):]
    try:
        batch, progress = scan(plan, own(HOST), Options(rate=1e6))
        assert len(batch) == 41_000 and (batch["state"] > 0).all()
        assert ports <= open_ports(batch), (ports, open_ports(batch))
        print("all measured")
    except UserError as told:
        print(told.message)
"""


@pytest.mark.parametrize(
    ("spare", "outcome"),
    [(2, "all measured"), (1, "no connection can be opened: this process may open no more files (ulimit -n)")],
)
def test_short_of_files(spare: int, outcome: str) -> None:
    """The selector takes one descriptor. One more is enough; none is said, after some patience."""
    command = [sys.executable, "-c", STARVED, str(Path(__file__).parent), str(spare)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout.strip(), run.stderr) == (outcome, "")


def test_the_file_limit_is_raised_and_restored() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        during = set()
        plan = Plan(own(HOST).addresses, PortSet(tcp=((1, 20),)), 1, 5)
        for _ in measure(plan, own(HOST), range(plan.blocks)):
            during.add(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        after = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert during == {hard}
    assert after == 64


def test_rate_and_host_limit() -> None:
    """200 pairs at 500/s take 0.4 s; so do 200 pairs of one host with 500/s per host. At one a second they would take minutes
    if the host were not exempt.
    """
    plan = Plan(own(HOST).addresses, PortSet(tcp=((1, 200),)), 1, 50)
    assert timed(plan, own(HOST), Options(rate=500)) > 0.35
    assert timed(plan, granted(HOST), Options(per_host=500)) > 0.35
    assert timed(plan, own(HOST), Options(per_host=1)) < 100


def test_a_small_scan_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that is refused at once leaves the lane nothing to sleep or listen for."""
    waits: list[float] = []

    def listen(_: selectors.BaseSelector, delay: float) -> list[object]:
        waits.append(delay)
        return []

    monkeypatch.setattr(connect, "_count_cores", lambda: 1)  # a thread of this process, where its waits can be seen
    monkeypatch.setattr(lane, "time", SimpleNamespace(time=time.time, perf_counter=time.perf_counter, sleep=waits.append))
    monkeypatch.setattr(selectors.DefaultSelector, "select", listen)
    batch, _ = scan(Plan(own(HOST).addresses, PortSet(tcp=((1, 1),)), 1, 1), own(HOST))
    assert (batch["state"].tolist(), waits) == ([State.CLOSED], [])


def timed(plan: Plan, targets: Targets, options: Options) -> float:
    began = time.perf_counter()
    scan(plan, targets, options)
    return time.perf_counter() - began


def granted(host: str) -> Targets:
    """The same address by a grant, so not exempt."""
    from reconshield.scope import Grant, GrantTarget

    grant = Grant("g1", "tests", (GrantTarget(host, AddressSet.of(host)),), (), 3, 0.0, 2e9)
    decided = authorise(Request((parse_target(host),)), [grant], AddressSet(), {}, 1.0)
    assert isinstance(decided, Targets)
    return decided


def test_stop_keeps_what_is_finished() -> None:
    """The plan takes 100 s at this rate, and a block a quarter of a second."""
    plan = Plan(own(HOST).addresses, PortSet(tcp=((1, 2000),)), 1, 5)
    stop, done = threading.Event(), []
    for event in measure(plan, own(HOST), range(plan.blocks), Options(rate=20), stop):
        if isinstance(event, BlockDone):
            done.append(event)
        if len(done) == 3:
            stop.set()
    assert 3 <= len(done) < plan.blocks / 2
    assert all((event.batch["state"] > 0).all() for event in done)


def test_a_reader_that_leaves_ends_the_scan() -> None:
    """The plan takes minutes at this rate."""
    plan = Plan(own(HOST).addresses, PortSet(tcp=((1, 65_535),)), 1, 500)
    events = measure(plan, own(HOST), range(plan.blocks), Options(rate=200))
    next(events)
    before = time.perf_counter()
    getattr(events, "close")()  # noqa: B009  an Iterator has no close in its type; a generator does
    assert time.perf_counter() - before < 100
    assert [thread.name for thread in threading.enumerate() if thread.name == "connect"] == []


def test_a_killed_process_is_said() -> None:
    """The blocks that it had are not finished, and nobody says they are."""
    program = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import multiprocessing
from test_connect import HOST, BlockDone, PartialResult, Plan, PortSet, measure, own
plan = Plan(own(HOST).addresses, PortSet(tcp=((1, 65_535),)), 1, 2000)
done = []
try:
    for event in measure(plan, own(HOST), range(plan.blocks)):
        if isinstance(event, BlockDone):
            done.append(event.number)
            if len(done) == 2:
                os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
except PartialResult as told:
    print(told.message, len(done) < plan.blocks)
"""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "from reconshield.errors import PartialResult\n" + program.replace("PartialResult, ", ""),
            str(Path(__file__).parent),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == "a process of this scan was ended from outside True", run.stderr


def test_what_is_refused_before_anything_is_sent() -> None:
    both = AddressSet.of(HOST, "127.77.1.2")
    with pytest.raises(Refused, match="not authorised"):
        measure(Plan(both, PortSet(tcp=((80, 80),)), 1, 1), own(HOST), [0])
    with pytest.raises(UserError, match="no TCP port"):
        measure(Plan(own(HOST).addresses, PortSet(udp=((53, 53),)), 1, 1), own(HOST), [0])
    with pytest.raises(ValueError, match="no block 1"):
        list(measure(Plan(own(HOST).addresses, PortSet(tcp=((80, 80),)), 1, 1), own(HOST), [1]))
