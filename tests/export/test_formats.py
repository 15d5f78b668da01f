"""Exports as golden files, their ids, their words for bad input, and that nothing in a policy can end a comment or a cell."""

from __future__ import annotations

import os
import uuid
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cli.inside import run
from export import sigma_matcher, suricata_rules
from export.policies import NOW, WHOLE, read, whole
from export.traffic import against_policy, make_flows
from reconshield.addresses import AddressSet
from reconshield.detect.scene import network
from reconshield.errors import UserError
from reconshield.export.enclaves import hull_of
from reconshield.export.formats import FORMATS
from reconshield.export.formats.suricata import FIRST_SID, LAST_SID
from reconshield.export.places import EVERYWHERE, IPV4, IPV6, Networks, networks
from reconshield.jobs.policy_export import export_policy

GOLDEN = Path(__file__).parent / "golden"
NAMES = [each.name for each in FORMATS]
TRAFFIC = [name for name in NAMES if name != "prometheus"]  # that one is about exposures: test_exposures.py
DAY = 86_400.0


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_the_golden_one(name: str) -> None:
    """`RECONSHIELD_WRITE_GOLDEN=1` writes them anew; the difference is then for a reviewer."""
    text, path = export_policy(whole(), name, NOW), GOLDEN / f"{name}.txt"
    if os.environ.get("RECONSHIELD_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_policy_gives_the_same_bytes(name: str) -> None:
    """Until an entry ends; where the file stands makes no difference either."""
    policy = whole()
    object.__setattr__(policy, "file", "/somewhere/else/reconshield.toml")
    assert export_policy(policy, name, NOW + DAY) == export_policy(whole(), name, NOW)
    assert export_policy(policy, name, NOW + 60 * DAY) != export_policy(whole(), name, NOW)


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_what_it_cannot_say(name: str) -> None:
    text = "".join(export_policy(whole(), name, NOW).replace("#", "").replace("\\n", "").split())
    assert all("".join(limit.split()) in text for limit in limits(name))


@pytest.mark.parametrize("name", TRAFFIC)
def test_every_entry_is_there_with_reason_owner_and_end(name: str) -> None:
    text = export_policy(whole(), name, NOW)
    for word in ("mail from the world", "mail team", "2027-06-30", "until the new controller", "2026-03-31", "2026-12-31"):
        assert word in text, word


def limits(name: str) -> tuple[str, ...]:
    return next(each.cannot for each in FORMATS if each.name == name)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_a_policy_leaves_its_place(name: str) -> None:
    """The reason has a line break, a semicolon, braces, quotes and a bar: it makes no line and no cell of its own."""
    lines = export_policy(whole(), name, NOW).splitlines()
    assert not any(line.strip().startswith(("; drop", "drop")) for line in lines)
    if name == "markdown":
        rows = [line for line in lines if "mail from the world" in line]
        assert len(rows) == 1
        assert rows[0].replace("\\|", "").count("|") == 7


def test_ids_are_made_of_what_a_rule_says() -> None:
    now, later = (
        {str(rule.id) for rule in sigma_matcher.read_rules(export_policy(whole(), "sigma", at))} for at in (NOW, NOW + 60 * DAY)
    )
    assert all(uuid.UUID(each).version == 5 for each in now)
    assert len(now) == 9 - 1, "three gates of three zones, but office within is free"
    assert len(now & later) == 7, "only the gate whose entry ended has another id"
    sids = [rule.sid for rule in suricata_rules.read_rules(export_policy(whole(), "suricata", NOW))]
    assert all(FIRST_SID <= sid <= LAST_SID for sid in sids)


def test_the_bundle_is_stix() -> None:
    """Read by the stix2 library, which knows every property and every reference."""
    text = export_policy(whole(), "stix", NOW)
    stix2: Any = import_module("stix2")
    bundle = stix2.parse(text, allow_custom=False, version="2.1")
    ids = {each.id for each in bundle.objects}
    assert len(ids) == len(bundle.objects)
    for each in bundle.objects:
        assert uuid.UUID(each.id.split("--")[1]).version == 5
        assert {each.get("created_by_ref", each.id), *each.get("object_refs", ())} <= ids
    ends = {each.name.split(" (")[0]: str(each.get("valid_until", "")) for each in bundle.objects if each.type == "indicator"}
    assert ends["cell-3 in"] == "2027-01-01 00:00:00+00:00"
    assert ends["mail-dmz out"] == ""


def test_an_unknown_format_lists_them_all(tmp_path: Path) -> None:
    done = run(tmp_path, "policy", "export", "--format", "snort")
    assert done.code == 2
    assert all(name in done.err for name in NAMES)
    text = run(tmp_path, "policy", "export", "--help").out
    assert all(name in text for name in NAMES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version = 1\n", "the policy has no zone"),
        ('version = 1\n[[zone]]\nname = "a"\ntargets = ["10.0.0.0/8"]\n', "no zone says what it may talk"),
    ],
)
def test_a_policy_that_says_nothing_of_traffic(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "reconshield.toml"
    path.write_text(text)
    done = run(tmp_path, "policy", "export", "--format", "sigma", "--policy", str(path))
    assert done.code == 2
    assert said in done.err
    assert "next" in done.err
    with pytest.raises(UserError, match=said):
        export_policy(read(text), "markdown", NOW)


def test_into_a_file(tmp_path: Path) -> None:
    policy, out = tmp_path / "reconshield.toml", tmp_path / "rules.nft"
    policy.write_text(WHOLE)
    done = run(tmp_path, "policy", "export", "--format", "nftables", "--policy", str(policy), "-o", str(out))
    assert (done.code, done.out) == (0, "")
    assert out.read_text().count("hook forward") == 1
    words = ("policy", "export", "--format", "nftables", "--policy", str(policy), "--check")
    assert run(tmp_path, *words, "-o", str(out)).code == 0
    out.write_text(out.read_text() + "\n")
    changed = run(tmp_path, *words, "-o", str(out))
    assert (changed.code, "would change" in changed.out) == (1, True)
    assert run(tmp_path, *words, "-o", str(tmp_path / "none.nft")).code == 1
    assert run(tmp_path, *words).code == 2
    nowhere = run(tmp_path, *words[:-1], "-o", str(tmp_path / "none" / "x"))
    assert (nowhere.code, "the run is saved" in nowhere.err, "name another file with -o" in nowhere.err) == (2, False, True)


def test_a_zone_with_another_inside_is_short() -> None:
    """As the outer networks without the inner ones, not as the sixty that are left; and exactly those."""
    policy = whole()
    outer, hulls = policy.zones[0].area, [hull_of(zone) for zone in policy.zones]
    assert len(outer.cidrs()) > 40
    assert networks(outer, hulls=hulls) == Networks(
        ("192.0.2.0/26", "2001:db8:1::/64"), holes=("192.0.2.16/28", "2001:db8:1::3:0/112")
    )
    for area in (
        outer,
        policy.zones[1].area,
        policy.zones[2].area,
        outer | policy.zones[2].area,
        IPV4 - outer,
        IPV6,
        EVERYWHERE,
    ):
        for space in (EVERYWHERE, IPV4, IPV6):
            found = networks(area, space, hulls)
            cidrs, holes = (meant(each) for each in (found.cidrs, found.holes))
            assert ((space - cidrs) if found.negated else (cidrs - holes)) & space == area & space


def meant(cidrs: tuple[str, ...]) -> AddressSet:
    return AddressSet(tuple(pair for each in cidrs for pair in network(each).ranges))


EDGES = """\
version = 1
[[zone]]
name = "0.outer-1"
targets = ["10.0.0.0/24"]
secure = true
[[zone]]
name = "low"
targets = ["10.0.0.0/25"]
secure = true
[[zone]]
name = "high"
targets = ["10.0.0.128/25"]
[[schedule]]
name = "s"
targets = "low"
every = "1d"
[[traffic]]
zone = "high"
direction = "in"
[[traffic]]
zone = "high"
direction = "out"
[[traffic]]
zone = "high"
direction = "within"
[[traffic]]
zone = "low"
direction = "out"
ports = "443"
with = ["0.outer-1"]
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_zone_without_an_address_of_its_own_and_one_that_is_free(name: str) -> None:
    """No list of networks is empty; what is free makes no rule, and an entry with nobody allows nothing."""
    text = export_policy(read(EDGES), name, NOW)
    assert "[]" not in text.replace('"[]"', "")
    assert "{ }" not in text
    if name == "sigma":
        titles = [rule.title.removesuffix(" that the policy does not allow") for rule in sigma_matcher.read_rules(text)]
        assert titles == ["Traffic from others to low", "Traffic from low to others", "Traffic inside low"]
    if name == "suricata":
        assert not [line for line in text.splitlines() if line.startswith("alert") and "RECONSHIELD high" in line]
        assert "RECONSHIELD low out" in text


def test_many_networks_become_several_rules_that_suricata_reads() -> None:
    peers = ", ".join(f'"203.0.{number}.0/28"' for number in range(200))
    zone = ", ".join(f'"10.{number}.0.0/24"' for number in range(100))
    head = f'version = 1\n[[zone]]\nname = "a"\ntargets = [{zone}]\n[[traffic]]\nzone = "a"\ndirection = "out"\n'
    policy = read(f'{head}ports = "443"\nwith = [{peers}]\n[[traffic]]\nzone = "a"\ndirection = "out"\nports = "80"\n')
    rules = suricata_rules.read_rules(export_policy(policy, "suricata", NOW))
    flows = make_flows(policy, 300, seed=5, transports=("tcp", "udp"))
    said = against_policy(policy, flows, NOW)
    assert {flow: any(rule.matches(flow) for rule in rules) for flow in flows} == said
    assert max(len(line) for line in export_policy(policy, "suricata", NOW).splitlines()) < 8192
    far = ", ".join(f'"203.{number % 200}.{number // 200}.7"' for number in range(600))
    with pytest.raises(UserError, match="longer than the 8,191"):
        export_policy(read(f'{head}ports = "443"\nwith = [{far}]\n'), "suricata", NOW)
