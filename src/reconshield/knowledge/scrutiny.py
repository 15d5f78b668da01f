"""Whether the catalogue's statements hold against the tables they rest on: the build check beyond form and references.

    find_statement_faults(services, evidence) -> (service id, rule, Fault)

Every rule is a function from all entries and the evidence (KEV copy, ATT&CK names, malware table) to faults; `RULES` lists
them. It runs in `python -m reconshield.knowledge.catalog` and in the tests, not when a port is looked up.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconshield.knowledge.consistency import OWN_SOURCE, records_in
from reconshield.knowledge.kev import Exploited
from reconshield.knowledge.malware import KnownUse
from reconshield.knowledge.records import ServiceEntry
from reconshield.model import rating_of
from reconshield.toml.schema import Fault, Path

PENDING: frozenset[str] = frozenset()
"""Rules that only warn, by name, while entries are being changed all over. Empty: every rule holds."""

MOST_REPEATED = 5
SHORTEST_SENTENCE = 5
KEV_SOURCE = re.compile(r"kev-\d{4}-\d\d-\d\d")
CONTRADICTORY = ({"public", "never"}, {"public", "internal"})
BLANKET = re.compile(
    r"\b(drop|block|deny|refuse|close) (all|any|every)\b[^.;]*\b(inbound|incoming|traffic|from (the )?(internet|outside|wan))"
    r"|\b(drop|block|deny) (it|this port|the port) (from the internet|at the edge|from outside)",
    re.IGNORECASE,
)

Found = Iterator[tuple[str, Fault]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the statements are held against."""

    kev: Mapping[str, Exploited]
    techniques: Mapping[str, str]
    malware: tuple[KnownUse, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by name, and what finds its breaches."""

    name: str
    find: Callable[[Mapping[str, ServiceEntry], Evidence], Found]


def find_statement_faults(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Iterator[tuple[str, str, Fault]]:
    """Every breach as (service id, rule, fault), rule by rule."""
    for rule in RULES:
        for service_id, fault in rule.find(services, evidence):
            yield service_id, rule.name, fault


def check_vulnerabilities(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """A CVE belongs to the product that KEV names; one that KEV does not list rests on another document."""
    for service_id, entry in services.items():
        for number, row in enumerate(entry.vulnerability):
            path: Path = ("vulnerability", number)
            listed = evidence.kev.get(row.cve)
            if listed is None:
                if KEV_SOURCE.fullmatch(row.source) or row.source == OWN_SOURCE:
                    message = f"{row.cve} is not in the KEV copy, so {row.source} cannot be its source"
                    yield service_id, Fault((*path, "source"), message, "a document that was read, such as an advisory")
                continue
            if (row.vendor.lower(), row.product.lower()) != (listed.vendor.lower(), listed.product.lower()):
                message = f"{row.cve} does not belong to {row.vendor} {row.product}"
                yield service_id, Fault((*path, "product"), message, f"{listed.vendor} / {listed.product}, as KEV names it")
            if row.ransomware != listed.ransomware:
                value = str(listed.ransomware).lower()
                yield service_id, Fault((*path, "ransomware"), f"KEV marks {row.cve} otherwise", f"ransomware = {value}")


def check_techniques(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """An ATT&CK id in a sentence is known, and the name beside it is its own."""
    names = sorted({name for name in evidence.techniques.values() if not name.isdigit()}, key=len, reverse=True)
    for service_id, path, text in _sentences_with_paths(services):
        for match in re.finditer(r"\b(?:T\d{4}(?:\.\d{3})?|[SG]\d{4}|C00\d\d)\b", text):
            own = evidence.techniques.get(match[0])
            if own is None:
                yield service_id, Fault(path, f"unknown ATT&CK id {match[0]}", "an id in attack.tsv")
                continue
            before, after = text[: match.start()].rstrip(" ("), text[match.end() :].lstrip(" (:,")
            for name in names:
                if (before.endswith(name) or after.startswith(name)) and name not in own and own not in name:
                    yield service_id, Fault(path, f"{match[0]} is not {name}", own)
                    break


def check_malware(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """Malware is tier A or B of the table, on a port that the table lists, with its year and id."""
    for service_id, entry in services.items():
        for number, row in enumerate(entry.intel):
            path: Path = ("intel", number)
            name = row.family.removeprefix("Campaign ")
            uses = [use for use in evidence.malware if use.family.lower() == name.lower()]
            if not uses:
                yield service_id, Fault((*path, "family"), f"{row.family} is not in malware.tsv", "a family of tier A or B")
                continue
            if not any(use.covers(row.port) for use in uses):
                ports = ", ".join(str(low) if low == high else f"{low}-{high}" for use in uses for low, high in use.ports)
                yield service_id, Fault((*path, "port"), f"malware.tsv does not list {row.family} on {row.port}", ports)
            use = uses[0]
            if (row.tier, row.attack or "") != (use.tier, use.attack):
                allowed = f"tier {use.tier}" + (f", attack {use.attack}" if use.attack else ", no attack id")
                yield service_id, Fault((*path, "tier"), f"tier or id of {row.family} differs from malware.tsv", allowed)
            elif use.attack and evidence.techniques.get(use.attack, "").lower() != name.lower():
                allowed = evidence.techniques.get(use.attack, "")
                yield service_id, Fault((*path, "family"), f"{use.attack} is not {row.family}", allowed)


def check_ratings(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """A sum that a sentence writes adds up, and a rating word fits its number."""
    del evidence
    for service_id, path, text in _sentences_with_paths(services):
        for terms, total in re.findall(r"\b(\d+(?: [+-] \d+)+) = (\d+)\b", text):
            value = sum(int(term.replace(" ", "")) for term in re.findall(r"(?:^|[+-] )\d+", terms))
            if value != int(total):
                yield service_id, Fault(path, f"{terms} is {value}, not {total}", str(value))
        for score, word in re.findall(r"\b(\d{1,3}) (low|medium|high|critical)\b", text, re.IGNORECASE):
            if int(score) <= 100 and rating_of(int(score)) != word.lower():
                yield service_id, Fault(path, f"{score} is not {word.lower()}", rating_of(int(score)))


def check_roles(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """One port is not both meant for the public and kept inside."""
    del evidence
    roles: dict[tuple[int, str], tuple[str, str]] = {}
    for service_id, entry in services.items():
        for number, row in enumerate(entry.endpoint):
            first, role = roles.setdefault((row.port, row.transport), (service_id, row.role))
            if {role, row.role} in CONTRADICTORY:
                message = f"{row.port}/{row.transport} is {row.role} here and {role} in {first}"
                yield service_id, Fault(("endpoint", number, "role"), message, "roles that go together, such as mixed")


def check_back_links(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """Who names another documented port as related is named there too."""
    del evidence
    owners: dict[tuple[int, str], set[str]] = defaultdict(set)
    for service_id, entry in services.items():
        for row in entry.endpoint:
            owners[row.port, row.transport].add(service_id)
    linked = {name: {owner for r in entry.related for owner in owners[r.port, r.transport]} for name, entry in services.items()}
    for service_id, entry in services.items():
        for number, relation in enumerate(entry.related):
            there = owners[relation.port, relation.transport]
            if there and service_id not in there and not any(service_id in linked[other] for other in there):
                message = f"{'/'.join(sorted(there))} does not name {service_id} in return"
                own = ", ".join(f"{row.port}/{row.transport}" for row in entry.endpoint[:4])
                yield service_id, Fault(("related", number, "port"), message, f"a [[related]] with one of {own} over there")


def check_boilerplate(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """A sentence says something about its service; one that stands in many entries does not."""
    del evidence
    for key, places in repeated_sentences(services).items():
        if len({service_id for service_id, _ in places}) > MOST_REPEATED:
            service_id, path = places[-1]
            entries = len({name for name, _ in places})
            yield service_id, Fault(path, f"the sentence {key[:60]!r} stands in {entries} entries", f"at most {MOST_REPEATED}")


def check_advice(services: Mapping[str, ServiceEntry], evidence: Evidence) -> Found:
    """Nobody is told to close to everybody what is public by design."""
    del evidence
    for service_id, entry in services.items():
        if not any(row.role == "public" for row in entry.endpoint):
            continue
        for kind in ("do", "firewall", "vpn", "monitor"):
            for number, row in enumerate(getattr(entry, kind)):
                if found := BLANKET.search(row.text):
                    message = f"{found[0]!r} is no advice for a service that is public by design"
                    yield service_id, Fault((kind, number, "text"), message, "who may reach which endpoint")


def repeated_sentences(services: Mapping[str, ServiceEntry]) -> dict[str, list[tuple[str, Path]]]:
    """Every sentence of five words or more, numbers set aside, with its places. Commands are no sentences."""
    found: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for service_id, path, text in _sentences_with_paths(services):
        for sentence in split_sentences(text):
            found[sentence].append((service_id, path))
    return found


def split_sentences(text: str) -> list[str]:
    """The sentences of a text in lower case without commands and numbers, those of at least five words."""
    plain = re.sub(r"\d+", "#", re.sub(r"`[^`]*`", "`", text.lower()))
    parts = (part.strip() for part in re.split(r"(?<=[.;:!?])\s+", plain))
    return [part for part in parts if len(re.findall(r"[a-z]{2,}", part)) >= SHORTEST_SENTENCE]


def _sentences_with_paths(services: Mapping[str, ServiceEntry]) -> Iterator[tuple[str, Path, str]]:
    """Every text that states something: `text` and `seen` of all records."""
    for service_id, entry in services.items():
        for path, record in records_in(entry, ()):
            for key in ("text", "seen"):
                value: Any = getattr(record, key, None)
                if isinstance(value, str):
                    yield service_id, (*path, key), value


RULES = (
    Rule("vulnerability", check_vulnerabilities),
    Rule("attack-name", check_techniques),
    Rule("malware", check_malware),
    Rule("rating", check_ratings),
    Rule("role", check_roles),
    Rule("back-link", check_back_links),
    Rule("boilerplate", check_boilerplate),
    Rule("advice", check_advice),
)
"""Every rule. A new one is one function and one line here."""
