"""The policy file in the app: read it, change it with its mistakes shown, see the difference, save it over nobody's work."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from reconshield.errors import UserError
from reconshield.jobs.policy_edit import Changed, difference, examine_text, read_version, save_text
from reconshield.jobs.proposal import propose_policy
from reconshield.store.runs import list_runs
from reconshield.web.call import Call
from reconshield.web.door import Admin, Viewer
from reconshield.web.frame import page, render

ROUTER = APIRouter(include_in_schema=False)
MOST_TEXT = 1_000_000
"""Characters that the editor takes; longer files are edited elsewhere."""


@ROUTER.get("/policy")
def show(call: Viewer) -> Response:
    return editor(call, read_version(path_of(call)).text, None)


@ROUTER.post("/policy/check")
def check(call: Admin) -> Response:
    """What is wrong with the text, and what would change; for the place under the editor, or as a page."""
    text = call.text("text", MOST_TEXT)
    if call.request.headers.get("hx-request"):
        return HTMLResponse(render(call, "policy_review.html.j2", "policy", **review(call, text)))
    return editor(call, text, None)


@ROUTER.post("/policy")
def save(call: Admin) -> Response:
    text = call.text("text", MOST_TEXT)
    try:
        save_text(call.store, path_of(call), text, call.text("etag", 64), call.now, call.actor, secrets=call.at_home)
    except Changed as error:
        return editor(call, text, error, status=409)
    except UserError as error:
        return editor(call, text, error, status=422)
    return RedirectResponse("/policy", 303)


@ROUTER.get("/policy/propose")
def propose(call: Viewer) -> Response:
    """What the newest run found open and nobody expects, as entries to take over."""
    policy, _ = call.policy()
    runs = [run for run in list_runs(call.store, 20) if run.state == "complete"]
    text = "".join(propose_policy(call.store, runs[0], policy, call.now)) if runs else ""
    return page(call, "policy_proposal.html.j2", "policy", title="Proposed entries", text=text)


def path_of(call: Call) -> Path:
    return call.site.policy_path(call.who.workspace)


def review(call: Call, text: str) -> dict[str, object]:
    """Problems by line, what the policy holds, and the lines that would change."""
    path = path_of(call)
    return {
        "seen": examine_text(call.store, text, path, call.now),
        "changes": list(difference(read_version(path).text, "\n".join(text.splitlines()) + "\n")),
    }


def editor(call: Call, text: str, error: UserError | None, status: int = 200) -> Response:
    """The page. After a conflict its form stands on the other's text, so that saving again is a decision."""
    path = path_of(call)
    return page(
        call,
        "policy.html.j2",
        "policy",
        status=status,
        title="Policy",
        text=text,
        etag=read_version(path).etag,
        name=path.name,
        exists=path.exists(),
        error=error,
        **review(call, text),
    )
