"""Which algorithms does an SSH server still offer? From the lists in its first packet; no key is exchanged, nobody logs in.

Weak means: RFC 9142 or RFC 8758 say it SHOULD NOT or MUST NOT be used, or OpenSSH has removed it or turned it off by default.
Whether passwords are accepted would need a user's name, which is never given, so it is not judged.
"""

from __future__ import annotations

from collections.abc import Callable

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Service, Severity

KEX = frozenset(
    {"diffie-hellman-group1-sha1", "diffie-hellman-group-exchange-sha1", "rsa1024-sha1", "gss-group1-sha1", "gss-gex-sha1"}
)
"""RFC 9142 §3 and §4: SHOULD NOT or MUST NOT. group14-sha1 MAY be used and is left alone."""
HOST_KEYS = frozenset(
    {
        *("ssh-dss", "ssh-rsa", "ssh-dss-cert-v01@openssh.com", "ssh-rsa-cert-v01@openssh.com"),
        *("ssh-dss-cert-v00@openssh.com", "ssh-rsa-cert-v00@openssh.com"),
    }
)
"""DSA: off in OpenSSH 7.0, removed in 10.0. `ssh-rsa` is RSA with SHA-1: off in OpenSSH 8.8 (the key itself may stay)."""
CIPHERS = frozenset(
    {
        *("none", "arcfour", "arcfour128", "arcfour256", "des-cbc", "3des-cbc", "blowfish-cbc", "cast128-cbc", "idea-cbc"),
        *("des-cbc@ssh.com", "rijndael-cbc@lysator.liu.se"),
    }
)
"""RFC 8758 for RC4; OpenSSH 7.6 removed RC4, Blowfish and CAST; 64-bit blocks (3DES) are off by default since 7.4."""
MACS = frozenset(
    {
        *("none", "hmac-md5", "hmac-md5-96", "hmac-sha1-96", "hmac-ripemd160", "hmac-ripemd160@openssh.com"),
        *("hmac-md5-etm@openssh.com", "hmac-md5-96-etm@openssh.com", "hmac-sha1-96-etm@openssh.com"),
        "hmac-ripemd160-etm@openssh.com",
    }
)
"""MD5 and cut MACs: off in OpenSSH 7.2; RIPEMD-160: removed in 7.6."""

STRICT = "kex-strict-s-v00@openssh.com"
CHACHA = "chacha20-poly1305@openssh.com"


def _offers(key: str, weak: frozenset[str], what: str) -> Callable[[Service, Context], Judgement | None]:
    def judge(service: Service, context: Context) -> Judgement | None:
        del context
        found = [name for name in _listed(service, key) if name in weak or _is_gss(name, weak)]
        return Judgement(f"the server offers the {what} {', '.join(found)}", {key: found}) if found else None

    return judge


def _is_gss(name: str, weak: frozenset[str]) -> bool:
    """GSS methods end in the hash of a mechanism: `gss-group1-sha1-toWM5Slw5Ew8Mqkay+al2g==`."""
    return name.startswith("gss-") and name.rsplit("-", 1)[0] in weak


def _listed(service: Service, key: str) -> list[str]:
    names = service.facts.get(key)
    return [str(name) for name in names] if isinstance(names, list) else []


def _terrapin(service: Service, context: Context) -> Judgement | None:
    """CVE-2023-48795: packets before the key exchange can be cut where strict key exchange is missing."""
    del context
    kex, ciphers, macs = _listed(service, "kex"), _listed(service, "ciphers"), _listed(service, "macs")
    cbc = [name for name in ciphers if name.endswith("-cbc")] if any("-etm@" in name for name in macs) else []
    weak = [name for name in ciphers if name == CHACHA] + cbc
    if not kex or not weak or STRICT in kex:
        return None
    return Judgement(f"{', '.join(weak)} without strict key exchange", {"ciphers": weak, "strict_kex": False})


def _old_protocol(service: Service, context: Context) -> Judgement | None:
    del context
    stated = str(service.facts.get("protocol", ""))
    if not stated.startswith("SSH-1."):
        return None
    also = ", beside version 2" if stated == "SSH-1.99" else ""
    return Judgement(f"the server states {stated}: version 1 of the protocol is spoken{also}", {"protocol": stated})


def _check(
    problem: str, title: str, severity: Severity, judge: Callable[[Service, Context], Judgement | None], **more: str
) -> Check:
    return Check(
        id=f"ssh-{problem}",
        title=title,
        severity=severity,
        applies=lambda service: service.service == "ssh",
        judge=judge,
        remedy=more["remedy"],
        refuted=more["refuted"],
        attack=("T1557",),
        references=tuple(more["references"].split()),
    )


CHECKS = (
    _check(
        "protocol-1",
        "SSH version 1 is still spoken",
        Severity.HIGH,
        _old_protocol,
        remedy="OpenSSH: `Protocol 2` (7.4 and later have no version 1); devices: `ip ssh version 2`",
        refuted="the identification string states 2.0",
        references="rfc4253",
    ),
    _check(
        "weak-key-exchange",
        "Weak SSH key exchange is offered",
        Severity.LOW,
        _offers("kex", KEX, "key exchange"),
        remedy="sshd_config: `KexAlgorithms -diffie-hellman-group1-sha1,diffie-hellman-group-exchange-sha1`, then reload",
        refuted="the list of key exchanges has none that RFC 9142 advises against",
        references="rfc9142 openssh-legacy",
    ),
    _check(
        "weak-host-key",
        "Weak SSH host key algorithm is offered",
        Severity.LOW,
        _offers("host_keys", HOST_KEYS, "host key algorithm"),
        remedy="sshd_config: `HostKeyAlgorithms -ssh-rsa,ssh-dss`; keep an Ed25519 key and RSA with SHA-2, then reload",
        refuted="no host key algorithm signs with DSA or SHA-1",
        references="openssh-legacy",
    ),
    _check(
        "weak-cipher",
        "Weak SSH cipher is offered",
        Severity.MEDIUM,
        _offers("ciphers", CIPHERS, "cipher"),
        remedy="sshd_config: `Ciphers -3des-cbc,arcfour*,blowfish-cbc,cast128-cbc`, then reload",
        refuted="the list of ciphers has no RC4, no 64-bit block and no `none`",
        references="openssh-legacy sshd_config",
    ),
    _check(
        "weak-mac",
        "Weak SSH message authentication is offered",
        Severity.LOW,
        _offers("macs", MACS, "MAC"),
        remedy="sshd_config: `MACs -hmac-md5*,*-96*,hmac-ripemd160*`, then reload",
        refuted="the list of MACs has no MD5, no cut hash and no RIPEMD-160",
        references="openssh-legacy sshd_config",
    ),
    _check(
        "terrapin",
        "SSH connections can be cut at their start",
        Severity.LOW,
        _terrapin,
        remedy="update the server (OpenSSH 9.6 or a package with the fix of CVE-2023-48795); clients need it too",
        refuted="the server lists strict key exchange, or neither ChaCha20-Poly1305 nor CBC with encrypt-then-MAC",
        references="openssh-9.6",
    ),
)
