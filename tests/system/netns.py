"""Network namespaces for a test: made, wired with veth pairs for IPv4 and IPv6, and removed again.

    with Lab() as lab:
        scanner, target = lab.namespace("scan"), lab.namespace("target")
        lab.link(scanner, target, "10.91.0.1/24", "10.91.0.2/24", "fd91::1/64", "fd91::2/64")
        target.run("nft", "-f", "-", text=rules)
        with target.listeners([("10.91.0.2", 80)]):
            scanner.python("print(1)")

Nothing leaves: there is no default route unless a test makes one inside. Names carry the process id, so that several tests may
run at once. Needs root and iproute2; `can_make_namespaces` says whether that is given.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x4000_0000
_numbers = count(1)


def can_make_namespaces() -> bool:
    """Whether this process may make network namespaces and has the tools."""
    return sys.platform == "linux" and os.geteuid() == 0 and all(shutil.which(tool) for tool in ("ip", "nft"))


class Namespace:
    """One network namespace by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, text: str | None = None, timeout: float = 120) -> str:
        """Run a command inside and give its output. A failure raises with its error output."""
        return _call("ip", "netns", "exec", self.name, *command, text=text, timeout=timeout)

    def python(self, program: str, *arguments: str, timeout: float = 120) -> str:
        """Run a Python program inside, with this interpreter."""
        return self.run(sys.executable, "-c", program, *arguments, timeout=timeout)

    def firewall(self, rules: str) -> None:
        """Load nftables rules, in place of all that were there."""
        self.run("nft", "-f", "-", text=f"flush ruleset\n{rules}\n")

    def inside(self, work: Callable[[], T]) -> T:
        """Call a function with this thread inside the namespace. Sockets that it opens stay inside for good.

        Only the calling thread moves: what the function starts as a new thread or process is inside as well.
        """
        with Path("/proc/thread-self/ns/net").open() as outside, (Path("/run/netns") / self.name).open() as inside:
            _enter(inside.fileno())
            try:
                return work()
            finally:
                _enter(outside.fileno())

    @contextmanager
    def listeners(self, endpoints: Iterable[tuple[str, int]]) -> Iterator[list[socket.socket]]:
        """TCP listeners inside, for as long as the block lasts. Nobody accepts; the kernel answers with SYN-ACK."""
        with ExitStack() as stack:

            def listen() -> list[socket.socket]:
                return [stack.enter_context(_listen(address, port)) for address, port in endpoints]

            yield self.inside(listen)


class Lab:
    """Namespaces that live as long as the `with` block."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._prefix = f"rs{os.getpid():x}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(self._names):
            _call("ip", "netns", "del", name)  # its interfaces go with it

    def namespace(self, label: str) -> Namespace:
        """A new namespace with loopback up."""
        name = f"{self._prefix}-{next(_numbers)}-{label}"
        _call("ip", "netns", "add", name)
        self._names.append(name)
        space = Namespace(name)
        space.run("ip", "link", "set", "lo", "up")
        return space

    def link(self, left: Namespace, right: Namespace, *addresses: str) -> tuple[str, str]:
        """Join two namespaces by a veth pair. Addresses with prefix length alternate: left, right, left, right.

        Gives the names of both ends.
        """
        number = next(_numbers)
        ends = (f"{self._prefix}l{number}", f"{self._prefix}r{number}")
        _call("ip", "link", "add", ends[0], "netns", left.name, "type", "veth", "peer", "name", ends[1], "netns", right.name)
        for at, address in enumerate(addresses):
            # nodad: an IPv6 address is usable at once
            extra = ("nodad",) if ":" in address else ()
            (left, right)[at % 2].run("ip", "address", "add", address, "dev", ends[at % 2], *extra)
        for space, end in zip((left, right), ends, strict=True):
            space.run("ip", "link", "set", end, "up")
        return ends


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    sock.listen(128)
    return sock


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


def _call(*command: str, text: str | None = None, timeout: float = 60) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout
