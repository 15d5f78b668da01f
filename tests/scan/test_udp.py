"""What the UDP engine sends and what it makes of the answers, on real sockets on loopback."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from listeners import targets
from reconshield.addresses import AddressSet, PortSet
from reconshield.errors import Refused, UserError
from reconshield.knowledge.payloads import DATAGRAMS, NOTHING, all_payloads, payload_of, unasked, why_unmeasurable
from reconshield.model import Observation, State
from reconshield.scan import connect, udp
from reconshield.scan.batch import records
from reconshield.scan.engine import BlockDone, Options, Progress, _divide, measure
from reconshield.scan.plan import Plan
from reconshield.scan.udp_pace import BURST, FEW, PROOF, SLOWEST, HostErrors, Parked
from reconshield.scan.work import Work
from reconshield.scope import Targets

HOST = f"127.78.{os.getpid() // 250 % 250}.{1 + os.getpid() % 250}"
"""An address of this process alone: tests in other processes listen on the same ports."""
PORTS = sorted({port for payload in all_payloads() for port in payload.ports} | set(unasked()))

low_ports = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="needs root, to listen on the ports that have payloads"
)

Reply = Callable[[bytes], bytes | None]


class Recorder:
    """UDP ports of one address that keep what they are sent, and answer what `reply` makes of it (None: silence)."""

    def __init__(self, reply: Reply) -> None:
        self.heard: list[tuple[int, bytes]] = []
        self._reply = reply

    def serve(self, sock: socket.socket) -> None:
        port = sock.getsockname()[1]
        while True:
            data, sender = sock.recvfrom(65535)
            if data == b"end":
                return
            self.heard.append((port, data))
            if (answer := self._reply(data)) is not None:
                sock.sendto(answer, sender)


@contextmanager
def recording(ports: list[int], reply: Reply, address: str = HOST) -> Iterator[Recorder]:
    recorder = Recorder(reply)
    with ExitStack() as stack:
        made = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in ports]
        for sock, port in zip(made, ports, strict=True):
            sock.bind((address, port))
        threads = [threading.Thread(target=recorder.serve, args=(sock,)) for sock in made]
        for thread in threads:
            thread.start()
        try:
            yield recorder
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
                for sock in made:
                    ender.sendto(b"end", sock.getsockname())
            for thread in threads:
                thread.join()


def silence(data: bytes) -> bytes | None:
    del data
    return None


def ports_of(*ports: int) -> PortSet:
    return PortSet(udp=tuple((port, port) for port in ports))


def scan(
    allowed: Targets, ports: PortSet, options: Options | None = None, block: int = 50
) -> dict[tuple[int, str], Observation]:
    """Every pair of the plan exactly once, by port and transport."""
    plan = Plan(allowed.addresses, ports, seed=3, block_size=block)
    done = [event for event in measure(plan, allowed, range(plan.blocks), options) if isinstance(event, BlockDone)]
    assert sorted(event.number for event in done) == list(range(plan.blocks))
    seen = [one for event in done for one in records(event.batch)]
    assert len(seen) == plan.size
    return {(one.endpoint.port, one.endpoint.transport): one for one in seen}


# ── what is sent ──


@low_ports
@pytest.mark.parametrize(("level", "retries", "datagrams"), [(2, 9, DATAGRAMS), (3, 0, 1)])
def test_nothing_is_sent_but_the_payload_table(level: int, retries: int, datagrams: int) -> None:
    """Silent ports are sent the most: at most three datagrams, each exactly the payload of the port at this level."""
    with recording(PORTS, silence) as recorder:
        seen = scan(targets(level, HOST), ports_of(*PORTS), Options(retries=retries))
    assert {(one.state, one.reason.label) for one in seen.values()} == {(State.OPEN_FILTERED, "no-response")}
    assert {port for port, _ in recorder.heard} == set(PORTS)
    assert all(data == payload_of(port, level).data for port, data in recorder.heard)
    assert set(Counter(port for port, _ in recorder.heard).values()) == {datagrams}


@low_ports
def test_an_answer_ends_the_asking() -> None:
    with recording(PORTS, lambda data: b"x" + data) as recorder:
        seen = scan(targets(3, HOST), ports_of(*PORTS))
    assert {(one.state, one.reason.label) for one in seen.values()} == {(State.OPEN, "udp-response")}
    assert set(Counter(port for port, _ in recorder.heard).values()) == {1}
    assert all(one.rtt_ms is not None and one.rtt_ms < 500 for one in seen.values())


@pytest.mark.parametrize("payload", all_payloads(), ids=lambda payload: f"{payload.name}-{payload.ports[0]}")
def test_no_payload_amplifies_more_than_its_protocol_must(payload: object) -> None:
    """An answer larger than one unfragmented datagram needs level 3; no list is asked for where it has no end."""
    assert payload in all_payloads()
    one = next(each for each in all_payloads() if each == payload)
    assert one.answer <= 1500 or one.level >= 3 or one.name == "dtls", "an amplifier is no port scan"
    assert one.asks
    assert one.spec
    assert all(why_unmeasurable(port) is None for port in one.ports)
    assert not set(one.ports) & set(unasked())


def test_payloads_of_levels_and_of_ports_without_one() -> None:
    assert payload_of(389, 2) is NOTHING
    assert payload_of(389, 3).name == "cldap"
    assert (payload_of(51820, 4), payload_of(40_000, 4)) == (NOTHING, NOTHING)
    assert len(payload_of(443, 2).data) == 1200
    assert [port for port in (0, 502, 44818, 47808, 53) if why_unmeasurable(port)] == [0, 502, 44818, 47808]


# ── what comes of it ──


def test_states_on_loopback() -> None:
    """A closed port is told by the kernel, an open one by its answer, a silent one by neither; an empty answer is one."""
    with recording([40_001], lambda data: b"") as _, recording([40_002], silence):
        seen = scan(targets(3, HOST), ports_of(40_001, 40_002, 40_003))
    assert {port: (one.state.label, one.reason.label) for (port, _), one in seen.items()} == {
        40_001: ("open", "udp-response"),
        40_002: ("open|filtered", "no-response"),
        40_003: ("closed", "port-unreach"),
    }


@low_ports
@pytest.mark.parametrize(("port", "state"), [(69, State.OPEN), (1900, State.OPEN), (53, State.OPEN_FILTERED)])
def test_answers_from_another_port_count_where_the_protocol_has_them(port: int, state: State) -> None:
    """TFTP and SSDP answer from a port of their own; DNS never does."""
    with ExitStack() as stack:
        asked, other = (stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2))
        asked.bind((HOST, port))
        other.bind((HOST, 0))

        def serve() -> None:
            while (got := asked.recvfrom(65535))[0] != b"end":
                other.sendto(b"answer", got[1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            seen = scan(targets(3, HOST), ports_of(port), Options(retries=0))
        finally:
            other.sendto(b"end", (HOST, port))
            thread.join()
    assert seen[port, "udp"].state is state


@low_ports
def test_an_answer_from_another_host_is_none() -> None:
    """The unconnected socket for TFTP hears everybody; only the target counts."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
    ):
        asked.bind((HOST, 69))
        stranger.bind(("127.77.0.10", 0))

        def serve() -> None:
            while (got := asked.recvfrom(65535))[0] != b"end":
                stranger.sendto(b"forged", got[1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            seen = scan(targets(3, HOST), ports_of(69), Options(retries=0))
        finally:
            stranger.sendto(b"end", (HOST, 69))
            thread.join()
    assert seen[69, "udp"].state is State.OPEN_FILTERED


def test_an_answer_to_the_second_question_is_counted_as_loss() -> None:
    heard: list[bytes] = []

    def second(data: bytes) -> bytes | None:
        heard.append(data)
        return b"late" if len(heard) > 1 else None

    plan = Plan(AddressSet.of(HOST), ports_of(40_010), 1, 10)
    with recording([40_010], second):
        *events, last = measure(plan, targets(3, HOST), range(plan.blocks))
    assert isinstance(last, Progress)
    assert (last.done, last.open, last.retransmitted, last.loss) == (1, 1, 1, 0.5)
    assert any(isinstance(event, BlockDone) for event in events)


def test_both_transports_come_out_block_by_block() -> None:
    with recording([40_021, 40_022], lambda data: b"y"), socket.create_server((HOST, 40_021)):
        seen = scan(targets(3, HOST), PortSet(tcp=((40_000, 40_099),), udp=((40_020, 40_023),)), block=7)
    opened = {key for key, one in seen.items() if one.state is State.OPEN}
    assert opened == {(40_021, "tcp"), (40_021, "udp"), (40_022, "udp")}
    assert Counter(key[1] for key in seen) == {"tcp": 100, "udp": 4}
    assert {one.state for one in seen.values()} == {State.OPEN, State.CLOSED}


def test_portions_make_one_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that are started anew for every 21 pairs find the same, and count on."""
    monkeypatch.setattr("reconshield.scan.engine.PORTION", 21)
    plan = Plan(AddressSet.of(HOST), PortSet(tcp=((40_000, 40_049),), udp=((40_020, 40_029),)), 3, 7)
    with recording([40_021], lambda data: b"y"), socket.create_server((HOST, 40_021)):
        events = list(measure(plan, targets(3, HOST), range(plan.blocks)))
    done = [event for event in events if isinstance(event, BlockDone)]
    assert sorted(event.number for event in done) == list(range(plan.blocks))
    assert sum(event.batch.size for event in done) == 60
    progress = [event for event in events if isinstance(event, Progress)]
    assert [each.done for each in progress] == sorted(each.done for each in progress)
    assert (progress[-1].done, progress[-1].open, progress[-1].answered) == (60, 2, 51)


def test_each_transport_has_half_of_a_networks_limit() -> None:
    """However few of the ports are its own: it asks every address all the same."""
    plan = Plan(AddressSet.of(HOST), PortSet(tcp=((1, 99),), udp=((53, 53),)), 1, 10)
    shares = [part.limit(Options(rate=1000, per_host=200, per_net=100), 10) for part in _divide(plan, Options())]
    assert [pytest.approx((share.rate, share.per_host, share.per_net)) for share in shares] == [(990, 198, 50), (10, 2, 50)]
    (alone,) = _divide(Plan(AddressSet.of(HOST), ports_of(53), 1, 10), Options())
    assert alone.limit(Options(), 10).per_net == 100


def test_a_limit_is_for_both_transports_together() -> None:
    ports = PortSet(tcp=((40_000, 40_039),), udp=((40_000, 40_009),))
    begun = time.monotonic()
    scan(targets(3, HOST), ports, Options(rate=50))
    assert time.monotonic() - begun > 0.7


@pytest.mark.parametrize("tcp", [(), ((40_000, 40_900),)], ids=["udp", "both"])
def test_a_stop_does_not_wait_for_the_rest(tcp: tuple[tuple[int, int], ...]) -> None:
    """The plan takes 45 s or more at this rate, and a block half a second."""
    stop = threading.Event()
    plan = Plan(AddressSet.of(HOST), PortSet(tcp=tcp, udp=((40_000, 40_900),)), 1, 10)
    events = measure(plan, targets(3, HOST), range(plan.blocks), Options(rate=20), stop)
    for event in events:
        if isinstance(event, BlockDone):
            break
    stop.set()
    rest = [event for event in events if isinstance(event, BlockDone)]
    assert len(rest) < plan.blocks / 2
    assert not [thread for thread in threading.enumerate() if thread.name in {"connect", "engine"}]


@pytest.mark.parametrize("tcp", [(), ((40_000, 40_900),)], ids=["udp", "both"])
def test_a_caller_that_leaves_leaves_nothing_behind(tcp: tuple[tuple[int, int], ...]) -> None:
    plan = Plan(AddressSet.of(HOST), PortSet(tcp=tcp, udp=((40_000, 40_900),)), 1, 10)
    events = measure(plan, targets(3, HOST), range(plan.blocks), Options(rate=100))
    next(events)
    getattr(events, "close")()  # noqa: B009  an Iterator has no close in its type; a generator does
    assert not [thread for thread in threading.enumerate() if thread.name in {"connect", "engine"}]


def test_what_is_refused_before_anything_is_sent() -> None:
    two = AddressSet.of(HOST, "127.77.0.10")
    with pytest.raises(Refused, match="not authorised"):
        measure(Plan(two, ports_of(53), 1, 1), targets(3, HOST), [0])
    for ports in (ports_of(53, 502), PortSet(tcp=((1, 9),), udp=((502, 502),))):
        with pytest.raises(Refused, match="UDP port 502 is not measured: plc port held back"):
            measure(Plan(AddressSet.of(HOST), ports, 1, 1), targets(4, HOST), [0])
    with pytest.raises(UserError, match="no UDP port"):
        udp.measure(Plan(AddressSet.of(HOST), PortSet(tcp=((1, 9),)), 1, 1), targets(3, HOST), [0])
    with pytest.raises(UserError, match="no TCP port"):
        connect.measure(Plan(AddressSet.of(HOST), ports_of(53), 1, 1), targets(3, HOST), [0])


# ── the pace of a host that thins out its errors (pure: times are given) ──


def test_pace_of_a_host() -> None:
    """Rows: what the host showed in the first half second, and the seconds to leave between two questions."""
    table = (
        (0, 0.0),  # no error at all: nothing shows a limit
        (1, SLOWEST),  # within the burst: at least one a second
        (BURST, SLOWEST),
        (BURST + 10, 0.05),  # twenty a second, but few
        (BURST + 50, 0.0),  # a hundred a second: its errors flow
        (BURST + 500, 0.0),
    )
    for closed, pause in table:
        host = HostErrors(began=0.0)
        for _ in range(closed):
            host.heard(0.1, tries=0)
        assert host.pause(0.5) == pytest.approx(pause), closed


def test_a_host_whose_errors_flowed_is_paced_as_soon_as_one_was_missed() -> None:
    host = HostErrors(began=0.0)
    for _ in range(BURST + 50):
        host.heard(0.4, tries=0)
    assert host.pause(2.0) == 0
    host.heard(2.0, tries=1)
    assert host.pause(2.0) == pytest.approx(0.04), "silent at first, closed at the second question: 50 errors in two seconds"


def test_questions_in_vain_free_the_pace_and_late_errors_slow_it() -> None:
    host = HostErrors(began=0.0)
    for _ in range(BURST + 5):
        host.heard(0.1, tries=0)
    assert host.pause(0.5) == pytest.approx(0.1)
    host.since = 0.5
    host.turned = PROOF - 1
    host.heard(1.0, tries=2)
    assert host.pause(9.0) == pytest.approx(0.2), "closed at the third time: half the pace"
    host.vain = FEW
    assert host.pause(9.0) > 0, "some turned out closed, so a few in vain prove little"
    drained = HostErrors(began=0.0)
    drained.heard(1.0, tries=1)
    assert drained.pause(1.0) == SLOWEST, "silent at first and closed at the second question: its errors were used up"
    other = HostErrors(began=0.0)
    other.heard(0.1, tries=0)
    other.vain = FEW
    assert other.pause(9.0) == 0


def test_parked_pairs_come_one_a_pause_until_patience_is_spent() -> None:
    plan = Plan(AddressSet.of(HOST), PortSet(udp=((1, 9),)), 1, 9)
    work = Work(0, plan.pairs(0), None)
    parked: Parked[str, tuple[Work, int, int]] = Parked(patience=3.0)
    parked.asked(HOST, 0.0).heard(0.0, tries=0)
    for index in range(9):
        parked.add((work, index, 1), HOST, 0.0)
    came = [at for at in range(100) if parked.next(at / 10) is not None]
    assert [at / 10 for at in came] == pytest.approx([1.1, 2.2, 3.3], abs=0.05)
    assert (parked.count, len(parked.given_up)) == (0, 6)
