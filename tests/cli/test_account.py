"""`reconshield account` as it is typed, and as it answers."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reconshield.cli import account, grant
from reconshield.cli.console import Invocation
from reconshield.errors import UserError
from reconshield.jobs.accounts import finish_setup, log_in
from reconshield.settings import load_settings
from reconshield.store.db import open_store

PATH = re.compile(r"/setup/([0-9A-Z]{4}(?:-[0-9A-Z]{4}){3})")


class Shell:
    """Types commands against one home directory."""

    def __init__(self, home: Path) -> None:
        self.settings = load_settings({"home": str(home)}, {})

    def ok(self, *words: str) -> str:
        app = grant.app if words[0] == "audit" else account.app
        result = CliRunner().invoke(app, list(words), obj=Invocation(self.settings))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    def finish(self, code: str, name: str, now: float) -> None:
        with open_store(self.settings.db) as store:
            finish_setup(store, code, name, "four words put together", now, client="192.0.2.1", agent="")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_an_account_from_its_first_day_to_its_last(shell: Shell) -> None:
    import time

    assert shell.ok("list") == "Nobody has an account in main.\n"
    out = shell.ok("add", "ada", "--role", "admin")
    assert out.splitlines()[0] == "ada belongs to main as admin"
    assert shell.ok("list") == "ada  admin     invited, has no password yet\n"
    shell.finish(PATH.findall(out)[0], "ada", time.time())
    assert "signed in 20" in shell.ok("list")

    shell.ok("add", "bob")
    link = PATH.findall(shell.ok("link", "bob"))[0]
    shell.finish(link, "bob", time.time())
    assert shell.ok("disable", "bob") == "bob is disabled\n"
    assert shell.ok("list").splitlines()[1] == "bob  viewer    disabled"
    assert shell.ok("enable", "bob") == "bob is enabled\n"
    with open_store(shell.settings.db) as store:
        assert log_in(store, "bob", "four words put together", "", time.time(), client="", agent="").visitor.account == "bob"

    log = shell.ok("audit")
    assert "account-added    ada · admin" in log
    assert "account:bob" in log
    assert "account-disabled  bob" in log
    assert link not in log


def test_json_holds_all_that_a_program_needs(shell: Shell) -> None:
    made = json.loads(shell.ok("add", "ada", "--role", "ADMIN", "--json"))
    assert made["path"] == f"/setup/{made['code']}"
    assert (made["account"], made["workspace"], made["role"]) == ("ada", "main", "admin")
    assert made["until"].endswith("Z")
    (listed,) = json.loads(shell.ok("list", "--json"))
    assert listed == {
        "account": "ada",
        "role": "admin",
        "added": listed["added"],
        "last_used": None,
        "invited": True,
        "disabled": False,
        "totp": False,
    }
    linked = json.loads(shell.ok("link", "ada", "--end-totp", "--json"))
    assert linked["ends_totp"] is True
    assert linked["code"] != made["code"]
    shell.ok("add", "bob")
    assert json.loads(shell.ok("disable", "bob", "--json")) == {"account": "bob", "state": "disabled"}
    assert json.loads(shell.ok("enable", "bob", "--json")) == {"account": "bob", "state": "enabled"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "a b"], "cannot have this name"),
        (["add", "ada", "--role", "root"], "no such role"),
        (["link", "nobody"], "no account of that name"),
        (["disable", "nobody"], "no account of that name"),
        (["enable", "nobody"], "no account of that name"),
    ],
)
def test_mistakes_are_said_with_the_next_step(shell: Shell, words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        shell.ok(*words)
    assert caught.value.hint
