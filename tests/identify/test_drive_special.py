"""What the driver does only sometimes: names that neighbours told, machines that may be asked, answers from another port."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace

import pytest

from listeners import HOST, listening, targets
from reconshield.identify.drive import identify_all
from reconshield.identify.limits import Limits
from reconshield.identify.names import choose_names, names_told, wants_name
from reconshield.identify.probes import PROBES, modbus
from reconshield.model import Confidence, Endpoint, Service

QUICK = Limits(strict=True, silence_seconds=0.3, turn_seconds=1.0, idle_seconds=0.3, late_greeting_seconds=1.0, spacing=0.0)
TALK = tuple(probe for probe in PROBES if probe.name in {"xmpp", "smtp"})
STREAM = (
    "<?xml version='1.0'?><stream:stream id='1' from='{0}' version='1.0' xmlns:stream='http://etherx.jabber.org/streams' "
    "xmlns='jabber:client'>{1}"
)
UNKNOWN = "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
FEATURES = "<stream:features><mechanisms><mechanism>PLAIN</mechanism></mechanisms></stream:features>"


def xmpp(connection: socket.socket) -> None:
    """An XMPP server that serves one domain."""
    asked = connection.recv(4096)
    if b"to='chat.test'" in asked:
        connection.sendall(STREAM.format("chat.test", FEATURES).encode())
        connection.recv(4096)
    elif b"stream:stream" in asked:
        connection.sendall(STREAM.format(HOST, UNKNOWN).encode())


def smtp(connection: socket.socket) -> None:
    connection.sendall(b"220 chat.test ESMTP\r\n")
    while connection.recv(4096):
        connection.sendall(b"250 chat.test\r\n")


def test_name_that_a_neighbour_told_is_tried() -> None:
    with listening(xmpp) as chat, listening(smtp) as mail:
        found = {s.service: s for s in identify_all(targets(), [chat.endpoint, mail.endpoint], None, QUICK, TALK)}
    assert found["xmpp"].facts["mechanisms_clear"] == ["PLAIN"]
    assert found["xmpp"].facts["asked_as"] == "chat.test"
    assert found["xmpp"].name is None


def test_without_a_name_the_service_stays_as_it_was() -> None:
    with listening(xmpp) as chat:
        [found] = identify_all(targets(), [chat.endpoint], None, QUICK, TALK)
    assert (found.service, found.facts["error"]) == ("xmpp", "host-unknown")
    assert wants_name(found)


def test_names_come_from_greetings_and_certificates() -> None:
    certificate = {"names": ["*.example.test", "mail.example.test", "192.0.2.5", "no name"]}
    made = Service(
        Endpoint("192.0.2.5", 25),
        "smtp",
        Confidence.CONFIRMED,
        0.0,
        facts={"hostname": "MAIL.example.test.", "starttls_tls": {"certificate": certificate}, "tls": None},
    )
    told = list(names_told(made))
    assert told == ["mail.example.test", "example.test", "mail.example.test"]
    chat = replace(made, service="xmpp")
    assert choose_names([*told, "a.b.c.test", "OFFICE"], chat) == ["mail.example.test", "a.b.c.test"]


def test_browser_is_called_by_the_name_of_its_workgroup() -> None:
    names = [{"name": "OFFICE", "suffix": 29, "group": False}, {"name": "PC1", "suffix": 0, "group": False}]
    service = Service(Endpoint("192.0.2.5", 137, "udp"), "netbios-ns", Confidence.CONFIRMED, 0.0, facts={"names": names})
    browser = Service(Endpoint("192.0.2.5", 138, "udp"), "unknown", Confidence.GUESS, 0.0)
    assert wants_name(browser)
    assert choose_names([*names_told(service), "mail.example.test"], browser) == ["OFFICE"]


def plc(connection: socket.socket) -> None:
    """A controller that knows its own protocol alone."""
    while (data := connection.recv(4096)) == modbus.REQUEST:
        connection.sendall(data[:2] + b"\0\0\0\x0b\xff\x2b\x0e\x01\x01\0\0\x01\0\x01X")


@pytest.mark.parametrize(
    ("held", "touch", "service", "sent"),
    [
        ("plc port", False, "unknown", []),
        ("plc port", True, "modbus", [modbus.REQUEST]),
        (None, True, "unknown", []),
    ],
)
def test_machine_is_asked_by_its_own_probe_and_only_when_told(
    held: str | None, touch: bool, service: str, sent: list[bytes]
) -> None:
    with listening(plc) as listener:
        probes = (*TALK, replace(modbus.PROBE, ports=(listener.endpoint.port,)))
        limits = replace(QUICK, touch_ot=touch, held=lambda _endpoint: held)
        [found] = identify_all(targets(), [listener.endpoint], None, limits, probes)
    assert found.service == service
    asked = [turn.sent for turn in found.evidence if turn.sent and turn.probe == "modbus"]
    assert asked == sent
    if held:
        assert [turn.sent for turn in found.evidence if turn.sent] == sent


def test_answer_from_another_udp_port_is_heard() -> None:
    """As TFTP servers do: the answer has the server's address and a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        asked.bind((HOST, 0))
        other.bind((HOST, 0))

        def serve() -> None:
            data, client = asked.recvfrom(512)
            if data.startswith(b"\0\x01"):
                other.sendto(b"\0\x05\0\x01File not found\0", client)

        threading.Thread(target=serve, daemon=True).start()
        probes = tuple(p for p in PROBES if p.name == "tftp")
        [found] = identify_all(targets(), [Endpoint(HOST, asked.getsockname()[1], "udp")], None, QUICK, probes)
    assert (found.service, found.facts["error"]) == ("tftp", "not found")


def test_closed_udp_port_is_not_waited_for() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind((HOST, 0))
        port = unused.getsockname()[1]
    [found] = identify_all(targets(), [Endpoint(HOST, port, "udp")], None, QUICK)
    assert found.service == "unknown"
    assert not any(turn.received for turn in found.evidence)
