"""`reconshield firewall evaluate` and `explain` as a person runs them: what is printed, and what a mistake looks like."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli import inside
from cli.inside import Done

RULES = Path(__file__).parents[1] / "firewall" / "rules"


def run(home: Path, *words: str, text: str = "") -> Done:
    return inside.run(home, "firewall", *words, text=text, environ={"COLUMNS": "100"})


def test_the_table_says_who_gets_in_and_by_which_rule(tmp_path: Path) -> None:
    done = run(tmp_path, "evaluate", str(RULES / "docker.save"), "--from", "10.8.0.0/24", "--from", "192.0.2.0/24", "-p", "110")
    assert done.code == 0
    assert done.out == (Path(__file__).parent / "firewall_evaluate.txt").read_text().replace("FILE", str(RULES / "docker.save"))


def test_json_is_valid_and_holds_the_same(tmp_path: Path) -> None:
    done = run(tmp_path, "evaluate", str(RULES / "mail.json"), "-p", "110,U:53", "--json")
    lines = done.lines
    assert lines[0]["format"] == "nft-json"
    rulings = [line for line in lines if line["type"] == "ruling" and line["ports"] == "110"]
    assert {(line["family"], line["answer"]) for line in rulings} == {(4, "allow"), (4, "deny"), (6, "deny")}
    assert [line["sources"] for line in rulings if line["answer"] == "allow"] == [
        ["10.8.0.0/24", "10.9.0.1", "10.9.0.2/31", "10.9.0.4/30"]
    ]
    assert [line["because"] for line in lines if line.get("remark") == "families"] == [
        "110/tcp is open to some in IPv4, closed in IPv6"
    ]


def test_what_a_change_alters_and_which_flows_it_blocks(tmp_path: Path) -> None:
    before = (RULES / "docker.save").read_text()
    after = before.replace("-A INPUT -s 10.8.0.0/24 -p tcp -m tcp --dport 110 -j ACCEPT\n", "")
    (tmp_path / "after.save").write_text(after)
    (tmp_path / "flows.csv").write_text(
        "src,dst,dport,proto\n10.8.0.9,203.0.113.5,110,tcp\n10.8.0.9,203.0.113.5,22,tcp\n192.0.2.1,203.0.113.5,110,6\nx,y,z,tcp\n"
    )
    files = [str(tmp_path / "after.save"), "--against", str(RULES / "docker.save")]
    done = run(tmp_path, "evaluate", *files, "-p", "110", "--json")
    changed = [line for line in done.lines if line["type"] == "ruling"]
    assert [(line["sources"], line["before"], line["answer"]) for line in changed] == [(["10.8.0.0/24"], "allow", "deny")]
    done = run(tmp_path, "evaluate", *files, "--flows", str(tmp_path / "flows.csv"))
    assert "of 3 flows 1 become blocked" in done.out
    assert "10.8.0.9 → 203.0.113.5" in done.out
    assert "no flow: 'x' is no address (line 5)" in done.out


def test_the_zones_of_a_policy_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "zones.toml").write_text(
        'version = 1\n[[zone]]\nname = "vpn"\ntargets = ["10.8.0.0/24"]\n[[zone]]\nname = "office"\ntargets = ["10.8.0.0/16"]\n'
    )
    words = ["evaluate", str(RULES / "docker.save"), "--policy", str(tmp_path / "zones.toml"), "-p", "110", "--json"]
    done = run(tmp_path, *words)
    rulings = [line for line in done.lines if line["type"] == "ruling" and line["family"] == 4]
    assert {line["zone"]: line["answer"] for line in rulings} == {"vpn": "allow", "office": "deny", "wan": "deny"}


@pytest.mark.parametrize(
    ("words", "text", "error"),
    [
        (("evaluate", "-"), "hello", "the format of these rules is not known"),
        (("evaluate", "/nowhere/at/all"), "", "the rules cannot be read: No such file or directory"),
        (("evaluate", "-", "--from", "10.0.0.0/40"), "", "a source is a network"),
        (("evaluate", "-", "-p", "70000"), "", "port 70000 is out of range"),
        (("evaluate", "-", "--subject", "x"), "*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "no filter of this file has such a name"),
        (("evaluate", "-", "--flows", os.devnull), "*filter\n:INPUT DROP [0:0]\nCOMMIT\n", "no flow could be read"),
        (("explain", "70000"), "", "port 70000 is out of range"),
        (("explain", "110", "--transport", "icmp"), "", "a transport is tcp or udp"),
    ],
)
def test_mistakes(tmp_path: Path, words: tuple[str, ...], text: str, error: str) -> None:
    done = run(tmp_path, *words, text=text)
    assert done.code == 2
    assert done.err.startswith(f"error: {error}")
    assert "  next   " in done.err
    assert "Traceback" not in done.err


def test_explain_from_a_file_of_rules(tmp_path: Path) -> None:
    done = run(tmp_path, "explain", "9", "--transport", "tcp", "--rules", str(RULES / "docker.save"), "--json")
    assert done.code == 0, done.err
    (line,) = done.lines
    assert (line["port"], line["verdict"]) == (9, "closed")
