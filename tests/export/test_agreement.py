"""Every export says of generated traffic what detection says of it, as far as its format can."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from export import sigma_matcher, stix_patterns, suricata_rules, zeek_script
from export.policies import NOW, random_policy, whole
from export.traffic import SPOKEN, Flow, against_policy, make_flows, may_be_discovery
from reconshield.addresses import parse_address
from reconshield.export.formats import FORMATS
from reconshield.export.wording import BLIND
from reconshield.jobs.policy_export import export_policy
from reconshield.policy import Policy
from reconshield.policy.gates import LINK

Judge = Callable[[Flow], bool]
POLICIES = {"whole": whole(), **{f"random {seed}": random_policy(seed) for seed in range(14)}}
FAMILIES = ("(ipv4)", "(ipv6)")


def sigma_judge(policy: Policy) -> Judge:
    conditions = [
        each
        for rule in sigma_matcher.read_rules(export_policy(policy, "sigma", NOW))
        for each in sigma_matcher.conditions_of(rule)
    ]
    return lambda flow: any(sigma_matcher.matches(each, sigma_matcher.event_of(flow)) for each in conditions)


def suricata_judge(policy: Policy) -> Judge:
    rules = suricata_rules.read_rules(export_policy(policy, "suricata", NOW))
    return lambda flow: any(rule.matches(flow) for rule in rules)


def zeek_judge(policy: Policy) -> Judge:
    script = zeek_script.constants_of(export_policy(policy, "zeek", NOW - 366 * 86_400.0))  # entries end by themselves
    return lambda flow: zeek_script.judge(script, flow, NOW)


def stix_judge(policy: Policy) -> Judge:
    found = stix_patterns.indicators(export_policy(policy, "stix", NOW))
    patterns = {
        family: [stix_patterns.read_pattern(each["pattern"]) for each in found if family in each["name"]] for family in FAMILIES
    }
    return lambda flow: any(matches(flow) for matches in patterns[FAMILIES[":" in flow.src]])


JUDGES: dict[str, tuple[Callable[[Policy], Judge], tuple[str, ...], tuple[str, ...]]] = {
    "sigma": (sigma_judge, SPOKEN, ("tcp", "udp", "icmp", "sctp")),
    "suricata": (suricata_judge, ("",), ("tcp", "udp", "sctp")),
    "zeek": (zeek_judge, SPOKEN, ("tcp", "udp", "icmp")),
    "stix": (stix_judge, ("",), ("tcp", "udp")),
}
"""By format: its judge, what the flows speak, and over which protocols it can judge."""


@pytest.mark.parametrize("format_", JUDGES)
@pytest.mark.parametrize("name", POLICIES)
def test_an_export_agrees_with_detection(name: str, format_: str) -> None:
    make, services, transports = JUDGES[format_]
    policy = POLICIES[name]
    flows = make_flows(policy, 250, seed=7, services=services, transports=transports)
    said, judge = against_policy(policy, flows, NOW), make(policy)
    wrong = [(flow, verdict) for flow, verdict in said.items() if judge(flow) != verdict]
    assert not wrong, f"{len(wrong)} of {len(flows)}, first {wrong[0]}"


def test_the_traffic_is_worth_asking_about() -> None:
    """Both verdicts, both families, every direction are among the flows; else agreement would mean nothing."""
    policy = whole()
    flows = make_flows(policy, 3000, seed=7, services=SPOKEN, transports=("tcp", "tcp", "udp"), link=False)
    said = against_policy(policy, flows, NOW)
    always = {("cell-3", "out"), ("cell-3", "within"), ("office", "in")}  # nothing is allowed there
    always_v6 = {("mail-dmz", "within"), ("cell-3", "in")}
    for family in (".", ":"):
        for zone, direction in product(("mail-dmz", "cell-3", "office"), ("in", "out", "within")):
            seen = {said[flow] for flow in flows if family in flow.src and passes(policy, flow, zone, direction)}
            forbidden = always | (always_v6 if family == ":" else set())
            expected = {False} if (zone, direction) == ("office", "within") else {True, False}
            assert seen == ({True} if (zone, direction) in forbidden else expected), (zone, direction, family)


def test_the_link_is_among_the_traffic() -> None:
    """Flows to its addresses have both verdicts in both families, and some are never judged."""
    policy = whole()
    flows = make_flows(policy, 3000, seed=7, transports=("tcp", "udp", "icmp"))
    said = against_policy(policy, flows, NOW)
    for family in (".", ":"):
        linked = [flow for flow in flows if family in flow.dst and parse_address(flow.dst) in LINK]
        assert {said[flow] for flow in linked} == {True, False}
    spared = [flow for flow in flows if may_be_discovery(flow) and not said[flow]]
    assert {flow.transport for flow in spared} == {"udp", "icmp"}


def passes(policy: Policy, flow: Flow, zone: str, direction: str) -> bool:
    src, dst = policy.zone_name(flow.src), policy.zone_name(flow.dst)
    sides = {"in": dst == zone != src, "out": src == zone != dst, "within": src == zone == dst}
    return sides[direction]


def test_what_a_format_cannot_say_is_true() -> None:
    """A format that only sees ports says so, and is indeed blind to another protocol on the port of a service."""
    policy = whole()
    flow = Flow("192.0.2.5", "203.0.113.9", "tcp", 53, "ssh")
    assert against_policy(policy, [flow], NOW)[flow]
    assert not suricata_judge(policy)(flow)
    assert sigma_judge(policy)(flow)
    blind = {each.name for each in FORMATS if BLIND in each.cannot}
    assert "suricata" in blind
    assert "sigma" not in blind


def test_an_entry_that_is_over_allows_nothing() -> None:
    policy = whole()
    flow = Flow("10.99.0.9", "192.0.2.17", "tcp", 502)
    day = 86_400.0
    for now, verdict in ((NOW, False), (NOW + 60 * day, True)):
        assert against_policy(policy, [flow], now)[flow] == verdict
        rules = suricata_rules.read_rules(export_policy(policy, "suricata", now))
        assert any(rule.matches(flow) for rule in rules if "cell-3 in" in rule.values("msg")[0]) == verdict


def test_oasis_matcher_agrees_too() -> None:
    """The reference implementation of patterns, on IPv4: IPv6 networks it does not know."""
    policy = whole()
    flows = [flow for flow in make_flows(policy, 100, seed=11, transports=("tcp", "udp")) if "." in flow.src]
    said = against_policy(policy, flows, NOW)
    patterns = [
        each["pattern"] for each in stix_patterns.indicators(export_policy(policy, "stix", NOW)) if "(ipv4)" in each["name"]
    ]
    wrong = [flow for flow in flows if any(stix_patterns.oasis_matches(each, flow) for each in patterns) != said[flow]]
    assert not wrong
    assert len(flows) > 40
    assert len(set(said.values())) == 2
