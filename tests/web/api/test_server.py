"""How the server is, over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cli import inside
from reconshield import __version__
from reconshield.web.call import Site
from web.api.test_policy import TEXT, save

Make = Callable[..., Any]


def test_which_program_answers_and_how_it_is(program: Make, site: Site) -> None:
    viewer = program("viewer")
    assert viewer.get("/version").json() == {"name": "ReconShield", "version": __version__, "api": "v1"}
    assert viewer.get("/intel").json() == json.loads(inside.run(site.settings.home, "intel", "status", "--json").out)
    assert viewer.all("/letter") == []
    assert viewer.get("/letter", params={"since": "tomorrow"}).status_code == 422


def test_the_monitor_shows_the_schedules_of_the_own_policy(program: Make) -> None:
    schedule = '\n[[schedule]]\nname = "nightly"\ntargets = ["lab"]\nports = "22"\nevery = "24h"\n'
    save(program("admin"), TEXT + schedule)
    assert [row["name"] for row in program("viewer").get("/monitor").json()["schedules"]] == ["nightly"]
    assert program("viewer", "other").get("/monitor").json()["schedules"] == []


def test_settings_show_no_password_and_only_to_admins(program: Make, site: Site) -> None:
    values = {row["name"]: row["value"] for row in program("admin", "other").get("/settings").json()}
    assert values == {"db": site.store.where, "workspace": "other", "vantage": "local"}
    assert program("operator").get("/settings").status_code == 403


def test_the_doctor_examines_the_server(program: Make) -> None:
    found = program("admin").get("/doctor").json()
    assert {row["state"] for row in found} <= {"ok", "warning", "bad", "not-tested"}
    assert len(found) > 5
