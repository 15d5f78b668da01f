"""A throw-away network in which rules are tried with real packets: a host with a firewall, and zones around it.

    with Lab(zones, ports) as lab:
        lab.host.run("nft", "-f", "-", text=rules)
        lab.inside("wan", lambda: scan(lab.address_v4))

    wan ---- eth0 |      |
    lan ---- eth1 | host | (listeners on every port that is asked about; with `published`, a container behind it)
    vpn ----  wg0 |      |

Every zone is a network namespace joined to the host by a veth pair, with one address in each family; the host routes. Nothing
leaves: there is no way out of any of them. Names carry our process id; what a killed run left behind is removed by the next.
Linux only, needs root and iproute2.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from reconshield.errors import UserError
from reconshield.firewall.intent import Port

T = TypeVar("T")
NEW_NET = 0x4000_0000
PREFIX = "rsproof"
HOST_V4, HOST_V6 = "198.51.100.10", "2001:db8:10::10"
CONTAINER_V4, CONTAINER_V6 = "172.18.0.2", "fd00:18::2"
COMMAND_SECONDS = 60
DATAGRAM = 4096


@dataclass(frozen=True, slots=True)
class Zone:
    """Where packets come from: an address in each family (None: none), and the host's interface towards it."""

    name: str
    v4: str | None
    v6: str | None
    interface: str

    def addresses(self) -> tuple[str, ...]:
        return tuple(address for address in (self.v4, self.v6) if address)


class Failed(Exception):
    """A command in the lab ended badly; the text is what it said."""


