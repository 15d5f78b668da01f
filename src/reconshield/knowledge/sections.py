"""A profile's sections as plain data, in the order of the page: what terminal, Markdown, JSON and HTML are all made from.

A claim is `{"text": …, "source": …}`, with `"confidence"` where it is not documented. A section without content is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from reconshield.knowledge import kev, registry
from reconshield.knowledge.catalog import ATTACK
from reconshield.knowledge.index import load_index
from reconshield.knowledge.ports import held_back
from reconshield.knowledge.profile import Profile
from reconshield.knowledge.rules import ready_rules

OPENSSL_STARTTLS = {
    "smtp": "smtp", "pop3": "pop3", "imap": "imap", "ftp": "ftp", "ldap": "ldap", "mysql": "mysql", "postgresql": "postgres",
    "xmpp": "xmpp", "nntp": "nntp", "managesieve": "sieve", "irc": "irc",
}  # fmt: skip
"""Service ids, and what `openssl s_client -starttls` calls them."""

Section = list[dict[str, Any]]


def sections_of(profile: Profile) -> dict[str, Any]:
    """All sections by name, in the order of the page."""
    entry = profile.entry
    found: dict[str, Any] = {
        "answer": {"text": profile.answer, "source": profile.answer_source},
        "endpoint": _endpoint(profile),
        "do": _records(profile.steps),
        "understand": _records(entry.understand if entry else ()),
        "abuse": _records(entry.abuse if entry else ()),
        "implications": _records(entry.implication if entry else ()),
        "defence": _defence(profile),
        "rules": _rules(profile),
        "check": check_section(profile),
        "intelligence": _intelligence(profile),
        "faq": _questions(profile),
        "related": _related(profile),
    }
    found["sources"] = _sources(found, profile)
    found["data"] = data_dates()
    return {name: content for name, content in found.items() if content}


def data_dates() -> dict[str, str]:
    """How old the facts in use are: date of the registry copy, date of the KEV copy, version of ATT&CK."""
    return {"iana": registry.registry_date(), "kev": kev.kev_version().replace(".", "-"), "attack": attack_version()}


@cache
def attack_version() -> str:
    """The version of MITRE ATT&CK that the names come from, as the head of their table says."""
    with ATTACK.open(encoding="utf-8") as lines:
        return next(lines).partition(" v")[2].partition(",")[0]


def _record(value: Any) -> dict[str, Any]:
    """A record of the catalogue as data, without what is left out or usual."""
    names = (name for kind in reversed(type(value).__mro__) for name in getattr(kind, "__slots__", ()))
    data = {name: getattr(value, name) for name in names}
    return {
        name: content
        for name, content in data.items()
        if content is not None and content != () and not (name == "confidence" and content == "documented")
    }


def _records(values: Iterable[Any]) -> Section:
    return [_record(value) for value in values]


def _endpoint(profile: Profile) -> dict[str, Any]:
    data: dict[str, Any] = {
        "full_name": profile.full_name,
        "in_use": list(profile.in_use),
        "range": {"name": profile.range.name, "low": profile.range.low, "high": profile.range.high},
    }
    if profile.endpoint and profile.entry:
        row = profile.endpoint
        data |= {"tls": row.tls, "role": row.role, "role_text": row.role_text}
        data |= {"twin": row.twin} if row.twin is not None else {}
        data |= {"clusters": list(profile.entry.clusters), "products": list(profile.entry.products)}
    return {key: value for key, value in data.items() if value not in ("", [])}


def _defence(profile: Profile) -> dict[str, Section]:
    entry = profile.entry
    if entry is None:
        return {}
    parts = {
        "firewall": _records(entry.firewall),
        "vpn": _records(entry.vpn),
        "harden": _records(entry.harden),
        "replace": _records(entry.replace),
        "monitor": _records(entry.monitor),
    }
    return {name: part for name, part in parts.items() if part}


def _rules(profile: Profile) -> Section:
    """Ready rules for the common firewalls; none where nothing is documented."""
    if profile.endpoint is None:
        return []
    return [{"platform": r.platform, "text": r.text, "undo": r.undo} for r in ready_rules(profile.endpoint)]


def check_section(profile: Profile) -> dict[str, Any]:
    """The commands that show what is really there, and hints for finding it in traffic."""
    port, udp = profile.port, profile.transport == "udp"
    commands = [f"reconshield scan HOST -p {'U:' if udp else ''}{port}", f"nmap {'-sU ' if udp else ''}-p {port} -sV HOST"]
    held = held_back(port, profile.transport)
    if held:
        commands[1] = f"nmap {'-sU ' if udp else ''}-p {port} HOST"
    elif profile.endpoint and profile.endpoint.tls == "implicit" and not udp:
        commands.append(f"openssl s_client -connect HOST:{port}")
    elif profile.endpoint and profile.endpoint.tls == "starttls" and profile.service in OPENSSL_STARTTLS:
        commands.append(f"openssl s_client -connect HOST:{port} -starttls {OPENSSL_STARTTLS[profile.service]}")
    found: dict[str, Any] = {"why": _why_scan(profile), "commands": commands}
    if held:
        text = f"Its state is measured, no byte is sent: {held.reason}."
        found["held_back"] = {"kind": held.kind, "text": text, "source": held.source}
    if profile.entry and profile.entry.detect:
        found["detect"] = _records(profile.entry.detect)
    return found


def _why_scan(profile: Profile) -> str:
    """What a scan tells beyond open or not, from what the entry says of this endpoint."""
    if profile.entry is None or profile.endpoint is None:
        return "Open or not says little here: only what answers can be judged. A scan asks what it is and keeps the answer."
    points = {name: rated.points for name, rated in profile.endpoint.risk.listed()}
    products = profile.entry.products
    told = [f"whether {products[0]}, {products[1]} or another product answers" if len(products) > 1 else "what really answers"]
    if profile.endpoint.tls == "starttls":
        told.append("whether a login is possible before TLS")
    elif profile.endpoint.tls == "implicit":
        told.append("which certificate it shows, for which names and how long")
    if points["authentication"] == 20:
        told.append("whether it answers without a login")
    if held_back(profile.port, profile.transport):
        told = ["from which networks it can be reached"]
    else:
        told.append("from which networks")
    return f"Open or not is half the answer. A scan also tells {', '.join(told[:-1]) + ', and ' if told[1:] else ''}{told[-1]}."


def _vulnerabilities(profile: Profile) -> Section:
    """The entry's vulnerabilities, marked by the copies of KEV and EPSS in use."""
    assert profile.entry is not None  # noqa: S101 - asked for documented ports only
    rows = _records(profile.entry.vulnerability)
    listed, scores = (kev.exploited(), kev.scores()) if rows else ({}, {})
    for row in rows:
        if (mark := listed.get(row["cve"])) is not None:
            row |= {"kev": mark.added, "ransomware": mark.ransomware}
        if (score := scores.get(row["cve"])) is not None:
            row["epss"] = score.chance
    return rows


