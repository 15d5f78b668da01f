"""SSH (RFC 4253): the identification string and the algorithms that the server lists in its first packet. No key is exchanged.

At level 4 the login methods would need a user name, which is never given, so they stay unknown.
"""

from __future__ import annotations

import re
from typing import Any

from reconshield.identify.probe import Ask, Dialogue, Match, Probe, Read, first_line, name_cpe

OURS = b"SSH-2.0-ReconShield\r\n"
KEXINIT = 20
LISTS = ("kex", "host_keys", "ciphers", "ciphers_to_client", "macs", "macs_to_client")
"""The first six name-lists of SSH_MSG_KEXINIT (RFC 4253 §7.1)."""

PRODUCTS: tuple[tuple[str, str, tuple[str, str] | None], ...] = (
    (r"OpenSSH_for_Windows_(\d[\w.]*)", "OpenSSH for Windows", ("openbsd", "openssh")),
    (r"OpenSSH_(\d[\w.]*)", "OpenSSH", ("openbsd", "openssh")),
    (r"dropbear(?:_(\d[\w.]*))?", "Dropbear sshd", ("dropbear_ssh_project", "dropbear_ssh")),
    (r"libssh[_-](\d[\w.]*)", "libssh", ("libssh", "libssh")),
    (r"Cisco-(\d[\w.]*)", "Cisco SSH", None),
    (r"ROSSSH", "MikroTik RouterOS sshd", ("mikrotik", "routeros")),
    (r"AsyncSSH_(\d[\w.]*)", "AsyncSSH", ("asyncssh_project", "asyncssh")),
    (r"paramiko_(\d[\w.]*)", "Paramiko", ("paramiko", "paramiko")),
    (r"Go$", "Go x/crypto/ssh", ("golang", "ssh")),
    (r"APACHE-SSHD-(\d[\w.]*)", "Apache MINA SSHD", ("apache", "mina_sshd")),
    (r"(?:SSHD-CORE|SSHD-UNKNOWN)-?(\d[\w.]*)?", "Apache MINA SSHD", ("apache", "mina_sshd")),
    (r"mod_sftp(?:/(\d[\w.]*))?", "ProFTPD mod_sftp", ("proftpd", "proftpd")),
    (r"WeOnlyDo(?:-wodFTPD)? (\d[\w.]*)", "WeOnlyDo sshd", None),
    (r"(\d[\w.]*) FlowSsh: Bitvise SSH Server", "Bitvise SSH Server", None),
)


def identified(data: bytes) -> bool:
    """The identification string has come; lines before it are allowed (RFC 4253 §4.2)."""
    return re.search(rb"^SSH-[^\n]{0,255}\n", data, re.MULTILINE) is not None


def listed(data: bytes) -> bool:
    """The server's KEXINIT has come as a whole packet."""
    packet = data[after_identification(data) :]
    return len(packet) >= 4 and len(packet) >= 4 + int.from_bytes(packet[:4], "big")


def after_identification(data: bytes) -> int:
    """Where the packets begin; 0 when the identification was read before."""
    found = re.match(rb"(?:[^\n]{0,255}\n){0,16}?SSH-[^\n]{0,255}\n", data)
    return found.end() if found else 0


def run() -> Dialogue:
    hello = yield Read(until=identified)
    found = re.search(rb"^SSH-(\d\.\d{1,3})-([^\s\r\n]{0,200})(?: ([^\r\n]{0,200}))?", hello, re.MULTILINE)
    if not found:
        return None
    facts: dict[str, Any] = {"greeting": first_line(found[0]), "protocol": f"SSH-{found[1].decode('latin-1')}"}
    answer = yield Ask(OURS, until=listed)
    # Some servers send their list right behind the identification, before they have seen ours.
    early = hello[after_identification(hello) :]
    facts |= read_lists(early + answer)
    return name_product(found[2].decode("latin-1"), (found[3] or b"").decode("latin-1"), facts)


def read_lists(data: bytes) -> dict[str, Any]:
    """The algorithms of a KEXINIT packet; nothing when there is none."""
    packet = data[after_identification(data) :]
    if len(packet) < 26 or packet[5] != KEXINIT:
        return {}
    facts: dict[str, Any] = {}
    at = 22
    for name in LISTS:
        length = int.from_bytes(packet[at : at + 4], "big")
        words = packet[at + 4 : at + 4 + length]
        if len(words) < length or length > 4096:
            return facts
        facts[name] = words.decode("latin-1").split(",") if words else []
        at += 4 + length
    facts["ciphers"] = merge(facts["ciphers"], facts.pop("ciphers_to_client"))
    facts["macs"] = merge(facts["macs"], facts.pop("macs_to_client"))
    return facts


def merge(one: list[str], other: list[str]) -> list[str]:
    return list(dict.fromkeys([*one, *other]))


def name_product(software: str, comment: str, facts: dict[str, Any]) -> Match:
    """Product and version from the software field, the distribution's revision from the comment behind it."""
    revision = re.match(r"(Debian|Ubuntu|Raspbian|FreeBSD)-([\w.+~:-]{1,60})", comment)
    if revision:
        facts |= {"os": revision[1], "package": revision[2]}
    for pattern, product, vendor in PRODUCTS:
        named = re.match(pattern, f"{software} {comment}".strip() if " " in pattern else software)
        if named:
            version = named[1] if named.re.groups else None
            return Match("ssh", product, version, facts, (name_cpe(*vendor, version),) if vendor else ())
    return Match("ssh", facts=facts)


PROBE = Probe("ssh", ports=(22, 2222, 22222), run=run, speaks_first=True)
