"""The firewall studio: what shall be open to whom, as rules for one's own firewall, and the proof by packets."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response

from reconshield.errors import UserError
from reconshield.firewall.platforms import PLATFORMS
from reconshield.jobs import firewall_advise as advising
from reconshield.jobs.firewall_evaluate import ask_for, evaluate_file
from reconshield.jobs.firewall_prove import Existing, prove
from reconshield.report.proof import Proof
from reconshield.report.ruling import Evaluation
from reconshield.web.call import Call
from reconshield.web.door import Operator, Viewer
from reconshield.web.frame import page
from reconshield.web.heavy import Busy, turn
from reconshield.web.runs import exact_run
from reconshield.web.targets import read_target_lines

ROUTER = APIRouter(include_in_schema=False)
MOST_RULES = 1_000_000
LABELS = {"lab": "proved here with packets", "evaluator": "read back and evaluated, not proved", "none": "not proved here"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What one answer of the studio shows beside its form."""

    found: tuple[advising.Advised, ...] = ()
    proof: Proof | None = None
    evaluation: Evaluation | None = None
    error: UserError | None = None


@ROUTER.get("/firewall")
def show(call: Viewer, ports: str = "", run: str = "", platform: str = "nftables", allow: str = "") -> Response:
    """The form; with ports or a run in the address also the rules."""
    asked = {"ports": ports[:200], "run": run[:40], "platform": platform[:40], "allow": allow[:2000], "deny": "", "log": ""}
    if not (asked["ports"] or asked["run"]):
        return studio(call, asked, Shown())
    return studio(call, asked, advised(call, asked))


@ROUTER.post("/firewall")
def advise(call: Viewer) -> Response:
    asked = asked_in(call)
    return studio(call, asked, advised(call, asked))


@ROUTER.post("/firewall/prove")
def prove_rules(call: Operator) -> Response:
    """Load the rules in a throw-away network and look from every side; takes some seconds."""
    asked = asked_in(call)
    shown = advised(call, asked)
    if shown.error is not None or not shown.found:
        return studio(call, asked, shown)
    try:
        with turn("firewall/prove"):
            proof = prove(call.store, shown.found[0].intent, advising.find_platform(asked["platform"]), Existing(), call.now)
    except Busy:
        raise
    except UserError as error:
        return studio(call, asked, Shown(shown.found, error=error))
    return studio(call, asked, Shown(shown.found, proof))


@ROUTER.post("/firewall/evaluate")
def evaluate(call: Viewer) -> Response:
    """What pasted rules let through, computed; nothing is loaded."""
    rules, ports = call.text("rules", MOST_RULES), call.text("ask", 200)
    policy, _ = call.policy()
    try:
        refuse_empty(rules)
        with turn("firewall/evaluate"), tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "pasted-rules")
            file.write_text(rules, encoding="utf-8")
            found = evaluate_file(str(file), ask_for((), ports or None, policy=policy))
    except Busy:
        raise
    except UserError as error:
        return studio(call, asked_in(call), Shown(error=error), rules=rules, ask=ports)
    return studio(call, asked_in(call), Shown(evaluation=found), rules=rules, ask=ports)


def refuse_empty(rules: str) -> None:
    if not rules:
        raise UserError("there are no rules to read", where="rules", hint="paste what `nft list ruleset` prints")


def asked_in(call: Call) -> dict[str, str]:
    names = {"ports": 200, "run": 40, "platform": 40, "allow": 10_000, "deny": 10_000, "log": 8}
    return {name: call.text(name, most) for name, most in names.items()} | {"platform": call.text("platform", 40) or "nftables"}


def advised(call: Call, asked: dict[str, str]) -> Shown:
    """The rules that were asked for, or the mistake in the question."""
    try:
        run = exact_run(call, asked["run"]).id if asked["run"] else None
        wish = advising.Wish(
            names=tuple(asked["ports"].replace(",", " ").split()) if not run else (),
            run=run,
            allow=read_target_lines(asked["allow"], "allow"),
            deny=read_target_lines(asked["deny"], "deny"),
            platform=asked["platform"],
            log=bool(asked["log"]),
        )
        return Shown(tuple(advising.advise(wish, call.store, call.policy()[0], {})))
    except UserError as error:
        return Shown(error=error)


def studio(call: Call, asked: dict[str, str], shown: Shown, **values: Any) -> Response:
    return page(
        call,
        "firewall.html.j2",
        "firewall",
        422 if shown.error else 200,
        title="Firewall",
        asked=asked,
        shown=shown,
        platforms=[(platform.name, platform.title, LABELS[platform.proof]) for platform in PLATFORMS],
        **{"rules": "", "ask": ""} | values,
    )
