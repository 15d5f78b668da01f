"""A run to hand on: in every format, with what the policy says of it, and results of other tools to take in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, TypedDict

from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from reconshield.errors import UserError
from reconshield.jobs.check import check_run, request_scan
from reconshield.jobs.firewall_verify import compare, to_verify
from reconshield.jobs.imports import import_file
from reconshield.jobs.proposal import propose_policy
from reconshield.jobs.results import load_head, load_summary
from reconshield.jobs.run_export import export_run
from reconshield.policy import Policy
from reconshield.policy.verdict import Kind
from reconshield.report.checked import Checked, judgement_line, verdict_line
from reconshield.report.formats import VERDICTS, Format, find_format, render_verdicts
from reconshield.report.line_types import InputLine, JudgementLine, RunLine, SummaryLine, VerdictLine, VerifiedLine
from reconshield.report.lines import run_line, summary_line
from reconshield.report.verified import verified_line
from reconshield.web.api.paging import Page, Paged
from reconshield.web.api.router import PREFIX, Api, Made, media, once, takes_files
from reconshield.web.api.scans import Limits, RunId, request_of, started
from reconshield.web.api.shapes import StatePart
from reconshield.web.call import Call
from reconshield.web.door import ApiOperator, ApiViewer
from reconshield.web.heavy import room_for
from reconshield.web.pages.runs import gather, pieces_of
from reconshield.web.runs import exact_run
from reconshield.web.start import start
from reconshield.web.uploads import saved

ROUTER = Api("Reports and verdicts")
ReportName = Literal["table", "jsonl", "json", "csv", "html", "markdown", "nmap-xml", "tickets-csv", "tickets-json"]
CheckName = Literal["table", "jsonl", "junit", "sarif"]
Strict = Annotated[bool, Query(description="What is expected and missing fails too.")]


class ImportPart(TypedDict):
    """What came of an import: the file, the run that it became, its counts."""

    input: InputLine
    run: RunLine
    summary: SummaryLine


class CheckWish(Limits):
    """How the addresses and ports of the policy are measured."""

    ports: Annotated[str | None, Field(max_length=4096, description="Default: the commonest, and those that it names.")] = None
    level: Literal[2, 3, 4] | None = None


@ROUTER.get("/scans/{run}/report")
@media(
    {
        "text/plain": "The table of the terminal.",
        "application/x-ndjson": "JSON Lines.",
        "application/json": "One document, or tickets.",
        "text/csv": "A row an endpoint, or a ticket a finding.",
        "text/html": "One page to pass on.",
        "text/markdown": "For a wiki or a ticket.",
        "application/xml": "As nmap writes it.",
    }
)
def read_report(
    call: ApiViewer,
    run: RunId,
    format: Annotated[ReportName, Query()] = "json",  # noqa: A002 - the name of the field
    evidence: Annotated[bool, Query(description="With what endpoints answered, in pages.")] = False,
) -> Response:
    """A whole run in any format of the command line."""
    found, chosen = exact_run(call, run), find_format(format)
    with room_for(found):
        pieces = export_run(call.store, found.id, chosen, policy=call.policy()[0], with_evidence=evidence)
        return attachment(pieces, chosen, f"reconshield-{found.id}")


@ROUTER.get("/scans/{run}/verdicts")
def list_verdicts(
    call: ApiViewer, run: RunId, page: Paged, strict: Strict = False, kind: Kind | None = None
) -> Page[VerdictLine]:
    """What the policy says of every endpoint of a run, what fails first."""
    checked = judged(call, run, strict=strict)
    lines = [verdict_line(checked, rated) for rated in (checked.verdicts(kind) if kind else checked.verdicts())]
    lines.sort(key=verdict_key)
    return page.cut(lines, verdict_key, lambda line: line)


@ROUTER.get("/scans/{run}/judgement")
def read_judgement(call: ApiViewer, run: RunId, strict: Strict = False) -> JudgementLine:
    """How many verdicts of each kind there are, and how many fail."""
    return judgement_line(judged(call, run, strict=strict))


@ROUTER.get("/scans/{run}/check")
@media(
    {
        "text/plain": "The table of the terminal.",
        "application/x-ndjson": "JSON Lines.",
        "application/xml": "JUnit.",
        "application/sarif+json": "SARIF.",
    }
)
def check_scan(
    call: ApiViewer,
    run: RunId,
    format: Annotated[CheckName, Query()] = "junit",  # noqa: A002 - the name of the field
    strict: Strict = False,
) -> Response:
    """The verdicts in a format for what shows the results of tests and of code scanners."""
    chosen = find_format(format, VERDICTS)
    checked = judged(call, run, strict=strict)
    return attachment(render_verdicts(checked, chosen.name), chosen, f"reconshield-check-{checked.head.id}")


@ROUTER.post("/checks", status_code=202)
@once
def start_check(call: ApiOperator, wish: CheckWish) -> Made[StatePart]:
    """Measure all that the policy is about; the verdicts are those of the run that begins."""
    request = request_scan(policy_of(call), ports=wish.ports, level=wish.level, rate=wish.rate)
    fields = {"targets": request.targets, "ports": request.ports, "level": request.level}
    return started(call, start(call, request_of(call, wish, **fields)))


@ROUTER.get("/scans/{run}/proposal")
@media({"application/toml": "Entries to append to the policy after review; reason and owner are blank."})
def propose_entries(call: ApiViewer, run: RunId) -> Response:
    """What a run found open and nobody expects, as entries of the policy."""
    found = exact_run(call, run)
    text = "".join(propose_policy(call.store, found, call.policy()[0], call.now))
    return Response(text, media_type="application/toml")


@ROUTER.get("/scans/{run}/closed")
def verify_closed(call: ApiViewer, run: RunId) -> list[VerifiedLine]:
    """Of what a run found open and should not be: is it closed by now? Only a later measurement says so; start one first."""
    before, wanted = to_verify(call.store, exact_run(call, run).id, call.policy()[0])
    found = compare(call.store, before, wanted, None)
    return [verified_line(each.endpoint, each.service, each.before, each.after, each.closed) for each in found]


@ROUTER.post("/imports", status_code=201)
@once
@takes_files(
    file="File that nmap (XML), masscan, naabu or zgrab2 wrote.",
    format="auto, nmap-xml, masscan-json, masscan-list, naabu or zgrab2.",
    vantage="Where it was measured from; import:TOOL if not said.",
)
def import_results(call: ApiOperator) -> Made[ImportPart]:
    """Keep what another tool measured, as a run of its own. Sends nothing."""
    with saved(call, "file") as (files,):
        if len(files) != 1:
            raise UserError("this takes one file", where="file", hint="send a form with a file in the field `file`")
        vantage = call.text("vantage", 64) or None
        made = import_file(call.store, files[0], format_=call.text("format", 32) or "auto", vantage=vantage)
        name = files[0].name
    head, summary = load_head(made.run), load_summary(call.store, made.run)
    read: InputLine = {
        "v": 1,
        "type": "input",
        "file": name,
        "format": made.format,
        "records": made.records,
        "bad": made.bad,
    }
    part: ImportPart = {"input": read, "run": run_line(head), "summary": summary_line(head.id, summary)}
    return Made(part, f"{PREFIX}/scans/{head.id}")


def judged(call: Call, run_id: str, *, strict: bool) -> Checked:
    found = exact_run(call, run_id)
    with room_for(found):
        return check_run(call.store, found.id, policy_of(call), call.now, strict=strict)


def policy_of(call: Call) -> Policy:
    """The policy of the workspace; without one nothing can be judged."""
    policy, remark = call.policy()
    if policy is None:
        hint = "mend it with PUT /policy" if remark else "write one with PUT /policy"
        raise UserError("there is no policy that can be used", where=remark or "policy", hint=hint)
    return policy


def attachment(pieces: Iterable[str], chosen: Format, name: str) -> Response:
    """A text that is made whole before it is sent, under a name to be saved by; no browser shows it as a page of this app."""
    file = gather(pieces)
    headers = {"content-disposition": f'attachment; filename="{name}.{chosen.suffix}"', "content-length": str(file.tell())}
    return StreamingResponse(pieces_of(file), media_type=chosen.media, headers=headers)


def verdict_key(line: VerdictLine) -> tuple[str | int | float, ...]:
    return (not line["fails"], line["verdict"], line["id"])
