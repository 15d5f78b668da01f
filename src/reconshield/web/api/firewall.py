"""Rules for one's own firewall: advised, evaluated, proved by packets, explained, and the way to retire a service."""

from __future__ import annotations

from typing import Annotated, Literal, TypedDict, cast

from pydantic import Field

from reconshield.errors import StoreError, UserError
from reconshield.jobs import firewall_advise as advising
from reconshield.jobs.firewall_evaluate import ask_for, compare_files, evaluate_file, judge_flows
from reconshield.jobs.firewall_explain import explain_port
from reconshield.jobs.firewall_prove import Existing, prove
from reconshield.jobs.firewall_retire import plan_retirement, retirement_data
from reconshield.report.explanation import explanation_line
from reconshield.report.line_types import AdviceLine, ExplanationLine, InputLine, ProofLine, RemarkLine, RulingLine
from reconshield.report.proof import proof_line
from reconshield.report.ruling import evaluation_lines
from reconshield.web.api.catalogue import PortName, Transport
from reconshield.web.api.router import Api, takes_files
from reconshield.web.api.server import require_home
from reconshield.web.api.wishes import Line, Name, Targets, Wish
from reconshield.web.call import Call
from reconshield.web.door import ApiAdmin, ApiOperator, ApiViewer
from reconshield.web.failures import Missing
from reconshield.web.heavy import turn
from reconshield.web.runs import exact_run
from reconshield.web.uploads import saved

ROUTER = Api("Firewall")
MOST_TEXT = 1_000_000
Rules = Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
Networks = Annotated[Targets, Field(max_length=256)]
Names = Annotated[tuple[Name, ...], Field(max_length=64, strict=False)]


class AdviceWish(Wish):
    """What shall be open to whom: ports or services by name, or what a run found open and nobody expects."""

    ports: Names = ()
    run: Annotated[str | None, Field(max_length=32)] = None
    allow: Networks = ()
    deny: Networks = ()
    platform: Name = "nftables"
    log: bool = False
    reason: Line = ""


class ProofWish(Wish):
    """Which rules are tried."""

    ports: Annotated[Names, Field(min_length=1, max_length=16)]
    allow: Networks = ()
    platform: Name = "nftables"


class ProofPart(TypedDict):
    """What packets say of rules. `outcome` begins with `proved` where they were tried; else `notes` say why not."""

    outcome: str
    seconds: float
    notes: list[str]
    rows: list[ProofLine]
    wrong: int


class EvaluationWish(Wish):
    """Rules as text in any known format. With `against` only the differences to it; with `flows` (CSV, JSON Lines) what becomes
    of those.
    """

    rules: Rules
    against: Rules | None = None
    flows: Rules | None = None
    sources: Annotated[Networks, Field(description="Who asks; without it, everybody.")] = ()
    zones: Annotated[bool, Field(description="Ask for every zone of the policy.")] = False
    ports: Annotated[str | None, Field(max_length=4096)] = None
    subject: Name | None = None
    through: bool = False
    outward: bool = False


class UserPart(TypedDict):
    """Who still uses a service, as flow logs show."""

    address: str
    server: str
    port: str
    flows: int
    last: float | None


class StagePart(TypedDict):
    """One step of a plan, with the files of the rules and the way back."""

    title: str
    text: str
    files: dict[str, str]
    undo: str


class RetirementPart(TypedDict):
    """A staged plan to close a service."""

    v: Literal[1]
    type: Literal["retirement"]
    name: str
    ports: list[str]
    users_known: bool
    users: list[UserPart]
    replacement: list[str]
    notice: str
    stages: list[StagePart]
    policy: str
    proof: str


@ROUTER.post("/firewall/advise")
def advise_rules(call: ApiViewer, wish: AdviceWish) -> list[AdviceLine]:
    """Rules that close ports to all but some networks, with the way to apply them safely and to take them back."""
    run = known_run(call, wish.run) if wish.run else None
    asked = advising.Wish(wish.ports, run, wish.allow, wish.deny, wish.platform, wish.log, wish.reason)
    return [advising.line_of(advised) for advised in advising.advise(asked, call.store, call.policy()[0], {})]


@ROUTER.post("/firewall/prove")
def prove_rules(call: ApiOperator, wish: ProofWish) -> ProofPart:
    """Load rules in a throw-away network of the server and look from every side; takes some seconds. Where that cannot be, the
    answer says why.
    """
    platform = advising.find_platform(wish.platform)
    asked = advising.Wish(wish.ports, allow=wish.allow)
    intent, remarks = advising.intent_for_ports(advising.ports_named(wish.ports), asked)
    with turn("firewall/prove"):
        proof = prove(call.store, intent, platform, Existing(), call.now)
    return {
        "outcome": proof.outcome,
        "seconds": round(proof.seconds, 3),
        "notes": [*remarks, *proof.notes],
        "rows": [proof_line(proof, row) for row in proof.rows],
        "wrong": proof.wrong,
    }


@ROUTER.post("/firewall/evaluate")
def evaluate_rules(call: ApiViewer, wish: EvaluationWish) -> list[InputLine | RulingLine | RemarkLine]:
    """What rules let through, with the rule that decides; which are without effect; what a change alters. Sends nothing."""
    policy = call.policy()[0] if wish.zones else None
    if wish.zones and policy is None:
        raise UserError("there is no policy, so there are no zones", where="zones", hint="leave it out")
    asked = ask_for(wish.sources, wish.ports, policy=policy, through=wish.through, outward=wish.outward)
    texts = {"rules": wish.rules, "against": wish.against or "", "flows": wish.flows or ""}
    with turn("firewall/evaluate"):
        if wish.flows is not None:
            before = "against" if wish.against is not None else None
            found = judge_flows("rules", "flows", before, wish.subject, texts.__getitem__)
        elif wish.against is not None:
            found = compare_files("against", "rules", asked, wish.subject, texts.__getitem__)
        else:
            found = evaluate_file("rules", asked, wish.subject, texts.__getitem__)
    return cast("list[InputLine | RulingLine | RemarkLine]", list(evaluation_lines(found)))


@ROUTER.get("/firewall/explain/{port}")
def explain_open_port(call: ApiAdmin, port: PortName, transport: Transport | None = None) -> list[ExplanationLine]:
    """Why a port of the server itself is open: who listens, which rule lets it in. Only in its own workspace."""
    require_home(call)
    try:
        return [explanation_line(told) for told in explain_port(port[:64], transport, call.store)]
    except StoreError:
        raise
    except UserError as error:
        raise not_there(error) from error


@ROUTER.post("/firewall/retire")
@takes_files(
    name="A service, or its port.",
    flows="Files: flow logs or captures that show who still uses it.",
    platform="Which firewall; nftables if not said.",
)
def plan_end(call: ApiViewer) -> RetirementPart:
    """A staged plan to close a service: users, replacement, notice, rules, proof, and the check that keeps it closed."""
    name = call.text("name", 64)
    if not name:
        raise UserError("a service or port is missing", where="name", hint="pop3, or 110")
    with saved(call, "flows") as (flows,):
        plan = plan_retirement(name, flows, call.text("platform", 40) or "nftables")
    return cast("RetirementPart", retirement_data(plan))


def known_run(call: Call, run: str) -> str:
    """A run that a document names: an unknown one is a mistake in the document."""
    try:
        return exact_run(call, run).id
    except Missing as error:
        raise UserError("there is no run of that id", where="run", hint="GET /scans lists them") from error


def not_there(error: UserError) -> Missing:
    missing = Missing("port")
    missing.hint = error.hint
    return missing
