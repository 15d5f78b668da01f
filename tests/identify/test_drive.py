"""The driver against real sockets: what is found, what is sent, what is left alone."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from listeners import HOST, Listener, Talk, listening, targets
from reconshield.errors import Refused
from reconshield.identify.drive import Turnstile, identify_all
from reconshield.identify.limits import Limits
from reconshield.identify.order import candidates, listen_seconds, promote
from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, StartTls, line
from reconshield.identify.probes import PROBES
from reconshield.model import Confidence, Endpoint, Rung, Service, Tls

QUICK = Limits(strict=True, silence_seconds=0.3, turn_seconds=1.0, idle_seconds=0.3, late_greeting_seconds=2.0, spacing=0.0)


def identify_one(listener: Listener, limits: Limits = QUICK, level: int = 3, probes: tuple[Probe, ...] = PROBES) -> Service:
    [service] = identify_all(targets(level), [listener.endpoint], None, limits, probes)
    return service


def says(greeting: bytes, answers: dict[bytes, bytes], other: bytes = b"") -> Talk:
    """A server that greets and knows some lines."""

    def talk(connection: socket.socket) -> None:
        connection.sendall(greeting)
        while data := connection.recv(4096):
            connection.sendall(answers.get(data, other))

    return talk


POP3 = says(b"+OK ready\r\n", {b"CAPA\r\n": b"+OK\r\nUSER\r\nUIDL\r\n.\r\n"}, b"-ERR\r\n")
SMTP = says(
    b"220 mx.test ESMTP Postfix (Debian/GNU)\r\n",
    {b"EHLO reconshield.invalid\r\n": b"250-mx.test\r\n250 SIZE\r\n"},
    b"221 bye\r\n",
)
REDIS = says(b"", {b"*1\r\n$4\r\nPING\r\n": b"-NOAUTH Authentication required.\r\n"})
HTTP = says(b"", {}, b"HTTP/1.1 404 Not Found\r\nServer: lighttpd/1.4.69\r\nContent-Length: 0\r\n\r\n")
PAGES = [
    (POP3, "pop3", None, Confidence.CONFIRMED),
    (SMTP, "smtp", "Postfix smtpd", Confidence.CONFIRMED),
    (REDIS, "redis", "Redis", Confidence.CONFIRMED),
    (HTTP, "http", "lighttpd", Confidence.CONFIRMED),
]


@pytest.mark.parametrize(("talk", "service", "product", "confidence"), PAGES, ids=["pop3", "smtp", "redis", "http"])
def test_found_on_any_port(talk: Talk, service: str, product: str | None, confidence: Confidence) -> None:
    with listening(talk) as listener:
        found = identify_one(listener)
    assert (found.service, found.product, found.confidence) == (service, product, confidence)
    assert found.rung is Rung.PROTOCOL
    assert found.tls is Tls.NONE
    assert found.evidence
    assert found.probe == service


def test_first_of_one_connection_when_the_greeting_says_it() -> None:
    with listening(POP3) as listener:
        identify_one(listener)
        assert listener.connections == 1


def test_unknown_keeps_its_bytes_and_its_rung() -> None:
    with listening(says(b"XYZZY 1 ready\r\n", {})) as listener:
        found = identify_one(listener)
    assert (found.service, found.confidence, found.rung) == ("unknown", Confidence.GUESS, Rung.BYTES)
    assert [turn.received for turn in found.evidence if turn.probe == "listen"] == [b"XYZZY 1 ready\r\n"]


def test_silent_server_is_asked_within_the_budget() -> None:
    with listening(lambda connection: time.sleep(10)) as listener:
        found = identify_one(listener)
        assert listener.connections <= QUICK.connections
    assert (found.service, found.rung) == ("unknown", Rung.STAYS_OPEN)
    assert found.note is not None
    assert "probes not tried" in found.note


def test_late_greeting_is_heard_while_others_ask() -> None:
    def talk(connection: socket.socket) -> None:
        time.sleep(1.2)
        POP3(connection)

    with listening(talk) as listener:
        assert identify_one(listener).service == "pop3"


def test_echo_is_nothing_but_an_echo() -> None:
    with listening(says_back) as listener:
        found = identify_one(listener)
    assert found.service == "echo"
    with listening(says_back) as listener:
        bare = identify_one(listener, probes=tuple(probe for probe in PROBES if probe.name != "echo"))
    assert (bare.service, bare.note) == ("unknown", "sends back what it is sent")


def says_back(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def test_held_back_endpoint_gets_no_byte() -> None:
    received: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"printer here\r\n")
        received.append(connection.recv(100))

    with listening(talk) as listener:
        found = identify_one(listener, Limits(strict=True, held=lambda endpoint: "print port"))
        assert listener.connections == 1
        time.sleep(0.1)
    assert received == [b""]
    assert (found.service, found.rung, found.note) == ("unknown", Rung.BYTES, "held back: print port")
    assert found.evidence[0].received == b"printer here\r\n"


def test_level_two_sends_nothing() -> None:
    with listening(POP3) as listener:
        found = identify_one(listener, level=2)
        assert listener.connections == 0
    assert (found.service, found.rung) == ("unknown", Rung.SYN_ACK)


def test_level_may_be_lowered_but_not_raised() -> None:
    with listening(POP3) as listener:
        list(identify_all(targets(2), [listener.endpoint], 4, QUICK))
        assert listener.connections == 0
        list(identify_all(targets(4), [listener.endpoint], 2, QUICK))
        assert listener.connections == 0


def test_endpoint_outside_the_targets_is_refused() -> None:
    with pytest.raises(Refused, match=r"127\.0\.0\.9:80/tcp is outside the scope"):
        list(identify_all(targets(), [Endpoint("127.0.0.9", 80)]))


def test_closed_port_says_so() -> None:
    with socket.create_server((HOST, 0)) as server:
        endpoint = Endpoint(HOST, server.getsockname()[1])
    [found] = identify_all(targets(), [endpoint])
    assert (found.service, found.rung, found.note) == ("unknown", Rung.SYN_ACK, "no connection: connection refused")


def asks(until_bug: bool) -> Probe:
    def run() -> Dialogue:
        answer = yield Ask(b"hello\r\n", until=line if not until_bug else (lambda data: data[10_000] == 0))
        return Match("buggy", version=str(answer[10_000]))

    return Probe("buggy", ports=(), run=run)


@pytest.mark.parametrize("until_bug", [False, True])
def test_bug_in_a_probe_is_a_note_and_the_scan_goes_on(until_bug: bool) -> None:
    http = next(probe for probe in PROBES if probe.name == "http")
    with listening(HTTP) as listener:
        found = identify_one(listener, Limits(silence_seconds=0.3), probes=(asks(until_bug), http))
        assert found.service == "http"
        found = identify_one(listener, Limits(silence_seconds=0.3), probes=(asks(until_bug),))
    assert found.note is not None
    assert "probe buggy failed" in found.note


def never_ends() -> Dialogue:
    while True:
        yield Ask(b"more\r\n", until=line)


def test_dialogue_without_end_is_ended() -> None:
    with listening(says(b"", {}, b"yes\r\n")) as listener:
        found = identify_one(listener, probes=(Probe("endless", ports=(), run=never_ends),))
    assert found.service == "unknown"
    assert len(found.evidence) <= 2 * QUICK.turns + 2


def test_udp_asks_twice_and_hears() -> None:
    def run() -> Dialogue:
        answer = yield Ask(b"who?")
        return Match("me") if answer == b"me" else None

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        endpoint = Endpoint(HOST, server.getsockname()[1], "udp")
        probe = Probe("me", ports=(), run=run, transport="udp")
        import threading

        def serve() -> None:
            server.recvfrom(100)
            _, peer = server.recvfrom(100)
            server.sendto(b"me", peer)

        threading.Thread(target=serve, daemon=True).start()
        [found] = identify_all(targets(), [endpoint], None, QUICK, (probe,))
    assert (found.service, found.evidence[0].sent) == ("me", b"who?")


def test_results_come_as_they_are_known_and_hosts_take_turns() -> None:
    def endpoints() -> Iterator[Endpoint]:
        for host in ("a", "b"):
            yield from (Endpoint(host, port) for port in range(5))

    stile = Turnstile(endpoints(), lambda host: 2, ahead=100)
    inside = [stile.enter() for _ in range(5)]
    assert [str(e.ip) for e in inside if e] == ["a", "b", "a", "b"]
    stile.leave("a")
    assert stile.enter() == Endpoint("a", 2)
    assert stile.enter() is None


def test_turnstile_looks_only_so_far_ahead() -> None:
    taken: list[int] = []

    def endpoints() -> Iterator[Endpoint]:
        for port in range(10_000):
            taken.append(port)
            yield Endpoint("a", port)

    stile = Turnstile(endpoints(), lambda host: 2, ahead=64)
    for _ in range(2):
        stile.enter()
    assert len(taken) <= 66


def test_stopping_early_closes_everything() -> None:
    with listening(lambda connection: time.sleep(10)) as silent, listening(POP3) as pop3:
        services = identify_all(targets(), [silent.endpoint, pop3.endpoint], None, QUICK)
        assert next(services).service == "pop3"
        services.close()  # type: ignore[attr-defined]  # it is a generator
        connections = silent.connections
        time.sleep(0.6)
        assert silent.connections == connections


def test_order_of_candidates() -> None:
    names = [probe.name for probe in candidates(6379, "tcp", b"", False, PROBES)]
    assert names[:2] == ["redis", "http"]
    assert "pop3" not in names
    assert candidates(9999, "tcp", b"SSH-2.0-x\r\n", False, PROBES)[0].name == "ssh"
    assert candidates(995, "tcp", b"+OK\r\n", True, PROBES)[0].name == "pop3"
    assert {probe.transport for probe in candidates(53, "udp", b"", False, PROBES)} == {"udp"}


def test_hint_moves_a_probe_to_the_front() -> None:
    waiting = list(candidates(9999, "tcp", b"", False, PROBES))
    assert promote(waiting, ("memcached",))[0].name == "memcached"
    assert promote(waiting, ("smtp",), PROBES)[0].name == "smtp"


def test_listening_is_long_only_where_a_greeting_is_usual() -> None:
    assert listen_seconds(25, False, 0.0, PROBES) == 2.0
    assert listen_seconds(80, False, 0.0, PROBES) < 0.1
    assert listen_seconds(9999, False, 0.0, PROBES) == 0.3


def test_probe_with_starttls_that_fails_goes_on() -> None:
    def run() -> Dialogue:
        yield Read(until=line)
        upgraded = yield StartTls()
        return Match("half", facts={"upgraded": upgraded is not None})

    with listening(says(b"hello\r\n", {}, b"no TLS here\r\n")) as listener:
        found = identify_one(listener, probes=(Probe("half", ports=(), run=run, speaks_first=True),))
    assert (found.facts, found.tls) == ({"upgraded": False}, Tls.NONE)
