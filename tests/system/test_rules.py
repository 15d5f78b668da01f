"""The ready rules, loaded into a namespace and tried with real connections from a listed and an unlisted network."""

from __future__ import annotations

import pytest

from reconshield.knowledge.catalog import find_entry
from reconshield.knowledge.rules import ready_rules
from system.netns import Lab, can_make_namespaces

pytestmark = [pytest.mark.system, pytest.mark.skipif(not can_make_namespaces(), reason="needs root, ip and nft")]

TRY = """
import socket, sys
for host in sys.argv[1:]:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.settimeout(2.5)
        try:
            sock.connect((host, 110))
            print("open")
        except OSError:
            print("blocked")
"""


@pytest.mark.parametrize("platform", ["nftables", "iptables"])
def test_listed_networks_pass_and_others_do_not(platform: str) -> None:
    entry = find_entry("pop3")
    assert entry is not None
    rules = next(r for r in ready_rules(entry.endpoint[0]) if r.platform == platform)
    with Lab() as lab:
        host, listed, other = lab.namespace("host"), lab.namespace("listed"), lab.namespace("other")
        lab.link(listed, host, "10.8.0.2/24", "10.8.0.1/24", "fd00:8::2/64", "fd00:8::1/64")
        lab.link(other, host, "10.9.0.2/24", "10.9.0.1/24", "fd00:9::2/64", "fd00:9::1/64")
        near = [("10.8.0.1", 110), ("fd00:8::1", 110), ("10.9.0.1", 110), ("fd00:9::1", 110)]
        with host.listeners(near):
            before = [other.python(TRY, "10.9.0.1", "fd00:9::1").split(), listed.python(TRY, "10.8.0.1", "fd00:8::1").split()]
            if platform == "nftables":
                host.firewall(rules.text)
            else:
                for line in rules.text.splitlines():
                    host.run(*line.split())
            after = [other.python(TRY, "10.9.0.1", "fd00:9::1").split(), listed.python(TRY, "10.8.0.1", "fd00:8::1").split()]
    assert before == [["open", "open"], ["open", "open"]]
    assert after == [["blocked", "blocked"], ["open", "open"]]
