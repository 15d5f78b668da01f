"""Ready firewall rules by role: what is public is never closed, both families always together."""

from __future__ import annotations

import pytest

from reconshield.knowledge.catalog import find_entry
from reconshield.knowledge.rules import ReadyRules, ready_rules


def rules_of(service: str, port: int) -> dict[str, ReadyRules]:
    entry = find_entry(service)
    assert entry is not None
    endpoint = next(e for e in entry.endpoint if e.port == port)
    return {rules.platform: rules for rules in ready_rules(endpoint)}


def test_pop3_is_for_listed_networks() -> None:
    rules = rules_of("pop3", 110)
    assert rules["nftables"].text.splitlines()[4:7] == [
        "    ip saddr 10.8.0.0/24 tcp dport 110 accept",
        "    ip6 saddr fd00:8::/64 tcp dport 110 accept",
        "    tcp dport 110 drop",
    ]
    assert rules["iptables"].text.splitlines()[:3] == [
        "iptables -I INPUT -p tcp --dport 110 -j DROP",
        "iptables -I INPUT -p tcp --dport 110 -s 10.8.0.0/24 -j ACCEPT",
        "iptables -I INPUT -p tcp --dport 110 -i lo -j ACCEPT",
    ]
    assert rules["iptables"].undo.splitlines()[0] == "iptables -D INPUT -p tcp --dport 110 -j DROP"


@pytest.mark.parametrize("platform", ["nftables", "iptables", "ufw", "firewalld"])
def test_both_families_are_named(platform: str) -> None:
    text = rules_of("redis", 6379)[platform].text
    assert "10.8.0.0/24" in text
    assert "fd00:8::/64" in text


@pytest.mark.parametrize(("service", "port"), [("smtp", 25), ("http", 443), ("dns", 853), ("wireguard", 51820)])
def test_what_is_public_by_design_is_never_closed(service: str, port: int) -> None:
    entry = find_entry(service)
    assert entry is not None
    endpoint = next(e for e in entry.endpoint if e.port == port)
    if endpoint.role == "public":
        for rules in ready_rules(endpoint):
            assert "drop" not in rules.text.lower()
            assert "deny" not in rules.text