def _intelligence(profile: Profile) -> dict[str, Section]:
    """Documented malware of this port first, then of the service's other ports; and vulnerabilities that mattered."""
    if profile.entry is None:
        return {}
    malware = sorted(profile.entry.intel, key=lambda row: (row.port != profile.port, -row.year))
    parts = {"malware": _records(malware), "vulnerabilities": _vulnerabilities(profile)}
    return {name: part for name, part in parts.items() if part}


def _questions(profile: Profile) -> Section:
    """The entry's own questions, after those that every documented port can answer from its fields."""
    if profile.entry is None or profile.endpoint is None:
        return []
    asked = " ".join(row.question.lower() for row in profile.entry.faq)
    own: Section = []
    if "default service" not in asked:
        question = f"What is the default service of port {profile.port}?"
        text = f"{profile.name}, in use on {' and '.join(name.upper() for name in profile.in_use)}."
        own.append({"question": question, "text": text, "source": profile.answer_source})
    if "tcp or udp" not in asked and "udp or tcp" not in asked:
        own.append(
            {"question": f"Is port {profile.port} TCP or UDP?", "text": _transport_answer(profile), "source": "iana-ports"}
        )
    return own + _records(profile.entry.faq)


def _transport_answer(profile: Profile) -> str:
    registered = [name.upper() for name in ("tcp", "udp") if profile.registered[name]]
    used = " and ".join(name.upper() for name in profile.in_use)
    return f"In use: {used}. Registered with IANA: {' and '.join(registered) or 'neither'}."


def _related(profile: Profile) -> Section:
    rows = []
    for row in profile.related:
        data: dict[str, Any] = {"port": row.port, "transport": row.transport, "name": row.name, "because": row.because}
        rows.append(data | ({"score": row.score, "rating": row.rating} if row.score is not None else {}))
    return rows


def _sources(content: Any, profile: Profile) -> Section:
    """Every source that a sentence or a factor of this profile names, in order of first use."""
    table = load_index().sources
    named = dict.fromkeys([*(factor.source for factor in profile.risk.factors), *_named_sources(content)])
    return [{"id": name, **{key: value for key, value in table[name].items() if value}} for name in named if name in table]


def _named_sources(content: Any) -> Iterable[str]:
    if isinstance(content, dict):
        if isinstance(content.get("source"), str):
            yield content["source"]
        for value in content.values():
            yield from _named_sources(value)
    elif isinstance(content, list):
        for value in content:
            yield from _named_sources(value)
