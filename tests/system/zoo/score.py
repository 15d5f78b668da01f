"""Compare what a scanner said of the zoo with the truth. Pure: the versions that packages have are given.

A service is right under its own id; a product under the truth's name, case aside; a version when the upstream version stands in
it as a whole (`9.4.57.v20241219`, `5.5.5-10.11.19-MariaDB`). What no truth shows is not asked for, but a version that is stated
where none is shown is an error. A weakness is a check's id; what fires beyond the truth is a false claim.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from system.zoo.residents import Truth

ASPECTS = ("service", "product", "version", "tls")
Key = tuple[int, str]
OVER_HTTP = frozenset({"etcd", "http-proxy", "influxdb", "ipp", "node-exporter", "prometheus"})
"""Applications over HTTP that have an id of their own: "http" is as right."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a scanner says of one port. `weak` is None for a scanner that does not look for weaknesses."""

    service: str = "unknown"
    product: str = ""
    version: str = ""
    tls: str = "none"
    weak: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Right, wrong or not asked (None) for each aspect; weaknesses missed and claimed for nothing."""

    service: bool
    product: bool | None
    version: bool | None
    tls: bool
    missed: frozenset[str] = frozenset()
    false: frozenset[str] = frozenset()


def judge(truth: Truth, version: str, claim: Claim) -> Verdict:
    """`version` is the upstream version of the package that the server shows; empty where it shows none."""
    product = claim.product.lower()
    named = (
        None if not truth.product else truth.product.lower() in product or (product != "" and product in truth.product.lower())
    )
    told: bool | None = same_version(version, claim.version) if version else (None if not claim.version else False)
    weak = truth.weak if claim.weak is None else claim.weak
    return Verdict(
        claim.service == truth.service or (claim.service == "http" and truth.service in OVER_HTTP),
        named,
        told,
        claim.tls == truth.tls,
        truth.weak - weak,
        weak - truth.weak,
    )


def same_version(true: str, claimed: str) -> bool:
    return re.search(rf"(?<![\d.]){re.escape(true)}(?!\.?\d)", claimed) is not None


def total(verdicts: Iterable[Verdict]) -> Mapping[str, tuple[int, int]]:
    """Right and asked for, of each aspect."""
    right, asked = Counter[str](), Counter[str]()
    for verdict in verdicts:
        for aspect in ASPECTS:
            value = getattr(verdict, aspect)
            asked[aspect] += value is not None
            right[aspect] += value is True
    return {aspect: (right[aspect], asked[aspect]) for aspect in ASPECTS}
