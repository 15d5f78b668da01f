"""Broken and hostile rules: every reader ends with a ruleset or a plain error, and every ruleset answers questions."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from firewall.asking import question
from reconshield.errors import UserError
from reconshield.firewall.evaluate import Evaluator
from reconshield.firewall.examine import differences, examine
from reconshield.firewall.readers import READERS, read_rulesets, recognise

SAMPLES = sorted((Path(__file__).parent / "rules").glob("*.*"))
READABLE = [path for path in SAMPLES if path.suffix != ".nft"]
JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**70,
    1.5,
    "",
    "x" * 300,
    "10.0.0.0/33",
    "@none",
    "*",
    [],
    [[]],
    {},
    {"set": {}},
    ["a", 1],
)
ROUNDS = 25


def survive(text: str) -> None:
    """Read a text and use what comes out."""
    try:
        rulesets = read_rulesets(text, "a test")
    except UserError:
        return
    for ruleset in rulesets[:3]:
        evaluator = Evaluator(ruleset)
        for asked in ("any4 tcp/110", "any6 udp/53", "10.8.0.0/24 tcp/1-65535"):
            evaluator.judge(question(asked))
        examine(evaluator)
        differences(evaluator, {"tcp": ((20, 30),)})


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_every_sample_is_recognised_as_what_it_is(path: Path) -> None:
    text = path.read_text()
    claimed = [reader.name for reader in READERS if reader.recognises(text)]
    assert len(claimed) == 1, claimed


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.name)
def test_mangled_texts(path: Path) -> None:
    rng, text = Random(path.name), path.read_text()
    for _ in range(ROUNDS):
        mangled = list(text)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(len(mangled))
            first, last = sorted((at, min(len(mangled), at + rng.randrange(1, 40))))
            piece = rng.choice(("", "\0", '"', "{", "\n", "é", "9" * 30, "-j", "%%", "".join(mangled[first:last]) * 2))
            mangled[first:last] = piece
        survive("".join(mangled))
    survive(text[: len(text) // 2])


@pytest.mark.parametrize("path", [path for path in READABLE if path.suffix == ".json"], ids=lambda path: path.name)
def test_json_with_other_values(path: Path) -> None:
    rng, loaded = Random(path.name), json.loads(path.read_text())
    for _ in range(ROUNDS * 3):
        survive(json.dumps(replaced(loaded, rng)))


def replaced(value: Any, rng: Random) -> Any:
    """The same, with junk in a few places."""
    if rng.random() < 0.03:
        return rng.choice(JUNK)
    if isinstance(value, dict):
        return {key: replaced(inner, rng) for key, inner in value.items() if rng.random() > 0.02}
    return [replaced(inner, rng) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        '{"nftables": 7}',
        '{"nftables": [{"rule": {"expr": {"match": 1}}}]}',
        '{"SecurityGroups": {}}',
        "*filter\n" + ":A ACCEPT [0:0]\n" * 3 + "-A A -j A\nCOMMIT\n",
        "*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j a\nCOMMIT\n",
        '<?xml version="1.0"?><!DOCTYPE zone [<!ENTITY a "b">]><zone>&a;</zone>',
        "kind: NetworkPolicy\nspec: &a {x: *a}\n",
        "kind: NetworkPolicy\n" + "[" * 2000,
        '{"kind": "NetworkPolicy", "spec": {"ingress": [{"ports": [{"port": 99999999}], "from": [{"ipBlock": {}}]}]}}',
        "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m multiport --dports "
        + ",".join(str(p) for p in range(1, 60_000, 2))
        + " -j ACCEPT\n",
    ],
)
def test_bad_input(text: str) -> None:
    survive(text)


def test_loops_of_chains_are_not_known() -> None:
    text = "*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j a\nCOMMIT\n"
    (ruleset,) = read_rulesets(text, "a test")
    (part,) = Evaluator(ruleset).judge(question("any4 tcp/22"))
    assert (part.answer, part.because) == ("unknown", "chains jump into each other too deep")


def test_a_format_that_is_not_known_names_those_that_are() -> None:
    with pytest.raises(UserError, match="format of these rules is not known") as caught:
        read_rulesets("hello", "x.txt")
    assert "nft -j list ruleset" in str(caught.value.hint)
    assert recognise("hello") is None
