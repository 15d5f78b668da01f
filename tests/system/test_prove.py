"""Advice proved by packets: every Linux firewall really loaded, in a network of its own, through the real command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from system.netns import can_make_namespaces
from system.scanning import environment

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_make_namespaces(), reason="needs root, iproute2, nftables"),
]
ALLOW = ("--allow", "10.8.0.0/24", "--allow", "fd00:8::/64")


def prove(home: Path, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    command = [sys.executable, "-m", "reconshield", "--home", str(home), "firewall", "prove", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment())
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize("platform", ["nftables", "iptables", "ufw", "firewalld"])
def test_a_closed_port_is_closed_to_all_but_the_allowed_in_both_families(tmp_path: Path, platform: str) -> None:
    code, rows, error = prove(tmp_path, "110", *ALLOW, "--platform", platform)
    assert code == 0, error
    after = {(row["from"], row["endpoint"], row["family"]): row["after"] for row in rows}
    for family in ("IPv4", "IPv6"):
        assert after["vpn", "110/tcp", family] == "open"
        assert after["wan", "110/tcp", family] == after["lan", "110/tcp", family] == "filtered"
        assert after["wan", "22/tcp", family] == "open"
    assert all(row["before"] == "open" for row in rows)


def test_a_family_without_an_allowed_network_is_closed_and_said(tmp_path: Path) -> None:
    code, rows, error = prove(tmp_path, "110", "--allow", "10.8.0.0/24")
    assert code == 0, error
    [row] = [row for row in rows if (row["from"], row["family"], row["endpoint"]) == ("vpn", "IPv6", "110/tcp")]
    assert row["after"] == "filtered"


def test_the_grant_of_the_lab_is_audited_and_ended(tmp_path: Path) -> None:
    prove(tmp_path, "110", *ALLOW)
    command = [sys.executable, "-m", "reconshield", "--home", str(tmp_path), "grant", "list", "--json"]
    out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment()).stdout
    assert "firewall lab" in out
    assert '"revoked' in out


EXISTING = """table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif "lo" accept
		iif "eth9" accept
		ct state established,related accept
		meta l4proto ipv6-icmp accept
		tcp dport 22 accept
		ip saddr 10.8.0.0/16 tcp dport 110 accept
	}
}
"""


def test_on_top_of_rules_that_forget_ipv6_the_wrong_row_names_what_decides(tmp_path: Path) -> None:
    (tmp_path / "mine.nft").write_text(EXISTING)
    code, rows, _ = prove(tmp_path, "110", *ALLOW, "--existing", str(tmp_path / "mine.nft"))
    assert code == 1
    [wrong] = [row for row in rows if not row["ok"]]
    assert (wrong["from"], wrong["family"], wrong["after"], wrong["wanted"]) == ("vpn", "IPv6", "filtered", "open")
    assert "filter input" in wrong["note"]


def test_docker_rules_close_what_is_published_and_input_rules_do_not(tmp_path: Path) -> None:
    code, rows, error = prove(tmp_path, "110", *ALLOW, "--platform", "docker")
    assert code == 0, error
    assert {row["after"] for row in rows if row["from"] == "wan" and row["endpoint"] == "110/tcp"} == {"filtered"}
