"""Statements that the tables contradict: one broken example a rule, and the catalogue itself."""

# ruff: noqa: E501 - a table of cases reads best with one case a line
from __future__ import annotations

import pytest

from reconshield.knowledge import catalog, kev, malware, scrutiny
from reconshield.knowledge.consistency import records_in
from reconshield.knowledge.kev import Exploited
from reconshield.knowledge.profile import profile_by_name
from reconshield.knowledge.render import markdown, profile_data
from reconshield.knowledge.terminal import Page, profile_lines
from reconshield.report.site.page import page_html
from reconshield.toml.faults import path_text

HEAD = """\
id = "{id}"
name = "Entry"
full_name = "An entry for tests"
clusters = ["mail"]
answer = {{ text = "What it is.", source = "reconshield" }}
[[endpoint]]
port = {port}
transport = "tcp"
tls = "none"
role = "{role}"
role_text = "somewhere"
[endpoint.risk]
impact         = {{ points = 14, because = "a mailbox", source = "reconshield" }}
authentication = {{ points = 8, because = "a password", source = "reconshield" }}
transport      = {{ points = 12, because = "clear text", source = "reconshield" }}
exploitation   = {{ points = 6, because = "guessing", source = "reconshield" }}
intended       = {{ points = {intended}, because = "for some", source = "reconshield" }}
"""
INTENDED = {"public": 0, "mixed": 4, "internal": 8, "never": 10}
EVIDENCE = scrutiny.Evidence(
    kev={"CVE-2018-6789": Exploited("CVE-2018-6789", "Exim", "Exim", "2021-11-03", True)},
    techniques={"T1040": "Network Sniffing", "T1110": "Brute Force", "S0153": "RedLeaves", "C0018": "C0018"},
    malware=(
        malware.KnownUse("RedLeaves", ((995, 995),), "tcp", 2017, "S0153", "PwC", "A"),
        malware.KnownUse("Mirai", ((23, 23), (2323, 2323)), "tcp", 2016, "", "analyses", "B"),
    ),
)


def entry(name: str = "one", port: int = 110, role: str = "mixed", more: str = "") -> str:
    return HEAD.format(id=name, port=port, role=role, intended=INTENDED[role]) + more


def claim(kind: str, text: str) -> str:
    return f'[[{kind}]]\ntext = "{text}"\nsource = "rfc1939"\n'


def flaw(cve: str = "CVE-2018-6789", product: str = "Exim", ransomware: str = "true", source: str = "kev-2025-08-25") -> str:
    return f'[[vulnerability]]\ncve = "{cve}"\nvendor = "Exim"\nproduct = "{product}"\nransomware = {ransomware}\ntext = "It ran code."\nsource = "{source}"\n'


def seen(family: str = "RedLeaves", port: int = 995, tier: str = "A", attack: str = 'attack = "S0153"') -> str:
    return f'[[intel]]\nfamily = "{family}"\nyear = 2017\ntier = "{tier}"\nport = {port}\n{attack}\ntext = "It spoke HTTP."\nsource = "rfc1939"\n'


def related(port: int) -> str:
    return f'[[related]]\nport = {port}\ntransport = "tcp"\nbecause = "same server"\n'


def many(sentence: str, count: int) -> list[str]:
    return [entry(f"e{number}", 100 + number, more=claim("understand", sentence)) for number in range(count)]


BROKEN = [
    # rule, entries, key, message
    ("vulnerability", [entry(more=flaw(product="Sendmail"))], "vulnerability[1].product", "CVE-2018-6789 does not belong to Exim Sendmail"),
    ("vulnerability", [entry(more=flaw(ransomware="false"))], "vulnerability[1].ransomware", "KEV marks CVE-2018-6789 otherwise"),
    ("vulnerability", [entry(more=flaw(cve="CVE-2024-6387"))], "vulnerability[1].source", "CVE-2024-6387 is not in the KEV copy"),
    ("attack-name", [entry(more=claim("understand", "Read along: T1040 Brute Force."))], "understand[1].text", "T1040 is not Brute Force"),
    ("attack-name", [entry(more=claim("understand", "Known as Network Sniffing (T1110)."))], "understand[1].text", "T1110 is not Network Sniffing"),
    ("attack-name", [entry(more=claim("understand", "A case of T9999."))], "understand[1].text", "unknown ATT&CK id T9999"),
    ("malware", [entry(more=seen("NetBus", attack=""))], "intel[1].family", "NetBus is not in malware.tsv"),
    ("malware", [entry(more=seen(port=110))], "intel[1].port", "malware.tsv does not list RedLeaves on 110"),
    ("malware", [entry(more=seen(tier="B"))], "intel[1].tier", "tier or id of RedLeaves differs"),
    ("malware", [entry(more=seen("Mirai", 23, "B"))], "intel[1].tier", "tier or id of Mirai differs"),
    ("rating", [entry(more=claim("understand", "It has 14 + 8 + 12 = 35 points."))], "understand[1].text", "14 + 8 + 12 is 34, not 35"),
    ("rating", [entry(more=claim("understand", "That leaves 44 - 15 = 30."))], "understand[1].text", "44 - 15 is 29, not 30"),
    ("rating", [entry(more=claim("understand", "The other port is 28 Medium."))], "understand[1].text", "28 is not medium"),
    ("role", [entry(role="public"), entry("two", role="never")], "endpoint[1].role", "110/tcp is never here and public in one"),
    ("back-link", [entry(more=related(143)), entry("two", 143)], "related[1].port", "two does not name one in return"),
    ("boilerplate", many("Nobody needs this port on the internet.", 6), "understand[1].text", "stands in 6 entries"),
    ("advice", [entry(role="public", more=claim("firewall", "Drop all inbound traffic."))], "firewall[1].text", "is no advice for a service that is public"),
]  # fmt: skip

