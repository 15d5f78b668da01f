"""Why a port is open, on a host with Docker: what listens, what the rules say, what the paragraph makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconshield.addresses import AddressSet
from reconshield.firewall.combine import combine
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.explain import Explanation, Holder
from reconshield.firewall.question import Link, World
from reconshield.firewall.readers import read_rulesets
from reconshield.firewall.values import read_network
from reconshield.host.owners import read_cgroup
from reconshield.jobs.firewall_explain import explain_facts

RULES = Path(__file__).parent / "rules"
DOVECOT = Holder("0.0.0.0", "dovecot", 812, "root", "dovecot.service")
LOCAL = Holder("127.0.0.1", "redis-server", 77, "redis", "redis-server.service")


def links() -> World:
    def link(name: str, address: str, network: str) -> Link:
        return Link(name, AddressSet.of(address), AddressSet(read_network(network)))

    return World((link("eth0", "203.0.113.5", "203.0.113.0/24"), link("docker0", "172.17.0.1", "172.17.0.0/16")))


def explained(port: int, *holders: Holder, rules: bool = True) -> Explanation:
    (ruleset,) = read_rulesets((RULES / "docker.save").read_text(), "docker.save")
    evaluator = Evaluator(combine(None, ruleset), links()) if rules else None
    return explain_facts(port, "tcp", holders, evaluator, "", ())


def test_open_to_some() -> None:
    told = explained(110, DOVECOT)
    assert told.verdict == "partly open"
    assert told.sentences == (
        "dovecot (pid 812, user root, dovecot.service) listens on every IPv4 address.",
        (
            "IPv4: from 10.8.0.0/24 everybody is let in by ip filter INPUT rule 4:"
            " `-s 10.8.0.0/24 -p tcp -m tcp --dport 110 -j ACCEPT`."
        ),
        (
            "IPv4: from anywhere but 10.8.0.0/24 everybody is rejected by ip filter INPUT rule 5:"
            " `-p tcp -m multiport --dports 110,8080 -j REJECT --reject-with icmp-port-unreachable`."
        ),
        "In IPv6 nothing listens.",
    )
    assert told.diagram == (
        "IPv4 10.8.0.0/24 → ip filter INPUT 4 → dovecot :110",
        "IPv4 anywhere but 10.8.0.0/24 → ip filter INPUT 5 → ✗ rejected",
    )


def test_a_denial_in_input_does_not_see_a_published_port() -> None:
    told = explained(8080)
    text = " ".join(told.sentences)
    assert "translated to 172.17.0.2 port 80 by ip nat DOCKER rule 1" in text
    assert "Mind that ip filter INPUT rule 5" in text
    assert "never sees it: the port is published through FORWARD" in text
    assert "from 192.0.2.0/24 everybody (in by not docker0) is dropped by ip filter DOCKER-USER rule 1" in text
    assert told.verdict == "partly open"


@pytest.mark.parametrize(
    ("port", "holders", "rules", "verdict"),
    [
        (22, (Holder("::", "sshd", 1),), True, "open"),
        (6379, (LOCAL,), True, "local only"),
        (9999, (), True, "closed"),
        (8080, (), False, "not known"),  # it may be published
        (22, (Holder("0.0.0.0", None),), False, "not known"),
    ],
)
def test_verdicts(port: int, holders: tuple[Holder, ...], rules: bool, verdict: str) -> None:
    assert explained(port, *holders, rules=rules).verdict == verdict


@pytest.mark.parametrize(
    ("cgroup", "unit", "container"),
    [
        ("0::/system.slice/dovecot.service\n", "dovecot.service", None),
        ("0::/system.slice/docker-0123456789abcdef0123456789abcdef.scope\n", None, "docker 0123456789ab"),
        ("12:pids:/docker/0123456789abcdef\n11:cpu:/docker/0123456789abcdef\n0::/\n", None, "docker 0123456789ab"),
        ("0::/machine.slice/libpod-fedcba9876543210fedcba.scope/container\n", None, "libpod fedcba987654"),
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-aabbccddeeff00.scope",
            None,
            "cri-containerd aabbccddeeff",
        ),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n", "foo.service", None),
        ("", None, None),
    ],
)
def test_unit_and_container_of_a_process(cgroup: str, unit: str | None, container: str | None) -> None:
    assert read_cgroup(cgroup) == (unit, container)
