"""Is the TLS of this endpoint what its clients can rely on? Judged from the certificate and the versions that were seen.

The facts stand under `tls` for TLS from the first byte, and under `starttls_tls` for an upgraded connection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reconshield.checks.check import Check, Context, Judgement
from reconshield.model import Confidence, Service, Severity

SOON = 21 * 86400
"""A certificate that ends within so many seconds is said to end soon."""
OLD_VERSIONS = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1", "TLSv1.1")
MODERN_VERSIONS = ("TLSv1.2", "TLSv1.3")
WEAK_CIPHERS = (
    (r"NULL", "nothing is encrypted"),
    (r"anon|^A(?:EC)?DH-", "nobody proves who the server is"),
    (r"EXPORT|^EXP-", "40-bit keys of the 1990s"),
    (r"RC4|RC2", "RC4 and RC2 are broken (RFC 7465)"),
    (r"3DES|DES-CBC3", "blocks of 64 bits (Sweet32)"),
    (r"DES", "keys of 56 bits"),
    (r"IDEA|SEED", "withdrawn from TLS"),
)
"""Patterns for the names of IANA (`TLS_RSA_WITH_RC4_128_MD5`) and of OpenSSL (`RC4-MD5`), the worst first; RFC 9325 §4.1."""
WEAK_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}


def _tls(service: Service) -> Mapping[str, Any]:
    facts = service.facts.get("tls") or service.facts.get("starttls_tls") or {}
    return facts if isinstance(facts, Mapping) else {}


def _certificate(service: Service) -> Mapping[str, Any]:
    certificate = _tls(service).get("certificate") or {}
    return certificate if isinstance(certificate, Mapping) else {}


def _has_certificate(service: Service) -> bool:
    return bool(_certificate(service))


def _moment(text: object) -> float | None:
    """Unix seconds of an ISO 8601 time, None where there is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _expired(service: Service, context: Context) -> Judgement | None:
    end = _moment(_certificate(service).get("not_after"))
    if end is None or end >= context.now:
        return None
    days = int((context.now - end) // 86400)
    return Judgement(f"the certificate ended {days} days ago", {"not_after": _certificate(service)["not_after"]})


def _ends_soon(service: Service, context: Context) -> Judgement | None:
    end = _moment(_certificate(service).get("not_after"))
    if end is None or not context.now <= end < context.now + SOON:
        return None
    days = int((end - context.now) // 86400)
    return Judgement(f"the certificate ends in {days} days", {"not_after": _certificate(service)["not_after"]})


CLOCKS_APART = 3600.0
"""Clocks differ, and some servers make their certificate when the first client comes."""


def _not_yet_valid(service: Service, context: Context) -> Judgement | None:
    begin = _moment(_certificate(service).get("not_before"))
    if begin is None or begin <= context.now + CLOCKS_APART:
        return None
    return Judgement("the certificate is not valid yet", {"not_before": _certificate(service)["not_before"]})


def _self_signed(service: Service, context: Context) -> Judgement | None:
    del context
    certificate = _certificate(service)
    if certificate.get("self_signed") is not True:
        return None
    subject = certificate.get("subject", "")
    return Judgement(f"the certificate is signed with its own key ({subject})", {"subject": subject})


def _name_mismatch(service: Service, context: Context) -> Judgement | None:
    del context
    if not service.name or service.name == "localhost":
        return None
    names = [str(n).lower() for n in _certificate(service).get("names", ())]
    if not names or any(_matches(service.name.lower(), n) for n in names):
        return None
    shown = ", ".join(names[:4])
    return Judgement(f"the certificate is for {shown}, not for {service.name}", {"names": names, "asked": service.name})


def _matches(host: str, pattern: str) -> bool:
    """RFC 6125 §6.4.3: a `*` stands for the whole left-most label only."""
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:] and "." in pattern[2:]
    return host == pattern


def _old_version(service: Service, context: Context) -> Judgement | None:
    del context
    tls = _tls(service)
    sweep = tls.get("versions") or {}
    accepted = {v for v, answer in sweep.items() if answer == "accepted"} if isinstance(sweep, Mapping) else set()
    old = [v for v in OLD_VERSIONS if v in accepted or v == tls.get("version")]
    if not old:
        return None
    return Judgement(f"the server speaks {', '.join(old)}", {"accepted": sorted(accepted | {str(tls.get("version"))})})


def _weak_key(service: Service, context: Context) -> Judgement | None:
    del context
    certificate = _certificate(service)
    kind, bits = certificate.get("key_type"), certificate.get("key_bits")
    if not isinstance(bits, int) or bits >= WEAK_BITS.get(str(kind), 0):
        return None
    return Judgement(f"the certificate's key is {kind} {bits}", {"key_type": kind, "key_bits": bits})


def _weak_signature(service: Service, context: Context) -> Judgement | None:
    del context
    certificate = _certificate(service)
    signature = str(certificate.get("signature", "")).lower()
    if certificate.get("self_signed") is True or not any(weak in signature for weak in ("md5", "sha1")):
        return None
    return Judgement(f"the certificate is signed with {certificate['signature']}", {"signature": certificate["signature"]})


def _cipher(service: Service) -> str:
    return str(_tls(service).get("cipher") or "")


def _weak_cipher(service: Service, context: Context) -> Judgement | None:
    """The suite that the server chose from all that there are, by its IANA or OpenSSL name."""
    del context
    cipher = _cipher(service)
    why = next((reason for pattern, reason in WEAK_CIPHERS if re.search(pattern, cipher)), None)
    return Judgement(f"the server chose {cipher}: {why}", {"cipher": cipher}) if why else None


def _no_forward_secrecy(service: Service, context: Context) -> Judgement | None:
    del context
    cipher = _cipher(service)
    if not re.match(r"TLS_(?:RSA|PSK)_|(?:AES|CAMELLIA|ARIA|SEED|DES|RC4|NULL|IDEA)[\d-]", cipher):
        return None
    return Judgement(f"the server chose {cipher}, whose traffic opens with the certificate's key", {"cipher": cipher})


def _no_modern_version(service: Service, context: Context) -> Judgement | None:
    """The best version there is, where all were offered; the sweep of level 4 makes it sure."""
    del context
    tls = _tls(service)
    version, sweep = str(tls.get("version", "")), tls.get("versions")
    answers = sweep if isinstance(sweep, Mapping) else {}
    if version not in OLD_VERSIONS or any(answers.get(modern) in ("accepted", "not shown") for modern in MODERN_VERSIONS):
        return None
    sure = all(answers.get(modern) == "refused" for modern in MODERN_VERSIONS)
    seen = f"{version} is the best that was agreed, with TLS 1.2 and 1.3 on offer"
    return Judgement(seen, {"version": version}, Confidence.CONFIRMED if sure else Confidence.PROBABLE)


def _upgrade_fails(service: Service, context: Context) -> Judgement | None:
    del context
    upgrade = service.facts.get("starttls")
    if service.facts.get("starttls_failed") is not True or upgrade not in ("offered", "required"):
        return None
    return Judgement("TLS is offered, and its handshake fails", {"starttls": upgrade, "starttls_failed": True})


def _no_names(service: Service, context: Context) -> Judgement | None:
    """RFC 9525 §6.3: clients look at subjectAltName only; the fact holds the common name where there is none."""
    del context
    certificate = _certificate(service)
    if certificate.get("names") != []:
        return None
    return Judgement("the certificate names no host", {"subject": certificate.get("subject", "")})


RENEW = "renew the certificate, then reload the server; automate it (ACME, RFC 8555) and alert 21 days before the end"

CHECKS = (
    Check(
        "tls-expired",
        "Certificate has expired",
        Severity.MEDIUM,
        _has_certificate,
        _expired,
        RENEW,
        "a certificate whose end lies ahead is served",
        ("T1557",),
        ("rfc5280",),
    ),
    Check(
        "tls-expires-soon",
        "Certificate ends soon",
        Severity.LOW,
        _has_certificate,
        _ends_soon,
        RENEW,
        "a certificate that is valid for more than 21 days is served",
        (),
        ("rfc5280",),
    ),
    Check(
        "tls-not-yet-valid",
        "Certificate is not valid yet",
        Severity.MEDIUM,
        _has_certificate,
        _not_yet_valid,
        "check the clock of the machine that signed it and of this server, then install a certificate that is valid now",
        "a certificate whose begin has passed is served",
        (),
        ("rfc5280",),
    ),
    Check(
        "tls-self-signed",
        "Certificate is signed with its own key",
        Severity.LOW,
        _has_certificate,
        _self_signed,
        "serve a certificate of a CA that the clients trust; clients that accept any certificate accept a meddler's too",
        "a certificate signed by another key is served",
        ("T1557",),
        ("rfc5280",),
    ),
    Check(
        "tls-name-mismatch",
        "Certificate is for another name",
        Severity.MEDIUM,
        _has_certificate,
        _name_mismatch,
        "issue the certificate for every name that clients use",
        "the certificate lists the name that was asked for",
        ("T1557",),
        ("rfc9525",),
    ),
    Check(
        "tls-old-version",
        "TLS versions that are withdrawn are spoken",
        Severity.MEDIUM,
        lambda s: bool(_tls(s)),
        _old_version,
        "allow TLS 1.2 and 1.3 only (OpenSSL: MinProtocol = TLSv1.2; nginx: ssl_protocols TLSv1.2 TLSv1.3)",
        "SSL 3.0, TLS 1.0 and TLS 1.1 are refused",
        ("T1557",),
        ("rfc8996",),
    ),
    Check(
        "tls-weak-key",
        "Certificate key is short",
        Severity.MEDIUM,
        _has_certificate,
        _weak_key,
        "make a new key: RSA of 2048 bits or more, or EC P-256",
        "the key has 2048 bits (RSA) or 224 bits (EC) or more",
        ("T1557",),
        ("nist-sp-800-131a",),
    ),
    Check(
        "tls-weak-signature",
        "Certificate is signed with an old hash",
        Severity.MEDIUM,
        _has_certificate,
        _weak_signature,
        "renew the certificate: CAs sign with SHA-256 today",
        "the signature uses SHA-256 or better",
        ("T1557",),
        ("rfc9155",),
    ),
    Check(
        "tls-weak-cipher",
        "A broken TLS cipher was agreed",
        Severity.MEDIUM,
        lambda s: bool(_tls(s)),
        _weak_cipher,
        "allow AEAD suites with ECDHE only (OpenSSL: `HIGH:!aNULL:!eNULL:!3DES:!RC4`, or Mozilla's intermediate list)",
        "a modern client is given AES-GCM or ChaCha20",
        ("T1557",),
        ("rfc9325", "mozilla-tls"),
    ),
    Check(
        "tls-no-forward-secrecy",
        "Recorded traffic can be read once the key is known",
        Severity.LOW,
        lambda s: bool(_tls(s)),
        _no_forward_secrecy,
        "prefer ECDHE suites and TLS 1.3 (nginx: `ssl_ciphers` of Mozilla's intermediate list)",
        "a suite with ECDHE or DHE, or TLS 1.3, is agreed",
        ("T1040",),
        ("rfc9325", "mozilla-tls"),
    ),
    Check(
        "tls-no-modern-version",
        "Neither TLS 1.2 nor TLS 1.3 is spoken",
        Severity.HIGH,
        lambda s: bool(_tls(s)),
        _no_modern_version,
        "update the server or its TLS library; until then put a TLS proxy in front",
        "TLS 1.2 or 1.3 is agreed",
        ("T1557",),
        ("rfc8996", "rfc9325"),
    ),
    Check(
        "tls-upgrade-fails",
        "TLS is offered and does not work",
        Severity.LOW,
        lambda s: "starttls_failed" in s.facts,
        _upgrade_fails,
        "read the server's log: certificate and key that do not fit, a file it may not read, no common version",
        "the handshake after the upgrade is completed",
        ("T1557",),
    ),
    Check(
        "tls-no-names",
        "Certificate names no host",
        Severity.LOW,
        _has_certificate,
        _no_names,
        "issue the certificate with subjectAltName for every name that clients use",
        "the certificate has a subjectAltName",
        (),
        ("rfc9525",),
    ),
)