class Space:
    """One network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, text: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
        """Run a command inside and give its output. A failure is `Failed` with its error output."""
        return call("ip", "netns", "exec", self.name, *command, text=text, seconds=seconds)

    def ip(self, *words: str) -> None:
        call("ip", "-n", self.name, *words)

    def inside(self, work: Callable[[], T]) -> T:
        """Call a function in a thread that lives inside; what it starts lives there too."""
        results: list[T] = []
        failures: list[BaseException] = []

        def live() -> None:
            try:
                with Path("/run/netns", self.name).open() as file:
                    enter(file.fileno())
                results.append(work())
            except BaseException as failure:  # noqa: BLE001 - raised again by the caller's thread
                failures.append(failure)

        thread = threading.Thread(target=live, name=f"in {self.name}")
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return results[0]


class Lab:
    """The network, for as long as the `with` block lasts."""

    def __init__(self, zones: Iterable[Zone], ports: Iterable[Port], *, published: bool = False) -> None:
        self.zones = tuple(zones)
        self.ports = tuple(ports)
        self._published = published
        self._stack = ExitStack()
        self._spaces: dict[str, Space] = {}
        self._stop = threading.Event()

    @property
    def host(self) -> Space:
        return self._spaces["host"]

    def space(self, zone: str) -> Space:
        return self._spaces[zone]

    def __enter__(self) -> Self:
        remove_leftovers()
        self._stack.callback(self._stop.set)
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _build(self) -> None:
        host = self._add("host")
        host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")
        host.ip("address", "add", f"{HOST_V4}/32", "dev", "lo")
        host.ip("address", "add", f"{HOST_V6}/128", "dev", "lo", "nodad")
        for number, zone in enumerate(self.zones):
            self._join(host, self._add(zone.name), zone, number)
        server = host
        if self._published:
            server = self._add_container(host)
        self._listen(server)

    def _add(self, label: str) -> Space:
        name = f"{PREFIX}-{os.getpid()}-{label}"
        call("ip", "netns", "add", name)
        self._stack.callback(remove, name)
        self._spaces[label] = Space(name)
        space = self._spaces[label]
        # Nobody else is here whose address ours could be: without the search for doubles they are usable at once.
        space.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        space.ip("link", "set", "lo", "up")
        return space

    def _join(self, host: Space, space: Space, zone: Zone, number: int) -> None:
        """A veth pair with link addresses, and routes both ways by them."""
        host.ip("link", "add", zone.interface, "type", "veth", "peer", "name", "out0", "netns", space.name)
        links = (
            ("4", f"192.0.0.{4 * number + 9}", f"192.0.0.{4 * number + 10}", "30", zone.v4, "32"),
            ("6", f"fd00:ffff:{number}::1", f"fd00:ffff:{number}::2", "64", zone.v6, "128"),
        )
        for family, near, far, length, address, whole in links:
            extra = ("nodad",) if family == "6" else ()
            host.ip("address", "add", f"{near}/{length}", "dev", zone.interface, *extra)
            space.ip("address", "add", f"{far}/{length}", "dev", "out0", *extra)
            if address:
                space.ip("address", "add", f"{address}/{whole}", "dev", "lo", *extra)
        host.ip("link", "set", zone.interface, "up")
        space.ip("link", "set", "out0", "up")
        for family, near, far, _, address, _ in links:
            if address:
                host.ip(f"-{family}", "route", "replace", address, "via", far, "dev", zone.interface)
                space.ip(f"-{family}", "route", "replace", "default", "via", near, "dev", "out0", "src", address)

    def _add_container(self, host: Space) -> Space:
        """A namespace behind the host to which the ports are published, as container engines do it: DNAT before the routing."""
        space = self._add("container")
        host.ip("link", "add", "docker0", "type", "veth", "peer", "name", "eth0", "netns", space.name)
        for family, near, far, length in (("4", "172.18.0.1", CONTAINER_V4, "16"), ("6", "fd00:18::1", CONTAINER_V6, "64")):
            extra = ("nodad",) if family == "6" else ()
            host.ip("address", "add", f"{near}/{length}", "dev", "docker0", *extra)
            space.ip("address", "add", f"{far}/{length}", "dev", "eth0", *extra)
        host.ip("link", "set", "docker0", "up")
        space.ip("link", "set", "eth0", "up")
        space.ip("-4", "route", "replace", "default", "via", "172.18.0.1")
        space.ip("-6", "route", "replace", "default", "via", "fd00:18::1")
        for tool, own, target in (("iptables", HOST_V4, CONTAINER_V4), ("ip6tables", HOST_V6, f"[{CONTAINER_V6}]")):
            host.run(tool, "-N", "DOCKER-USER")
            host.run(tool, "-A", "DOCKER-USER", "-j", "RETURN")
            host.run(tool, "-I", "FORWARD", "-j", "DOCKER-USER")
            for port in self.ports:
                match = ("-d", own, "-p", port.transport, "--dport", str(port.port))
                host.run(
                    tool, "-t", "nat", "-A", "PREROUTING", *match, "-j", "DNAT", "--to-destination", f"{target}:{port.port}"
                )
        return space

    def _listen(self, space: Space) -> None:
        """Real listeners in both families; the kernel answers for TCP, a thread for UDP."""
        sockets = space.inside(lambda: [open_listener(port, family) for port in self.ports for family in FAMILIES])
        for sock in sockets:
            self._stack.callback(sock.close)
        datagrams = [sock for sock in sockets if sock.type == socket.SOCK_DGRAM]
        if datagrams:
            thread = threading.Thread(target=answer, args=(datagrams, self._stop), name="lab answers", daemon=True)
            thread.start()
            self._stack.callback(thread.join, 2)


FAMILIES = (socket.AF_INET, socket.AF_INET6)


def open_listener(port: Port, family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM if port.transport == "tcp" else socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port.port))  # noqa: S104 - inside the lab only
    if port.transport == "tcp":
        sock.listen(128)
    sock.settimeout(0.1)
    return sock


def answer(sockets: list[socket.socket], stop: threading.Event) -> None:
    """Send every datagram back, until the lab ends."""
    import selectors

    with selectors.DefaultSelector() as selector:
        for sock in sockets:
            selector.register(sock, selectors.EVENT_READ)
        while not stop.is_set():
            for key, _ in selector.select(0.1):
                sock = next(sock for sock in sockets if sock is key.fileobj)
                with suppress(OSError):
                    data, peer = sock.recvfrom(DATAGRAM)
                    sock.sendto(data, peer)


def why_no_lab() -> str | None:
    """Why no lab can be made here; None if it can."""
    if sys.platform != "linux":
        return "network namespaces are Linux only"
    if os.geteuid() != 0:
        return "it needs root"
    missing = [tool for tool in ("ip", "sysctl") if shutil.which(tool) is None]
    return f"{' and '.join(missing)} (iproute2, procps) not found" if missing else None


def remove_leftovers() -> None:
    """Remove labs whose process has gone."""
    for path in Path("/run/netns").glob(f"{PREFIX}-*") if Path("/run/netns").is_dir() else ():
        owner = path.name.split("-")[1]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            remove(path.name)


def remove(name: str) -> None:
    with suppress(Failed):
        call("ip", "netns", "del", name)


def enter(descriptor: int) -> None:
    """Move the calling thread into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, NEW_NET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


def call(*command: str, text: str | None = None, seconds: float = COMMAND_SECONDS) -> str:
    try:
        # S603: the words are ours or the user's own rules, and no shell reads them.
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise UserError(f"{command[0]} was not found", where="the lab", hint="install iproute2, nftables, iptables") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[0]} did not end within {seconds:g} s") from error
    if done.returncode:
        raise Failed(f"{' '.join(command)[:160]}: {done.stderr.strip()[-1000:] or f'ended with {done.returncode}'}")
    return done.stdout
