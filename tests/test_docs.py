"""The documentation cannot lie: every command it shows is one that the program takes, every link leads somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from reconshield.cli.main import UsageError, make_app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
COMMAND = re.compile(r"^(?:\$ |\.venv/bin/)?(reconshield (?!\[).*)$")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")


def shown_commands(page: Path) -> Iterator[str]:
    """The `reconshield …` lines of the code blocks of a page; pages made from the code show no commands of a person."""
    text = page.read_text(encoding="utf-8")
    if text.startswith("<!-- Made from the code"):
        return
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if found := COMMAND.match(line.strip()):
                yield re.split(r"\s{2,}#|\s{3,}|\s[|>]\s|\s&&\s", found[1])[0].replace("…", "")


SHOWN = [(page.name, command) for page in PAGES for command in shown_commands(page)]


@cache
def whole_command() -> Any:
    """The command line with every verb, made once."""
    return typer.main.get_command(make_app())


@pytest.mark.parametrize(("page", "shown"), SHOWN)
def test_a_shown_command_is_one_that_the_program_takes(page: str, shown: str) -> None:
    _, *words = shlex.split(shown, comments=True)
    command, path = whole_command(), "reconshield"
    try:
        while hasattr(command, "commands"):
            context = command.make_context(path, list(words))
            words = [*context._protected_args, *context.args]
            command, path = command.commands[words[0]], f"{path} {words[0]}"
            words = words[1:]
        command.make_context(path, words)
    except (UsageError, KeyError) as error:
        pytest.fail(f"{page} shows `{shown}`: {error}")
    except typer.Exit:
        pass  # --help and --version end the program themselves


def test_the_readme_shows_commands() -> None:
    assert len([command for page, command in SHOWN if page == "README.md"]) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_no_merge_was_left_half_done(page: Path) -> None:
    assert not [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith(("<<<<<<<", ">>>>>>>"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
