"""Every platform on the same intents, against texts that were read by a person. RECONSHIELD_WRITE_GOLDEN=1 writes them anew."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest

from firewall.intents import INTENTS, POP3
from reconshield.errors import UserError
from reconshield.firewall.intent import Intent, allowed_networks, refuse_contradiction, refuse_lockout
from reconshield.firewall.platform import Advice, Platform
from reconshield.firewall.platforms import PLATFORMS

GOLDEN = Path(__file__).with_name("golden")


def as_text(advice: Advice) -> str:
    parts = [f"==== {file.name}\n{file.text}" for file in advice.files]
    steps = (("apply", advice.apply), ("undo", advice.undo), ("check", advice.check))
    parts += [f"==== {label}\n{text}\n" for label, text in steps]
    return "".join([*parts, "==== notes\n", *(f"{note}\n" for note in advice.notes)])


@pytest.mark.parametrize(("platform", "name"), list(product(PLATFORMS, INTENTS)), ids=lambda each: getattr(each, "name", each))
def test_the_text_is_the_one_that_was_read(platform: Platform, name: str) -> None:
    text = as_text(platform.render(INTENTS[name]))
    file = GOLDEN / platform.name / f"{name}.txt"
    if os.environ.get("RECONSHIELD_WRITE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_both_families_stand_in_every_text(platform: Platform) -> None:
    text = as_text(platform.render(INTENTS["restricted"]))
    assert "10.8.0.0" in text
    assert "fd00:8::" in text


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_what_is_meant_to_be_public_is_not_denied(platform: Platform) -> None:
    text = "".join(file.text for file in platform.render(INTENTS["public"]).files).lower()
    assert not any(word in text for word in (" drop", "reject", "discard", "deny ", "action=drop", '"deny"', "then deny"))


@pytest.mark.parametrize("platform", PLATFORMS, ids=lambda platform: platform.name)
def test_a_reason_cannot_break_out_of_its_comment(platform: Platform) -> None:
    text = as_text(platform.render(INTENTS["many"]))
    assert "$(with)" not in text
    assert "`tricks`" not in text


def test_windows_has_no_block_rule() -> None:
    """Block wins over allow there: such a rule would cut off the allowed networks too (MS-FASP 2.2.34)."""
    for intent in INTENTS.values():
        platform = next(platform for platform in PLATFORMS if platform.name == "windows")
        assert "-Action Block" not in platform.render(intent).files[0].text


@pytest.mark.parametrize("name", ["nftables", "iptables", "ufw", "firewalld", "docker"])
def test_the_timed_way_back_runs_apart_from_the_operators_shell(name: str) -> None:
    platform = next(platform for platform in PLATFORMS if platform.name == name)
    script = next(file.text for file in platform.render(INTENTS["restricted"]).files if file.name == "apply.sh")
    undoing, applying = script.index("setsid sh -c"), script.index("110", script.index("UNDO\nundo"))
    assert undoing < applying, "the way back must be under way before the rules are"


def test_contradictions_and_lock_outs_are_refused() -> None:
    inside = allowed_networks(["10.8.0.0/24"])
    with pytest.raises(UserError, match="both allowed and denied"):
        refuse_contradiction(inside, allowed_networks(["10.8.0.128/25"]))
    with pytest.raises(UserError, match="is a name"):
        allowed_networks(["office.example"])
    with pytest.raises(UserError, match="needs a port"):
        Intent(())
    with pytest.raises(UserError, match="lock you out"):
        refuse_lockout(INTENTS["restricted"], "203.0.113.5", 110)
    refuse_lockout(INTENTS["restricted"], "10.8.0.5", 110)
    refuse_lockout(INTENTS["restricted"], "203.0.113.5", 22)
    assert POP3 in INTENTS["restricted"].ports
