"""Addresses of channels that somebody typed into the web app: where they may lead. Pure but for the resolver that is passed in.

A channel in the operator's own file may lead anywhere. One that came in through the web could be used to make the server speak
to itself or to its own network (request forgery), so it must name a host of the allow-list, over HTTPS, and every address that
the name has must be a public one. The address that was checked is the one that is connected to: a name that answers otherwise
a moment later (DNS rebinding) changes nothing. Redirects are never followed. Only channels that are `guarded` go by this; a
file, a command or a mail server is never taken from the web.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from reconshield.addresses import AddressSet
from reconshield.errors import UserError

Resolve = Callable[[str], Iterable[str]]

CARRIERS = tuple(map(ip_network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")))
"""IPv6 networks whose addresses carry an IPv4 address: NAT64, 6to4, Teredo. What they lead to cannot be told by looking."""
NOT_PUBLIC = tuple(map(ip_network, ("100.64.0.0/10", "192.88.99.0/24", "fec0::/10")))


def guard(allowed: Iterable[str], own: AddressSet, resolve: Resolve) -> Callable[[str, int], list[str]]:
    """What an `Order` takes as `admit`: hosts of the allow-list, and of those only public addresses that are not our own.

    An entry is a host name, or `.example.org` for every name below it.
    """
    listed = tuple(entry.lower().rstrip(".") for entry in allowed)

    def admit(host: str, port: int) -> list[str]:
        name = host.lower().rstrip(".")
        if not any(name == entry or (entry.startswith(".") and name.endswith(entry)) for entry in listed):
            raise UserError(
                "this host is not on the allow-list of channels", where=f"{host}:{port}", hint="ask an administrator"
            )
        addresses = list(resolve(name))
        for address in addresses:
            if why := why_not(address, own):
                raise UserError(f"this host leads to {why}", where=f"{host}:{port}", hint="give a host on the internet")
        return addresses

    return admit


def why_not(text: str, own: AddressSet) -> str | None:
    """Why an address may not be spoken to, None if it may."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if str(address) in own:
        return "this server itself"
    if not address.is_global or address.is_multicast or address.is_reserved:
        return f"an address that is not public ({address})"
    if any(address in network for network in (*CARRIERS, *NOT_PUBLIC) if network.version == address.version):
        return f"an address that is not public ({address})"
    return None
