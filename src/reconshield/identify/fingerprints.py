"""Widen products and versions by the user's own fingerprints, where our patterns told none. Pure.

    Service (facts) + Fingerprints ──▸ the same Service, with product, version and CPE, and a line in `others` that says by what

What our own patterns told is never overruled: a user's pattern may add a product where there is none, and a version or a CPE
where the product is the same and has none. The confidence of the service stays what its dialogue made it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from reconshield.identify.recog import KINDS, LONGEST, Fingerprint
from reconshield.model import Service

PREFIXES = {
    "ssh": r"SSH-\d\.\d{1,3}-",
    "ftp": r"220[ -]",
    "smtp": r"220[ -]",
    "pop3": r"\+OK ?",
    "imap": r"\* OK ?",
}
"""What recog's texts leave out of a greeting."""


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Compiled fingerprints by service, in the order in which they were imported: the first that matches counts."""

    by_service: dict[str, tuple[tuple[re.Pattern[str], Fingerprint], ...]]

    def for_service(self, service: Service) -> Iterator[tuple[re.Pattern[str], Fingerprint, str]]:
        """The patterns that apply to a service, each with the text that it looks at."""
        web = "headers" in service.facts  # an API over HTTP has an id of its own, its headers are those of HTTP
        for pattern, print_ in self.by_service.get("http" if web else service.service, ()):
            text = text_of(service, print_.kind)
            if text:
                yield pattern, print_, text


def compile_all(fingerprints: Iterable[Fingerprint]) -> Fingerprints:
    found: dict[str, list[tuple[re.Pattern[str], Fingerprint]]] = {}
    for print_ in fingerprints:
        if print_.kind in KINDS:
            found.setdefault(KINDS[print_.kind][0], []).append((re.compile(print_.pattern, print_.flags), print_))
    return Fingerprints({name: tuple(rows) for name, rows in found.items()})


def text_of(service: Service, kind: str) -> str:
    """The text that a kind of fingerprint looks at, bounded; empty where the service has none."""
    _, fact = KINDS[kind]
    value: Any = service.facts.get(fact)
    text = value if isinstance(value, str) else ""
    return re.sub("^" + PREFIXES.get(service.service, ""), "", text)[:LONGEST]


def widen(service: Service, fingerprints: Fingerprints) -> Service:
    """The service with what the first matching fingerprint adds; itself where there is nothing to add."""
    if service.product and service.version and service.cpe:
        return service
    for pattern, print_, text in fingerprints.for_service(service):
        found = pattern.search(text)
        if found is None or (service.product and not alike(service.product, print_.product)):
            continue
        version = (found[print_.version_group] if print_.version_group else print_.version) or None
        if service.product and (not version or service.version not in {None, version}):
            continue
        return replace(
            service,
            product=service.product or print_.product,
            version=service.version or version,
            cpe=service.cpe or cpe_of(print_, version),
            others=(*service.others, f"recog: {print_.description}"),
        )
    return service


def alike(ours: str, theirs: str) -> bool:
    """Whether two names of a product share a word that is no common one."""
    common = {
        "server",
        "http",
        "httpd",
        "ftp",
        "ftpd",
        "smtp",
        "smtpd",
        "pop3",
        "imap",
        "ssh",
        "apache",
        "microsoft",
        "service",
    }
    words = [set(re.findall(r"[a-z0-9]+", name.lower())) for name in (ours, theirs)]
    return bool((words[0] & words[1]) - common) or words[0] == words[1]


def cpe_of(print_: Fingerprint, version: str | None) -> tuple[str, ...]:
    """The CPE of recog, which may name the version as `{service.version}`, in the form of CPE 2.3."""
    parts = re.fullmatch(r"cpe:(?:/|2\.3:)([aoh]):([^:{}]{1,60}):([^:{}]{1,60})(?::[^:]{0,60})?", print_.cpe)
    if parts is None:
        return ()
    quoted = re.sub(r"([^A-Za-z0-9._-])", r"\\\1", version) if version else "*"
    return (f"cpe:2.3:{parts[1]}:{parts[2]}:{parts[3]}:{quoted}:*:*:*:*:*:*:*",)
