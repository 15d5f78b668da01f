"""Whose request it is: the address of the connection, or what a trusted proxy says. Never what a visitor can write."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from starlette.requests import HTTPConnection

from reconshield.addresses import AddressSet, parse_target
from reconshield.errors import UserError


def read_proxies(text: str) -> AddressSet:
    """`127.0.0.1, 10.0.0.0/8` as a set. Raises UserError for what is no address."""
    found = AddressSet()
    for part in text.replace(",", " ").split():
        addresses = parse_target(part, where="--proxy", wide=True).addresses
        if addresses is None:
            raise UserError("a proxy is given by its address", where=f"--proxy {part}", hint="--proxy 127.0.0.1")
        found |= addresses
    return found


def client_address(connection: HTTPConnection, proxies: AddressSet) -> str:
    """The peer; behind trusted proxies the nearest address in `X-Forwarded-For` that is not one of them."""
    peer = plain(connection.client.host if connection.client else "")
    if not trusted(peer, proxies):
        return peer
    for part in reversed(connection.headers.get("x-forwarded-for", "").split(",")):
        address = plain(part.strip())
        if not address:
            break
        if not trusted(address, proxies):
            return address
        peer = address
    return peer


def came_by_tls(connection: HTTPConnection, proxies: AddressSet) -> bool:
    """Whether the visitor's own connection is encrypted, as far as it can be known."""
    if connection.url.scheme in {"https", "wss"}:
        return True
    peer = plain(connection.client.host if connection.client else "")
    return trusted(peer, proxies) and connection.headers.get("x-forwarded-proto", "").strip().lower() == "https"


@lru_cache(1024)
def plain(text: str) -> str:
    """An address as it is written everywhere; empty for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def trusted(address: str, proxies: AddressSet) -> bool:
    return bool(address) and proxies.covers(AddressSet.of(address))
