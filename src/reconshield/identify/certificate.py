"""The facts of a certificate. A malformed, huge or strange one is a value with the key "unreadable", never an exception."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

LARGEST = 64 * 1024
LARGEST_KEY = 16 * 1024

SIGNATURES = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.10": "rsassaPss",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.113549.1.1.14": "sha224WithRSAEncryption",
    "1.2.840.10040.4.3": "dsaWithSHA1",
    "2.16.840.1.101.3.4.3.2": "dsaWithSHA256",
    "1.2.840.10045.4.1": "ecdsaWithSHA1",
    "1.2.840.10045.4.3.1": "ecdsaWithSHA224",
    "1.2.840.10045.4.3.2": "ecdsaWithSHA256",
    "1.2.840.10045.4.3.3": "ecdsaWithSHA384",
    "1.2.840.10045.4.3.4": "ecdsaWithSHA512",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}
"""Names of signature algorithms (RFC 3279, 4055, 5758, 8410); others are given by their number."""

KEYS = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.10045.2.1": "EC",
    "1.2.840.10040.4.1": "DSA",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}

FIXED = {"Ed25519": 256, "Ed448": 456}
"""Kinds of key that have but one size, in bits."""


def read_certificate(der: bytes) -> dict[str, Any]:
    """Facts of one certificate in DER; `{"unreadable": why, "sha256": ...}` when it cannot be read."""
    print_of = sha256(der).hexdigest()
    if len(der) > LARGEST:
        return {"unreadable": f"{len(der)} bytes long", "sha256": print_of}
    from cryptography import x509

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd about a stranger's certificate is no warning to our user
            facts = describe(x509.load_der_x509_certificate(der))
    except Exception as problem:  # noqa: BLE001 - hostile DER fails in more ways than the parser lists
        return {"unreadable": (str(problem) or type(problem).__name__).splitlines()[0][:200], "sha256": print_of}
    return {**facts, "sha256": print_of}


def describe(certificate: Certificate) -> dict[str, Any]:
    kind, bits = describe_key(certificate)
    algorithm = certificate.signature_algorithm_oid.dotted_string
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "names": names_of(certificate),
        "not_before": text_of(certificate.not_valid_before_utc),
        "not_after": text_of(certificate.not_valid_after_utc),
        "self_signed": is_self_signed(certificate, bits),
        "key": kind if kind in FIXED or not bits else f"{kind} {bits}",
        "key_type": kind,
        "key_bits": bits,
        "signature": SIGNATURES.get(algorithm, algorithm),
        "serial": f"{certificate.serial_number:x}",
    }


def text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def describe_key(certificate: Certificate) -> tuple[str, int]:
    """Kind and size of the key; an unknown kind is given by its number, an unknown size as 0."""
    from cryptography.exceptions import UnsupportedAlgorithm

    number = certificate.public_key_algorithm_oid.dotted_string
    try:
        key = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return KEYS.get(number, number), 0
    kind = KEYS.get(number, number)
    return kind, FIXED.get(kind) or int(getattr(key, "key_size", 0))


def is_self_signed(certificate: Certificate, bits: int) -> bool:
    """Whether the certificate vouches for itself: same names, and its own key made the signature."""
    if certificate.subject != certificate.issuer:
        return False
    if not 0 < bits <= LARGEST_KEY:
        return True  # the names say so; checking with a key like that may take for ever
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        return False
    except (TypeError, ValueError):  # a key or hash that the library does not check any more
        return True
    return True


def names_of(certificate: Certificate) -> list[str]:
    """DNS names and addresses that the certificate is for; without any, the common names of its subject."""
    from cryptography import x509

    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return common_names(certificate.subject)
    found = [*alternative.get_values_for_type(x509.DNSName)]
    found += [str(address) for address in alternative.get_values_for_type(x509.IPAddress)]
    return found or common_names(certificate.subject)


def common_names(subject: Name) -> list[str]:
    from cryptography.x509.oid import NameOID

    return [str(attribute.value) for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