GOOD = [
    [entry(more=flaw() + flaw("CVE-2024-6387", source="qualys"))],
    [entry(more=claim("understand", "Read along (T1040 Network Sniffing), or Brute Force (T1110)."))],
    [entry(more=seen() + seen("Mirai", 2323, "B", ""))],
    [entry(more=claim("understand", "14 + 8 + 12 = 34 Medium, 19 Low."))],
    [entry(role="public"), entry("two", role="mixed"), entry("three", role="public")],
    [entry(more=related(143)), entry("two", 143, more=related(110))],
    many("Nobody needs this port on the internet.", 5),
    [entry(role="internal", more=claim("firewall", "Drop all inbound traffic from outside."))],
]


def find(texts: list[str]) -> list[tuple[str, str, str]]:
    services = {found.id: found for found in map(catalog.load_service, texts)}
    faults = scrutiny.find_statement_faults(services, EVIDENCE)
    return [(rule, path_text(fault.path), fault.message) for _, rule, fault in faults]


@pytest.mark.parametrize(("rule", "texts", "key", "message"), BROKEN)
def test_a_statement_that_does_not_hold_is_found(rule: str, texts: list[str], key: str, message: str) -> None:
    ((found_rule, found_key, found_message),) = find(texts)
    assert (found_rule, found_key) == (rule, key)
    assert message in found_message


@pytest.mark.parametrize("texts", GOOD)
def test_statements_that_hold_are_left_alone(texts: list[str]) -> None:
    assert find(texts) == []


def test_every_rule_has_a_broken_example() -> None:
    assert {rule.name for rule in scrutiny.RULES} == {row[0] for row in BROKEN}
    assert {rule.name for rule in scrutiny.RULES} >= scrutiny.PENDING


def test_a_claim_without_a_source_is_refused() -> None:
    _, faults = catalog.read_service(entry(more='[[understand]]\ntext = "It is so."\n'), "one.toml")
    assert [fault.fault.message for fault in faults] == ["the key source is missing"]


def test_the_catalogue_holds_against_its_tables() -> None:
    read, faults = catalog.find_faults()
    stated, _ = catalog.find_statement_faults(read)
    assert list(map(str, (*faults, *stated))) == []


def test_the_tables_are_what_they_should_be() -> None:
    assert len(kev.embedded_exploited()) == 1404
    assert {use.tier for use in malware.known_uses()} == {"A", "B"}
    names = catalog.attack_names()
    wrong = [use for use in malware.known_uses() if use.attack and names.get(use.attack) != use.family]
    assert wrong == []


def test_what_is_not_verified_is_said_to_be_unverified_on_every_page() -> None:
    """A fact marked unverified carries the word in terminal, Markdown, JSON and HTML alike."""
    shown = 0
    for service_id, found in catalog.load_catalog().services.items():
        doubts = [row for _, row in records_in(found, ()) if getattr(row, "confidence", "") == "unverified"]
        if not doubts:
            continue
        profiles = profile_by_name(service_id)
        page = Page(100, lambda text, _: text, str)
        forms = ["\n".join(profile_lines(profiles, page, None)), "".join(map(markdown, profiles)), page_html(profiles)]
        assert all(text.count("unverified") >= len(doubts) for text in forms), service_id
        assert str([profile_data(one) for one in profiles]).count("'unverified'") >= len(doubts)
        shown += 1
    assert shown or not doubts
