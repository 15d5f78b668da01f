"""The only reader of this machine: its addresses, its connected networks, its resolver and its listeners.

What comes out are values: address sets, records, and notes on what the operating system would not tell. A link-local IPv6
address means something only together with an interface, so none of them ever becomes part of a set.
"""

from __future__ import annotations

import getpass
import os
import queue
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

import psutil

from reconshield.addresses import AddressSet
from reconshield.errors import UserError

RESOLVE_SECONDS = 10.0
ANSWER_LIMIT = 256
"""Addresses that one name may have."""

Lookup = Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Interface:
    """One address of one network interface. `broadcast` is None in IPv6 and where the network has none."""

    name: str
    address: str
    prefix: int
    broadcast: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that waits for others. `pid` and `process` are None where the system does not tell."""

    ip: str
    port: int
    transport: str
    pid: int | None = None
    process: str | None = None


@dataclass(frozen=True, slots=True)
class Listeners:
    """What listens here. `note` says what could not be seen; with a note, absence proves nothing."""

    rows: tuple[Listener, ...]
    note: str | None = None


def interfaces() -> tuple[Interface, ...]:
    """Every IPv4 and IPv6 address of this machine, link-local ones without their scope id."""
    return tuple(
        read_interface(name, str(found.address).partition("%")[0], found.netmask)
        for name, addresses in sorted(psutil.net_if_addrs().items())
        for found in addresses
        if found.family in {socket.AF_INET, socket.AF_INET6}
    )


def read_interface(name: str, address: str, netmask: str | None) -> Interface:
    """One address with its network. Where the system gives no mask, the address stands alone.

    The broadcast address is computed, for interfaces may be configured with a wrong one or with none.
    """
    if ":" in address:
        return Interface(name, address, int(IPv6Address(netmask)).bit_count() if netmask else 128)
    prefix = int(IPv4Address(netmask)).bit_count() if netmask else 32
    broadcast = IPv4Interface(f"{address}/{prefix}").network.broadcast_address if prefix < 31 else None
    return Interface(name, address, prefix, str(broadcast) if broadcast else None)


def own_addresses() -> AddressSet:
    """All addresses of this machine, loopback included, link-local IPv6 left out."""
    return AddressSet.of(*(i.address for i in interfaces() if not is_link_local(i.address)))


def broadcast_addresses() -> AddressSet:
    """The IPv4 broadcast and network addresses of connected networks, as far as they are not addresses of this machine."""
    networks = [IPv4Interface(f"{i.address}/{i.prefix}").network for i in interfaces() if i.broadcast]
    ends = [str(end) for network in networks for end in (network.network_address, network.broadcast_address)]
    return AddressSet.of(*ends) - own_addresses()


def is_link_local(address: str) -> bool:
    return ":" in address and IPv6Address(address.partition("%")[0]).is_link_local


def look_up(name: str) -> list[str]:
    """Ask the system's resolver (files, DNS, mDNS, as configured) for the addresses of a name."""
    answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in answers]


def resolve(name: str, *, seconds: float = RESOLVE_SECONDS, look_up: Lookup = look_up) -> AddressSet:
    """The addresses of a name now. No answer, a failure, or nothing within `seconds` is a `UserError`."""
    answer: queue.Queue[list[str] | Exception] = queue.Queue()

    def ask() -> None:
        try:
            answer.put(look_up(name))
        except (OSError, UnicodeError) as error:
            answer.put(error)

    # The resolver of the C library cannot be interrupted; a daemon thread is left behind rather than waited for.
    threading.Thread(target=ask, name=f"resolve {name}", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except queue.Empty:
        raise UserError(
            f"the resolver did not answer within {seconds:g} s", where=name, hint="give the address, or check the resolver"
        ) from None
    if isinstance(found, Exception):
        raise UserError(
            f"the name cannot be resolved: {getattr(found, 'strerror', None) or found}",
            where=name,
            hint="check the spelling, or give the address",
        ) from found
    usable = [address for address in dict.fromkeys(found) if "%" not in address and not is_link_local(address)]
    if not usable:
        raise UserError("the name has no address that can be measured", where=name, hint="give the address")
    if len(usable) > ANSWER_LIMIT:
        raise UserError(f"the name has more than {ANSWER_LIMIT} addresses", where=name, hint="give the addresses you mean")
    return AddressSet.of(*usable)


def listeners() -> Listeners:
    """TCP sockets that listen and UDP sockets without a peer, with their processes where the system tells."""
    try:
        sockets = psutil.net_connections(kind="inet")
    except psutil.AccessDenied:
        return Listeners((), "this system shows sockets to the administrator only")
    names: dict[int, str | None] = {}
    rows = set()
    for found in sockets:
        waits = found.status == psutil.CONN_LISTEN if found.type == socket.SOCK_STREAM else not found.raddr
        if not waits or not found.laddr:
            continue
        if found.pid is not None and found.pid not in names:
            names[found.pid] = process_name(found.pid)
        transport = "tcp" if found.type == socket.SOCK_STREAM else "udp"
        rows.add(Listener(found.laddr.ip, found.laddr.port, transport, found.pid, names.get(found.pid or -1)))
    hidden = sum(1 for row in rows if row.pid is None)
    note = f"the process of {hidden} of {len(rows)} sockets is not shown to this user" if hidden else None
    return Listeners(tuple(sorted(rows, key=lambda row: (row.port, row.transport, row.ip, row.pid or 0))), note)


def process_name(pid: int) -> str | None:
    """The name of a process, None if it has gone or may not be seen."""
    try:
        return str(psutil.Process(pid).name())
    except psutil.Error:
        return None


def user_name() -> str:
    """Who runs this program, for the audit log: by user id, for the environment says what its owner likes."""
    if sys.platform == "win32":
        return getpass.getuser()
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # no entry in the user database, as in many containers
        return f"uid {os.getuid()}"
