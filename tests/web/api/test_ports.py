"""The catalogue over the API is that of the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cli import inside
from reconshield.web.call import Site

Make = Callable[..., Any]


def said(site: Site, *words: str) -> Any:
    return json.loads(inside.run(site.settings.home, *words).out)


@pytest.mark.parametrize("name", ["110", "pop3", "53", "49200"])
def test_a_port_is_the_same_as_on_the_command_line(program: Make, site: Site, name: str) -> None:
    assert program("viewer").get(f"/ports/{name}").json() == said(site, "port", name, "--json")


def test_the_search_is_that_of_the_command_line(program: Make, site: Site) -> None:
    assert program("viewer").all("/ports", q="mail", limit=7) == said(site, "ports", "mail", "--json")


def test_an_unknown_name_is_missing_and_near_ones_are_said(program: Make) -> None:
    answer = program("viewer").get("/ports/pop33")
    assert answer.status_code == 404
    assert "pop3" in answer.json()["next"]


def test_the_page_of_a_port_is_given_as_text(program: Make) -> None:
    viewer = program("viewer")
    assert viewer.get("/ports/110/page").text.startswith("# 110/tcp")
    html = viewer.get("/ports/110/page", params={"format": "html"})
    assert html.headers["content-disposition"] == 'attachment; filename="port-110.html"'
