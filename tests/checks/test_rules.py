"""Every check as a table: the facts of one service, and the findings they must and must not give."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconshield.checks.check import Context, finding_id, run_checks
from reconshield.checks.rules import CHECKS
from reconshield.model import Confidence, Endpoint, Service, Tls

NOW = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
GOOD = {
    "subject": "CN=mail.example",
    "names": ["mail.example", "*.web.example"],
    "not_before": "2026-01-01T00:00:00Z",
    "not_after": "2027-06-01T00:00:00Z",
    "self_signed": False,
    "key_type": "RSA",
    "key_bits": 2048,
    "signature": "sha256WithRSAEncryption",
}


def service(kind: str, *, tls: Tls = Tls.NONE, **more: Any) -> Service:
    fields: dict[str, Any] = {"confidence": Confidence.CONFIRMED, "at": NOW, "tls": tls, **more}
    return Service(endpoint=Endpoint("10.77.0.2", 110), service=kind, **fields)


def with_certificate(name: str = "mail.example", **changes: Any) -> Service:
    return service("https", tls=Tls.IMPLICIT, facts={"tls": {"version": "TLSv1.3", "certificate": GOOD | changes}}, name=name)


def found(subject: Service) -> list[str]:
    return [f.check for f in run_checks(CHECKS, subject, "local", Context(now=NOW))]


CLEAR = {"login_clear": "offered", "mechanisms_clear": ["PLAIN"]}

TABLE: list[tuple[str, Service, list[str]]] = [
    ("pop3 offers login before TLS", service("pop3", tls=Tls.STARTTLS, facts=CLEAR), ["pop3-cleartext-login"]),
    ("pop3 without TLS at all", service("pop3", facts=CLEAR), ["pop3-cleartext-login"]),
    ("pop3 refuses login before TLS", service("pop3", tls=Tls.STARTTLS, facts={"login_clear": "refused"}), []),
    ("pop3 does not offer login before TLS", service("pop3", tls=Tls.STARTTLS, facts={"login_clear": "not offered"}), []),
    ("pop3 tells nothing", service("pop3", facts={"login_clear": "unknown"}), []),
    ("pop3 inside TLS", service("pop3", tls=Tls.IMPLICIT, facts=CLEAR), []),
    ("imap", service("imap", facts=CLEAR), ["imap-cleartext-login"]),
    ("smtp", service("smtp", facts=CLEAR), ["smtp-cleartext-login"]),
    ("ftp", service("ftp", facts=CLEAR), ["ftp-cleartext-login"]),
    ("ldap", service("ldap", facts=CLEAR), ["ldap-cleartext-login"]),
    ("http asks for a password", service("http", facts=CLEAR), ["http-cleartext-login"]),
    ("http asks for one inside TLS", service("http", tls=Tls.IMPLICIT, facts=CLEAR), []),
    ("redis asks for a password", service("redis", facts={"login_clear": "offered"}), ["redis-cleartext-login"]),
    ("postgresql", service("postgresql", facts=CLEAR), ["postgresql-cleartext-login"]),
    ("telnet", service("telnet", facts=CLEAR), ["telnet-cleartext-login", "telnet-exposed"]),
    ("redis open", service("redis", facts={"auth": "none"}), ["redis-no-auth"]),
    ("redis with a password", service("redis", facts={"auth": "required"}), []),
    ("redis not asked", service("redis"), []),
    ("memcached open", service("memcached", facts={"auth": "none"}), ["memcached-no-auth"]),
    ("vnc without a password", service("vnc", facts={"auth": "none"}), ["vnc-no-auth", "vnc-exposed"]),
    ("ftp anonymous", service("ftp", facts={"anonymous": True}), ["ftp-anonymous-login"]),
    ("ftp anonymous refused", service("ftp", facts={"anonymous": False}), []),
    ("ldap anonymous", service("ldap", facts={"anonymous": True}), ["ldap-anonymous-bind"]),
    ("smb null session", service("smb", facts={"anonymous": True}), ["smb-null-session"]),
    ("smb session without a share", service("smb", facts={"null_session": True, "anonymous": False}), []),
    ("smb 1", service("smb", facts={"smb1": True}), ["smb-v1"]),
    ("smb 1 refused", service("smb", facts={"smb1": False}), []),
    ("dns for everybody", service("dns", facts={"recursion": True}), ["dns-open-recursion"]),
    ("dns offers recursion, not asked", service("dns", facts={"recursion_offered": True}), []),
    ("rdp confirmed", service("rdp"), ["rdp-exposed"]),
    ("rdp guessed from the port", service("rdp", confidence=Confidence.GUESS), []),
    ("ssh shows its version", service("ssh", product="OpenSSH", version="9.2p1"), ["ssh-version-banner"]),
    ("ssh hides its version", service("ssh", product="OpenSSH"), []),
    ("a good certificate", with_certificate(), []),
    ("expired", with_certificate(not_after="2026-11-01T00:00:00Z"), ["tls-expired"]),
    ("ends soon", with_certificate(not_after="2026-12-01T00:00:00Z"), ["tls-expires-soon"]),
    ("not yet valid", with_certificate(not_before="2026-12-01T00:00:00Z"), ["tls-not-yet-valid"]),
    ("self-signed", with_certificate(self_signed=True), ["tls-self-signed"]),
    ("another name", with_certificate(name="ftp.example"), ["tls-name-mismatch"]),
    ("a wildcard covers one label", with_certificate(name="a.web.example"), []),
    ("a wildcard covers no second label", with_certificate(name="a.b.web.example"), ["tls-name-mismatch"]),
    ("short key", with_certificate(key_bits=1024), ["tls-weak-key"]),
    ("old hash", with_certificate(signature="sha1WithRSAEncryption"), ["tls-weak-signature"]),
    (
        "old hash on a self-signed one decides nothing",
        with_certificate(signature="sha1", self_signed=True),
        ["tls-self-signed"],
    ),
    ("dates that are no dates", with_certificate(not_after="soon", not_before=None), []),
    (
        "old version in the sweep",
        service("https", tls=Tls.IMPLICIT, facts={"tls": {"version": "TLSv1.2", "versions": {"TLSv1.0": "accepted"}}}),
        ["tls-old-version"],
    ),
    (
        "old version refused",
        service("https", tls=Tls.IMPLICIT, facts={"tls": {"version": "TLSv1.2", "versions": {"TLSv1.0": "refused"}}}),
        [],
    ),
    (
        "upgraded connection",
        service("smtp", tls=Tls.STARTTLS, facts={"starttls_tls": {"certificate": GOOD | {"self_signed": True}}}),
        ["tls-self-signed"],
    ),
]


@pytest.mark.parametrize(("subject", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_findings(subject: Service, expected: list[str]) -> None:
    assert found(subject) == expected


@pytest.mark.parametrize("facts", [{"tls": "odd"}, {"tls": {"certificate": 7}}, {"tls": {"versions": []}}, {"auth": ["none"]}])
def test_odd_facts_are_no_finding(facts: dict[str, Any]) -> None:
    assert found(service("https", facts=facts)) == []


def test_ids_are_unique_and_well_formed() -> None:
    ids = [check.id for check in CHECKS]
    assert len(ids) == len(set(ids))
    assert all(
        part.islower() for check in ids for part in check.replace("{service}", "service").split("-") if not part.isdigit()
    )


def test_finding_id_is_stable() -> None:
    """Other programs keep these ids: the recipe of the design (SHA-256 of five parts) must not change."""
    assert finding_id("local", Endpoint("10.77.0.2", 110), "pop3-cleartext-login") == "dcf9a0b5ac4d07f9"
