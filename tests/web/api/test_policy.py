"""The policy over the API: read, checked, replaced over nobody's work, and never a way into the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconshield.web.api import conditions
from reconshield.web.api import policy as policy_routes
from reconshield.web.call import Site

Make = Callable[..., Any]
TEXT = """version = 1

[[zone]]
name = "lab"
targets = ["127.0.0.0/8"]
owner = "lab team"
secure = true

[[traffic]]
zone = "lab"
direction = "in"
services = ["ssh"]
with = ["wan"]
"""


def save(admin: Any, text: str = TEXT) -> Any:
    return admin.put("/policy", {"text": text}, headers={"if-match": admin.get("/policy").headers["etag"]})


def test_a_policy_is_replaced_only_by_who_has_read_it(program: Make) -> None:
    admin, other = program("admin"), program("admin")
    seen = admin.get("/policy")
    assert seen.json()["exists"] is False
    assert admin.put("/policy", {"text": TEXT}).status_code == 428
    saved = admin.put("/policy", {"text": TEXT}, headers={"if-match": seen.headers["etag"]})
    assert (saved.status_code, saved.json()["text"], saved.json()["tables"]["zone"][0]["owner"]) == (200, TEXT, "lab team")
    lost = other.put("/policy", {"text": "version = 1\n"}, headers={"if-match": seen.headers["etag"]})
    assert lost.status_code == 412
    assert admin.get("/policy").json()["text"] == TEXT
    assert admin.all("/audit")[0]["event"] == "policy-saved"
    assert program("admin", "other").get("/policy").json()["exists"] is False


def test_mistakes_are_named_by_line_and_nothing_is_saved(program: Make) -> None:
    admin = program("admin")
    wrong = TEXT.replace('"lab team"', "7")
    refused = save(admin, wrong)
    assert refused.status_code == 422
    assert admin.get("/policy").json()["exists"] is False
    review = admin.post("/policy/check", {"text": wrong}).json()
    assert (review["usable"], review["problems"][0]["level"], review["problems"][0]["line"]) == (False, "error", 6)
    fine = admin.post("/policy/check", {"text": TEXT}).json()
    assert fine["usable"]
    assert "+[[zone]]" in fine["changes"]
    assert admin.post("/policy/format", {"text": TEXT.replace(" = ", "=")}).json()["text"] == TEXT


WEBHOOK = 'kind = "webhook"\nurl = "https://soc.example/"\nsecret = "env:SECRET"'


@pytest.mark.parametrize(
    ("workspace", "channel"),
    [
        ("main", 'kind = "exec"\ncommand = "touch /tmp/owned"'),
        ("main", 'kind = "file"\npath = "/etc/cron.d/x"'),
        ("other", 'kind = "exec"\ncommand = "touch /tmp/owned"'),
        ("other", WEBHOOK),
        ("other", WEBHOOK.replace("env:SECRET", "file:/etc/shadow")),
    ],
)
def test_nobody_reaches_into_the_server_with_a_policy(program: Make, site: Site, workspace: str, channel: str) -> None:
    admin = program("admin", workspace)
    reaching = f'{TEXT}\n[[channel]]\nname = "x"\n{channel}\n'
    refused = save(admin, reaching)
    assert (refused.status_code, admin.get("/policy").json()["exists"]) == (422, False)
    assert "from afar" in refused.json()["detail"]
    assert admin.post("/channels/x/test").status_code == 404
    path = site.policy_path(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reaching)
    kept = save(admin, reaching.replace("lab team", "another team"))
    assert kept.status_code == 200
    assert save(admin, reaching.replace('name = "x"', 'name = "y"')).status_code == 422


def test_who_runs_the_server_may_use_its_secrets(program: Make) -> None:
    assert save(program("admin"), f'{TEXT}\n[[channel]]\nname = "soc"\n{WEBHOOK}\n').status_code == 200


def test_what_zones_may_talk_is_told_to_other_tools(program: Make) -> None:
    admin = program("admin")
    assert admin.get("/policy/export", params={"format": "markdown"}).status_code == 422
    save(admin)
    assert "lab" in admin.get("/policy/export", params={"format": "markdown"}).text
    assert admin.get("/policy/export", params={"format": "sigma"}).headers["content-type"].startswith("text/plain")
    assert admin.get("/policy/export", params={"format": "exe"}).status_code == 422


def test_who_saves_between_the_question_and_the_change_is_not_overwritten(
    program: Make, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, path = program("admin"), site.policy_path("main")
    seen = admin.get("/policy").headers["etag"]
    others = TEXT.replace("lab team", "others")

    def asked(*given: Any, **more: Any) -> None:
        conditions.require_unchanged(*given, **more)
        path.write_text(others, encoding="utf-8")

    monkeypatch.setattr(policy_routes, "require_unchanged", asked)
    assert admin.put("/policy", {"text": TEXT}, headers={"if-match": seen}).status_code == 412
    assert path.read_text(encoding="utf-8") == others
