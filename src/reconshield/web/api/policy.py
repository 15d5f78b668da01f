"""The policy file: read, checked, laid out, replaced over nobody's work, and told to other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from fastapi import Query, Response
from pydantic import Field

from reconshield.jobs.policy_edit import Changed, difference, examine_text, read_version, save_text
from reconshield.jobs.policy_export import export_policy
from reconshield.policy.formatting import format_policy
from reconshield.policy.writing import policy_tables
from reconshield.report.line_types import ProblemLine
from reconshield.report.problems import problem_line
from reconshield.web.api.conditions import require_unchanged
from reconshield.web.api.reports import policy_of
from reconshield.web.api.router import Api, media
from reconshield.web.api.wishes import Wish
from reconshield.web.call import Call
from reconshield.web.door import ApiAdmin, ApiViewer
from reconshield.web.failures import Stale

ROUTER = Api("Policy")
MOST_TEXT = 1_000_000
ExportName = Literal["markdown", "nftables", "prometheus", "sigma", "stix", "suricata", "zeek"]


class PolicyFilePart(TypedDict):
    """The policy of the workspace: its text, and its tables with every default (null while it cannot be used, and why)."""

    file: str
    exists: bool
    text: str
    tables: dict[str, Any] | None
    unusable: str | None


class PolicyText(Wish):
    """A whole policy file."""

    text: Annotated[str, Field(max_length=MOST_TEXT)]


class ReviewPart(TypedDict):
    """What is wrong with a text, or soon will be, and which lines would change."""

    usable: bool
    problems: list[ProblemLine]
    changes: list[str]


class TextPart(TypedDict):
    """A policy laid out in the one way; comments, order and values stay."""

    text: str


@ROUTER.get("/policy")
def read_policy(call: ApiViewer) -> PolicyFilePart:
    """The policy file of the workspace. Its ETag is wanted for a change."""
    return policy_part(call)


@ROUTER.put("/policy")
def replace_policy(call: ApiAdmin, wish: PolicyText) -> PolicyFilePart:
    """Replace the policy, if it has no error and is still the one that was read: `If-Match` is required."""
    path = path_of(call)
    before = read_version(path)
    require_unchanged(call.request, policy_part(call), always=True)
    try:
        save_text(call.store, path, wish.text, before.etag, call.now, call.actor, secrets=call.at_home)
    except Changed as error:  # since it was asked
        raise Stale(error.message, where="If-Match", hint="GET /policy says what it is now") from error
    return policy_part(call)


@ROUTER.post("/policy/check")
def check_policy(call: ApiAdmin, wish: PolicyText) -> ReviewPart:
    """What is wrong with a text, line by line, and what would change. Nothing is saved."""
    path = path_of(call)
    seen = examine_text(call.store, wish.text, path, call.now)
    return {
        "usable": seen.policy is not None,
        "problems": [problem_line(problem) for problem in seen.problems],
        "changes": list(difference(read_version(path).text, "\n".join(wish.text.splitlines()) + "\n")),
    }


@ROUTER.post("/policy/format")
def lay_out_policy(call: ApiViewer, wish: PolicyText) -> TextPart:
    """Lay a text out in the one way. Nothing is saved."""
    return {"text": format_policy(wish.text, path_of(call).name)}


@ROUTER.get("/policy/export")
@media({"text/plain": "Rules, or a page in Markdown."})
def tell_policy(call: ApiViewer, format: Annotated[ExportName, Query()]) -> Response:  # noqa: A002 - the name of the field
    """What zones may talk, in the words of another tool."""
    return Response(export_policy(policy_of(call), format, call.now), media_type="text/plain")


def path_of(call: Call) -> Path:
    return call.site.policy_path(call.who.workspace)


def policy_part(call: Call) -> PolicyFilePart:
    path, (policy, remark) = path_of(call), call.policy()
    return {
        "file": path.name,
        "exists": path.exists(),
        "text": read_version(path).text,
        "tables": plain_tables(policy_tables(policy)) if policy is not None else None,
        "unusable": remark,
    }


def plain_tables(value: Any) -> Any:
    """The tables with dates as text."""
    if isinstance(value, dict):
        return {name: plain_tables(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_tables(each) for each in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
