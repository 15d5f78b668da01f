"""This machine as it is while the tests run: real interfaces, real sockets, the real resolver for what needs no network."""

import os
import socket
import threading
from contextlib import closing

import pytest

from reconshield import host
from reconshield.addresses import LOOPBACK, NEVER, text_of
from reconshield.errors import UserError


@pytest.mark.parametrize(
    ("address", "netmask", "prefix", "broadcast"),
    [
        ("192.0.2.2", "255.255.255.0", 24, "192.0.2.255"),
        ("10.1.2.3", "255.255.252.0", 22, "10.1.3.255"),
        ("192.0.2.2", "255.255.255.254", 31, None),
        ("192.0.2.2", "255.255.255.255", 32, None),
        ("192.0.2.2", None, 32, None),
        ("2001:db8::2", "ffff:ffff:ffff:ffff::", 64, None),
        ("2001:db8::2", None, 128, None),
    ],
)
def test_an_interface_knows_its_network(address: str, netmask: str | None, prefix: int, broadcast: str | None) -> None:
    assert host.read_interface("eth0", address, netmask) == host.Interface("eth0", address, prefix, broadcast)


def test_loopback_is_own_and_link_local_is_not() -> None:
    own = host.own_addresses()
    assert "127.0.0.1" in own
    assert not own & NEVER
    assert not own & host.broadcast_addresses()
    assert not any("%" in interface.address for interface in host.interfaces())
    for interface in host.interfaces():
        assert (interface.address in own) != host.is_link_local(interface.address), interface
        if interface.broadcast:
            assert interface.broadcast in host.broadcast_addresses()


def test_own_addresses_are_those_that_can_be_bound() -> None:
    for first, last in host.own_addresses().ranges:
        for value in range(first, last + 1):
            address = text_of(value)
            with closing(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)) as own:
                own.bind((address, 0))


def test_a_listener_is_seen_with_its_process() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as tcp,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp,
        closing(socket.create_connection(tcp.getsockname())) as client,
    ):
        udp.bind(("127.0.0.1", 0))
        seen = {(row.ip, row.port, row.transport): row for row in host.listeners().rows}
        for bound, transport in ((tcp, "tcp"), (udp, "udp")):
            row = seen["127.0.0.1", bound.getsockname()[1], transport]
            assert row.pid == os.getpid()
            assert row.process == host.process_name(os.getpid())
        assert ("127.0.0.1", client.getsockname()[1], "tcp") not in seen


def test_a_process_that_is_gone_has_no_name() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    assert host.process_name(pid) is None


def test_names_are_resolved_without_link_local_addresses() -> None:
    assert host.resolve("localhost") & LOOPBACK
    answer = ["192.0.2.1", "2001:db8::1", "192.0.2.1", "fe80::1%eth0", "fe80::2"]
    assert host.resolve("mx.example", look_up=lambda _name: answer).text() == "192.0.2.1, 2001:db8::1"


def fail(_name: str) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("name", "look_up", "says"),
    [
        ("gone.example", fail, "cannot be resolved: Name or service not known"),
        ("x" * 80, host.look_up, "cannot be resolved"),
        ("local.example", lambda _name: ["fe80::1%eth0"], "no address that can be measured"),
        ("many.example", lambda _name: [f"10.0.{n >> 8}.{n & 255}" for n in range(300)], "more than 256 addresses"),
    ],
)
def test_a_name_without_a_usable_answer_is_the_users_to_mend(name: str, look_up: host.Lookup, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        host.resolve(name, look_up=look_up)
    assert caught.value.where == name
    assert caught.value.hint


def test_a_resolver_that_hangs_does_not_hang_us() -> None:
    released = threading.Event()

    def hang(_name: str) -> list[str]:
        released.wait(10)
        return []

    with pytest.raises(UserError, match=r"did not answer within 0\.05 s"):
        host.resolve("slow.example", seconds=0.05, look_up=hang)
    released.set()


def test_the_user_is_who_owns_the_process_not_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    assert host.user_name() not in {"", "somebody-else"}
