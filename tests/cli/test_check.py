"""`policy` and `check` from the command line: loopback listeners measured for real, judged, and written in every format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from defusedxml import ElementTree

from cli.inside import Done, run
from cli.test_runs import Pop3, Redis, free_port, serving
from reconshield import scan_targets
from reconshield.jobs.policy import locate_policy

SARIF = json.loads((Path(__file__).parents[1] / "report" / "sarif-2.1.0-part.schema.json").read_text())
JUNIT = {
    # element: what it may hold, and the attributes that every reader knows
    "testsuites": ({"testsuite"}, {"name", "tests", "failures", "errors", "skipped", "time"}),
    "testsuite": ({"properties", "testcase"}, {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}),
    "properties": ({"property"}, set()),
    "property": (set(), {"name", "value"}),
    "testcase": ({"failure", "skipped"}, {"classname", "name", "time"}),
    "failure": (set(), {"type", "message"}),
    "skipped": (set(), {"message"}),
}


@dataclass(frozen=True)
class Place:
    """A home with one run over Redis and POP3 on loopback, and a directory for policies."""

    home: Path
    run: str
    pop3: int
    redis: int
    shut: int

    def policy(self, name: str, *tables: str) -> str:
        path = self.home / name
        text = 'version = 1\n\n[[zone]]\nname = "here"\ntargets = ["127.0.0.1"]\nowner = "Ada"\n'
        path.write_text(text + "".join(f"\n{table}\n" for table in tables))
        return str(path)

    def check(self, policy: str, *words: str) -> Done:
        return run(self.home, "check", "--policy", policy, "--run", self.run, *words)

    @property
    def expected(self) -> str:
        return (
            f'[[expect]]\non = "here"\nservice = "pop3"\nports = "{self.pop3}"\n'
            'reason = "old scanners"\nowner = "mail team"\nexpires = 2999-01-31'
        )

    @property
    def forbidden(self) -> str:
        return f'[[closed]]\non = "here"\nports = "{self.redis}"\nseverity = "critical"\nreason = "no database here"'

    @property
    def late(self) -> str:
        return self.expected.replace("2999-01-31", "2026-01-01")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home, shut = tmp_path_factory.mktemp("home"), free_port()
    with serving(Pop3) as pop3, serving(Redis) as redis:
        result = scan_targets("127.0.0.1", ports=f"{pop3},{redis},{shut}", level=3, home=home)
        yield Place(home, result.head.id, pop3, redis, shut)


def test_what_is_not_as_it_should_be(place: Place) -> None:
    done = place.check(place.policy("a.toml", place.forbidden, place.late))
    head, forbidden, because, added, *rest = done.out.splitlines()
    expired = next(line for line in rest if line.startswith("✗ expired"))
    assert done.code == 1
    assert head.startswith("2 verdicts on 127.0.0.1 · measured ")
    assert head.endswith("from local")
    assert forbidden.split()[:6] == ["✗", "forbidden", f"127.0.0.1:{place.redis}/tcp", "redis", "100", "critical"]
    assert forbidden.endswith("[[closed]] line 8")
    assert (because.strip(), "proven open" in added) == ("no database here", True)
    assert expired.split()[:6] == ["✗", "expired", f"127.0.0.1:{place.pop3}/tcp", "pop3", "44", "medium"]
    assert rest[-2:] == ["✓ expected 0 · accepted 0 · missing 0", "failed: 2 of 2 verdicts (exit 1)"]


def test_all_is_well(place: Place) -> None:
    accepted = '[[accept]]\nfinding = "redis-no-auth"\nreason = "a test"\nowner = "Ada"\nexpires = 2999-01-01'
    allowed = place.forbidden.replace("closed", "expect").replace("severity", "owner") + "\nexpires = 2999-01-01"
    shut = f'[[closed]]\non = "here"\nports = "{place.shut}"'
    done = place.check(place.policy("well.toml", place.expected, allowed, accepted, shut))
    assert done.code == 0
    assert done.out.splitlines()[1:] == ["✓ expected 2 · accepted 1 · missing 0", "passed: 3 verdicts, none fails"]


def test_missing_fails_only_when_it_is_asked_to(place: Place) -> None:
    wanted = place.expected.replace(str(place.pop3), f"{place.pop3},{place.shut}")
    allowed = place.forbidden.replace("closed", "expect").replace("severity", "owner") + "\nexpires = 2999-01-01"
    policy = place.policy("missing.toml", wanted, allowed)
    assert [place.check(policy, *words).code for words in ((), ("--strict",))] == [0, 1]
    assert "?  missing" not in place.check(policy).out
    assert f"127.0.0.1:{place.shut}/tcp" in place.check(policy).out


def test_what_was_not_measured_fails(place: Place) -> None:
    policy = place.policy("more.toml", '[[closed]]\non = ["127.0.0.1", "127.0.0.9"]\nports = "1-3"')
    done = place.check(policy)
    assert done.code == 1
    assert "✗ not-measured  127.0.0.1, 127.0.0.9 1-3" in done.out


def test_json_lines_carry_the_observation_and_the_line_of_the_policy(place: Place) -> None:
    policy = place.policy("a.toml", place.forbidden, place.late)
    first, *verdicts, last = place.check(policy, "--json").lines
    assert (first["type"], last["type"]) == ("run", "judgement")
    assert last["verdicts"] | {"forbidden": 1, "expired": 1} == last["verdicts"]
    forbidden = verdicts[0]
    assert forbidden["policy"] == {
        "file": policy, "line": 8, "table": "closed", "reason": "no database here", "owner": None, "expires": None
    }  # fmt: skip
    assert (forbidden["state"], forbidden["reason"], forbidden["zone"], forbidden["fails"]) == ("open", "syn-ack", "here", True)
    assert forbidden["risk"]["score"] == 100
    assert len({line["id"] for line in verdicts}) == len(verdicts)
    assert [line["id"] for line in place.check(policy, "--json").lines[1:-1]] == [line["id"] for line in verdicts]


def walk(element: Any) -> Iterator[Any]:
    yield element
    for child in element:
        yield from walk(child)


def test_junit_says_the_same(place: Place, tmp_path: Path) -> None:
    wanted = place.expected.replace(str(place.pop3), f"{place.pop3},{place.shut}")
    path = tmp_path / "verdicts.xml"
    done = place.check(place.policy("j.toml", wanted), "--format", "junit", "-o", str(path))
    assert (done.code, done.out) == (1, "")
    root = ElementTree.fromstring(path.read_text())
    for element in walk(root):
        children, attributes = JUNIT[element.tag]
        assert {child.tag for child in element} <= children
        assert set(element.attrib) <= attributes
    cases = root.findall("testsuite/testcase")
    assert int(root.attrib["tests"]) == len(cases) == 3
    assert int(root.attrib["failures"]) == len(root.findall(".//failure")) == 1
    assert int(root.attrib["skipped"]) == len(root.findall(".//skipped")) == 1
    (failure,) = root.findall(".//failure")
    assert failure.attrib == {"type": "unexpected", "message": f"unexpected: 127.0.0.1:{place.redis}/tcp, risk 100 critical"}


def test_sarif_obeys_the_standard(place: Place) -> None:
    accepted = '[[accept]]\nfinding = "redis-no-auth"\nreason = "a test"\nowner = "Ada"\nexpires = 2999-01-01'
    policy = place.policy("s.toml", place.forbidden, place.expected, accepted)
    log = json.loads(place.check(policy, "--format", "sarif").out)
    jsonschema.validate(log, SARIF)
    (document,) = log["runs"]
    results = {result["ruleId"]: result for result in document["results"]}
    assert set(results) == {"policy/forbidden", "policy/accepted", "policy/expected"}
    assert [results[f"policy/{kind}"]["level"] for kind in ("forbidden", "accepted", "expected")] == ["error", "note", "none"]
    assert results["policy/accepted"]["suppressions"][0]["justification"] == "a test; owner Ada, until 2999-01-01"
    region = results["policy/forbidden"]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 8}
    rules = document["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in document["results"])


def test_check_measures_what_the_policy_is_about(place: Place) -> None:
    policy = place.policy("m.toml", place.forbidden, place.expected, f'[[closed]]\non = "here"\nports = "{place.shut}"')
    ports = f"{place.pop3},{place.redis},{place.shut}"
    before = len(run(place.home, "runs", "--json").lines)
    done = run(place.home, "check", "--policy", policy, "-p", ports, "--json")
    head, *verdicts, _ = done.lines
    assert done.code == 1
    assert (head["targets"], head["ports"]) == (["127.0.0.1"], ",".join(sorted(ports.split(","), key=int)))
    assert {line["verdict"] for line in verdicts} == {"forbidden", "expected"}
    assert len(run(place.home, "runs", "--json").lines) == before + 1


def test_the_default_measures_the_named_ports_besides_the_commonest(place: Place) -> None:
    policy = place.policy("d.toml", '[[closed]]\nports = "61001-61003,U:5353"')
    done = run(place.home, "check", "--policy", policy, "--dry-run", "--json")
    plan = json.loads(done.out)
    assert (done.code, plan["targets"], plan["endpoints"]) == (0, ["127.0.0.1"], 1004)
    assert "61001-61003" in plan["ports"]


def test_nothing_is_sent_without_a_grant(place: Place) -> None:
    path = place.home / "far.toml"
    path.write_text('version = 1\n[[zone]]\nname = "far"\ntargets = ["192.0.2.0/28"]\n')
    done = run(place.home, "check", "--policy", str(path))
    assert done.code == 3
    assert "no grant covers 192.0.2.1" in done.err
    assert 'reconshield check --authorized-by "NAME"' in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "xml"), "unknown format 'xml'"),
        (("--policy", "none.toml"), "the policy file cannot be read"),
        (("--run", "2001"), "there is no run of that id"),
    ],
)
def test_mistakes(place: Place, words: tuple[str, ...], message: str) -> None:
    policy = () if "--policy" in words else ("--policy", place.policy("ok.toml"))
    done = run(place.home, "check", *policy, *words)
    assert (done.code, message in done.err) == (2, True)


def test_an_empty_policy_has_nothing_to_check(place: Place) -> None:
    path = place.home / "empty.toml"
    path.write_text("version = 1\n")
    done = run(place.home, "check", "--policy", str(path))
    assert (done.code, "declares nothing" in done.err) == (2, True)


# ---- the file itself


def test_policy_check_tells_what_where_and_next(place: Place) -> None:
    done = run(place.home, "policy", "check", "--policy", place.policy("bad.toml", '[[closed]]\non = "hree"'))
    assert done.code == 1
    assert done.out.splitlines() == [
        "✗ error   no zone or asset is called hree",
        f"  where   {place.home}/bad.toml:9 closed[1].on",
        "  next    did you mean here?",
    ]


def test_policy_check_in_json_and_when_all_is_well(place: Place) -> None:
    late = run(place.home, "policy", "check", "--json", "--policy", place.policy("late.toml", place.late))
    (problem,) = late.lines
    assert (late.code, problem["level"], problem["line"], problem["key"]) == (1, "warning", 8, "expect[1].expires")
    well = run(place.home, "policy", "check", "--policy", place.policy("fine.toml", place.expected))
    assert (well.code, well.out) == (0, f"{place.home}/fine.toml: 1 zone, 1 expected exposure\n")


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ('name = "soc"\nkind = "pigeon"', "there is no channel of kind 'pigeon'"),
        ('name = "soc"\nkind = "webhook"\nurl = "https://soc.example"', "a webhook channel needs 'secret'"),
    ],
)
def test_policy_check_looks_into_channels(place: Place, channel: str, message: str) -> None:
    policy = place.policy("channel.toml", f"[[channel]]\n{channel}", '[[route]]\nto = "soc"')
    done = run(place.home, "policy", "check", "--policy", policy)
    assert (done.code, message in done.out, f"{policy}:8 channel[1]" in done.out) == (1, True, True)


def test_policy_format_writes_the_file_once(place: Place) -> None:
    path = Path(place.policy("messy.toml"))
    path.write_text(path.read_text().replace(" = ", "="))
    words = ("policy", "format", "--policy", str(path))
    assert [run(place.home, *words, *more).code for more in (("--check",), (), ("--check",), ())] == [1, 0, 0, 0]
    assert 'name = "here"' in path.read_text()


def test_policy_show_has_every_default(place: Place) -> None:
    done = run(place.home, "policy", "show", "--policy", place.policy("show.toml", place.forbidden))
    assert 'criticality = "normal"' in done.out
    assert (
        json.loads(run(place.home, "policy", "show", "--json", "--policy", place.policy("show.toml")).out)["zone"][0]["secure"]
        is False
    )


def test_the_policy_is_found_in_the_home_directory(place: Place) -> None:
    path = place.home / "reconshield.toml"
    path.write_text('version = 1\n[[zone]]\nname = "at-home"\ntargets = ["127.0.0.1"]\n')
    try:
        assert 'name = "at-home"' in run(place.home, "policy", "show").out
    finally:
        path.unlink()
    assert run(place.home, "policy", "show").code == 2


def test_a_proposal_passes_only_when_its_blanks_are_filled(place: Place, tmp_path: Path) -> None:
    proposed = run(place.home, "policy", "propose", "--run", place.run).out
    path = tmp_path / "p.toml"
    path.write_text(proposed)
    blank = run(place.home, "policy", "check", "--policy", str(path))
    assert blank.code == 1
    assert "owner is empty" in blank.out
    assert f"# 127.0.0.1:{place.redis}/tcp: redis Redis 7.0.15, risk 100 critical" in proposed
    path.write_text(proposed.replace('reason = ""', 'reason = "wanted"').replace('owner = ""', 'owner = "Ada"'))
    assert run(place.home, "policy", "check", "--policy", str(path)).code == 0
    assert place.check(str(path)).code == 0
    again = run(place.home, "policy", "propose", "--run", place.run, "--policy", str(path)).out
    assert "Nothing is open that is not expected already." in again


def test_an_empty_policy_here_does_not_hide_the_one_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reconshield.toml").touch()
    home = tmp_path / "home"
    home.mkdir()
    assert locate_policy(home) is None
    (home / "reconshield.toml").write_text("version = 1\n")
    assert locate_policy(home) == home / "reconshield.toml"


def test_a_proposal_may_go_where_the_policy_will_be(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell empties the file before the program starts."""
    monkeypatch.chdir(tmp_path)
    Path("reconshield.toml").touch()
    done = run(place.home, "policy", "propose", "--run", place.run)
    assert (done.code, "version = 1" in done.out) == (0, True)
    assert "there is no policy file" in run(place.home, "policy", "check").err
    Path("reconshield.toml").write_text("[[zone]]\n")
    assert "the file begins with: version = 1" in run(place.home, "policy", "check").out


def test_a_proposal_does_not_offer_what_is_forbidden(place: Place) -> None:
    done = run(place.home, "policy", "propose", "--run", place.run, "--policy", place.policy("f.toml", place.forbidden))
    assert "# 1 more are open against a [[closed]] entry; they are not proposed." in done.out
    assert str(place.redis) not in done.out.partition("\n\n")[2]
    assert f'ports = "{place.pop3}"' in done.out


def test_a_broken_policy_does_not_stop_a_report(place: Place) -> None:
    path = place.home / "reconshield.toml"
    path.write_text('version = 1\n[[zone]]\nname = "at home"\ntargets = ["127.0.0.1"]\n')
    try:
        done = run(place.home, "report", place.run)
    finally:
        path.unlink()
    assert done.code == 0
    assert "warning: the policy is not used: name = 'at home' has the wrong form" in done.err
