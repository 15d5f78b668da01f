"""What other tools call the protocols that have another name here."""

from __future__ import annotations

from collections.abc import Mapping

ZEEK: Mapping[str, str] = {
    "ssl": "tls",
    "krb": "kerberos",
    "krb_tcp": "kerberos",
    "dce_rpc": "msrpc",
    "ldap_tcp": "ldap",
    "ldap_udp": "ldap",
}
"""Zeek's names in conn.log, in ours."""


def zeek_names(service: str) -> tuple[str, ...]:
    """All names under which Zeek may write a service."""
    return tuple(sorted({service, *(theirs for theirs, ours in ZEEK.items() if ours == service)}))
