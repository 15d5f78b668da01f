"""Which programs a service shows, with version and package: what lifecycle and vulnerability checks judge. Pure.

One endpoint may show several: an HTTP server names itself, its TLS library and its language; a package revision names the
distribution. Only what the server itself states is read, nothing is inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reconshield.model import Confidence, Service

WINDOWS = frozenset({"Win32", "Win64", "Windows"})
"""Systems that are no distribution: a build for them is the maker's own."""
TOKEN = re.compile(r"\b(OpenSSL|PHP)/(\d[\w.+~-]{0,60})")
PACKAGED = re.compile(r"(\d[\w.]*?)-(\w*[+~]?deb\d+u\d\w*|\d+(?:\.\d+)?\+deb\w+|\d+ubuntu[\w.+~]*)$")
RED_HAT = re.compile(r"\bRed ?Hat\b|\bCentOS\b|\bRocky\b|\bAlmaLinux\b|\bFedora\b|[._-]el\d|-fips\b", re.IGNORECASE)
STATED_IN = ("version_bind", "greeting", "server")
"""Facts that hold the words of the server itself."""


@dataclass(frozen=True, slots=True)
class Software:
    """A program as it was shown. `os` is the distribution or system that made it, `package` the version of its package."""

    product: str
    version: str
    os: str | None = None
    package: str | None = None

    @property
    def text(self) -> str:
        made = f" ({self.os} package {self.package})" if self.package else f" ({self.os})" if self.os else ""
        return f"{self.product} {self.version}{made}"


def read_software(service: Service) -> tuple[Software, ...]:
    """Every program with a version that a service shows, its own first. Nothing for a guess by port number."""
    if service.confidence is Confidence.GUESS:
        return ()
    return tuple(dict.fromkeys([*_own(service), *_tokens(service), *_windows(service)]))


def _own(service: Service) -> Iterator[Software]:
    if not (service.product and service.version):
        return
    package = service.facts.get("package")
    whole = None
    if isinstance(package, str) and package:
        whole = package if package.startswith(service.version) else f"{service.version}-{package}"
    yield Software(service.product, service.version, _system(service), whole)


def _tokens(service: Service) -> Iterator[Software]:
    """`OpenSSL/1.0.1e` and `PHP/7.0.33-0+deb9u12` in the headers of a web server."""
    headers = service.facts.get("headers")
    named = headers if isinstance(headers, dict) else {}
    for header in ("server", "x-powered-by"):
        for product, stated in TOKEN.findall(str(named.get(header, ""))):
            made = PACKAGED.match(stated)
            if made:
                yield Software(product, made[1], "Ubuntu" if "ubuntu" in stated else "Debian", stated)
            else:
                yield Software(product, stated.removesuffix("-fips"), _system(service))


def _windows(service: Service) -> Iterator[Software]:
    """The number of Windows in an NTLM challenge, which Samba gives too: then the product is named."""
    version = service.facts.get("ntlm_version")
    if service.product is None and isinstance(version, str) and version:
        yield Software("Windows", version, "Windows")


def _system(service: Service) -> str | None:
    """The distribution by the fact a probe learned, else by a mark that Red Hat and its kin leave in the version."""
    stated = service.facts.get("os")
    if isinstance(stated, str) and stated:
        return stated
    shown = " ".join(str(service.facts.get(key, "")) for key in STATED_IN)
    return "Red Hat" if RED_HAT.search(shown) else None
